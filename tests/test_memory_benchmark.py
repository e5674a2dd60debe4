"""Who remembers for how long: the plan of the runs, the search, the queue, and what is made of the results."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

import rllib_recattn as ra
from benchmarks import single_runs
from benchmarks.memory import grid, plan
from benchmarks.memory.plan import CORRIDORS, LEARNING_RATES, MODELS, SEARCH_LENGTH, SEARCH_SEED, Run, all_runs
from benchmarks.memory.statistics import interquartile_mean
from benchmarks.results.memory import phases_table, rate_table
from benchmarks.results.phrases import linear
from benchmarks.results.sources import Sources
from benchmarks.training_runs import train_experiment


def point(env_steps, success_rate):
    return {"env_steps": env_steps, "success_rate": success_rate, "seconds": 1.0, "cpu_seconds": 1.0, "return": None}


def write_run(results, run, points, solved=False):
    path = grid.path_of(run, results)
    path.parent.mkdir(parents=True, exist_ok=True)
    last = {key: points[-1][key] for key in ("env_steps", "cpu_seconds")}
    content = {"model": run.model, "length": run.length, "lr": run.lr, "solved": solved, **last, "curve": points}
    path.write_text(json.dumps(content), encoding="utf-8")


def test_every_run_is_planned_once_and_after_its_search():
    runs = list(all_runs())
    assert len({run.name for run in runs}) == len(runs)
    searched = set()
    for run in runs:
        if run.stage == "search":
            searched.add((run.model, run.lr))
        else:
            assert {(run.tuned_as, lr) for lr in LEARNING_RATES} <= searched
    assert {(run.model, run.length, run.seed) for run in runs if run.stage == "grid"} == {
        (model, length, seed) for model in MODELS for length in CORRIDORS for seed in plan.SEEDS
    }
    assert all(run.seed != SEARCH_SEED for run in runs if run.stage != "search")


def test_models_on_one_corridor_differ_in_the_model_alone():
    one, *others = [Run("grid", model, 40, 0).experiment(1e-3) for model in MODELS]
    assert all(other.model_copy(update={"model": one.model, "name": one.name}) == one for other in others)
    assert {other.model.max_seq_len for other in others} == {one.model.max_seq_len}


@pytest.mark.parametrize("length", CORRIDORS)
def test_rows_and_fragments_are_longer_than_the_corridor(length):
    config = Run("grid", "agalite", length, 0).experiment(1e-3).config
    corridor = CORRIDORS[length]
    assert config["env_config"]["corridor_length"] == length
    fragment = config["train_batch_size_per_learner"] / config["num_envs_per_env_runner"]
    assert fragment > corridor.max_seq_len > length
    assert config["minibatch_size"] % corridor.max_seq_len < corridor.max_seq_len <= config["minibatch_size"]


def test_a_change_is_made_in_agalite_and_nothing_else():
    whole = Run("grid", "agalite", 40, 0).experiment(1e-3)
    for change in plan.ABLATIONS:
        changed = Run("ablation", change, 40, 0).experiment(1e-3)
        assert changed.model != whole.model
        assert changed.model_copy(update={"model": whole.model, "name": whole.name}) == whole


def test_the_search_takes_what_solved_first_or_else_what_succeeded_most(tmp_path):
    runs = [Run("search", "lstm", SEARCH_LENGTH, SEARCH_SEED, lr) for lr in LEARNING_RATES]
    for run, rate in zip(runs, (0.5, 0.7, 0.6), strict=True):
        write_run(tmp_path, run, [point(1000, None), point(2000, rate)])
    assert grid.best_learning_rate("lstm", tmp_path) == LEARNING_RATES[1]
    write_run(tmp_path, runs[0], [point(3000, 0.96)], solved=True)
    assert grid.best_learning_rate("lstm", tmp_path) == LEARNING_RATES[0]
    write_run(tmp_path, runs[2], [point(1500, 0.95)], solved=True)
    assert grid.best_learning_rate("lstm", tmp_path) == LEARNING_RATES[2]
    with pytest.raises(FileNotFoundError):
        grid.best_learning_rate("gru", tmp_path)


def test_the_queue_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    trained = []

    def train(run, lr):
        trained.append((run, lr))
        if run.lr == LEARNING_RATES[1]:
            raise RuntimeError("the machine is on fire")
        points = [point(1000, 0.5), point(2000, 0.96)]
        return {"seed": run.seed, "solved": True, **points[-1], "curve": points}

    class Pool:
        def __init__(self, *args, **kwargs): ...
        def __enter__(self):
            return self

        def __exit__(self, *args): ...
        def submit(self, function, experiment, seed, niceness):
            return type("Future", (), {"result": lambda self: train(experiment.func.__self__, *experiment.args)})()

    monkeypatch.setattr(single_runs, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(single_runs, "PAUSE", 0)
    arguments = ["grid", "--models", "gla", "--lengths", "10", str(SEARCH_LENGTH), "--results", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    grid.main()
    # One run of the search failed: no learning rate is known, and nothing that needs one is trained.
    expected = [lr for lr in LEARNING_RATES for _ in range(single_runs.ATTEMPTS if lr == LEARNING_RATES[1] else 1)]
    assert [lr for _, lr in trained] == expected
    assert "skipped" in capsys.readouterr().out

    write_run(tmp_path, trained[1][0], [point(9000, 0.6)])
    trained.clear()
    grid.main()
    assert {run.stage for run, _ in trained} == {"grid"}
    assert {lr for _, lr in trained} == {LEARNING_RATES[0]}
    assert len(trained) == 2 * len(plan.SEEDS)
    written = json.loads(grid.path_of(trained[0][0], tmp_path).read_text(encoding="utf-8"))
    assert written["curve"][-1] == point(2000, 0.96)
    assert (written["model"], written["length"], written["lr"]) == ("gla", 10, LEARNING_RATES[0])

    trained.clear()
    grid.main()
    assert not trained


def test_rates_that_the_search_did_not_choose_are_tried_and_stand_beside_the_one_it_chose(tmp_path, monkeypatch):
    for lr in LEARNING_RATES:
        steps_until_solved = 1000 if lr == 6e-4 else 9000
        write_run(tmp_path, Run("search", "gla", SEARCH_LENGTH, SEARCH_SEED, lr), [point(steps_until_solved, 1)], True)
    trained = []

    def train(run, lr, results, niceness):
        trained.append(lr)
        write_run(results, run, [point(run.seed * 1000 + 5000, 1.0)], solved=lr > 6e-4)

    monkeypatch.setattr(grid, "train", train)
    monkeypatch.setattr("sys.argv", ["grid", "--stage", "rate", "--models", "gla", "--results", str(tmp_path)])
    grid.main()
    assert trained == [3e-4, 1.2e-3] * len(plan.SEEDS)
    write_run(tmp_path, Run("grid", "gla", plan.RATE_LENGTH, 0, 6e-4), [point(4000, 1.0)], solved=True)
    row = next(line for line in rate_table(Sources(memory_runs=tmp_path)).splitlines() if line.startswith("| GLA"))
    assert row == "| GLA | 0 of 3 | 1 of 1, 4 k | 3 of 3, 6 k |"


def test_steps_until_an_agent_arrives_are_told_from_those_until_it_recalls(tmp_path):
    curves = [
        ([point(4000, None), point(8000, 0.5), point(20_000, 0.96)], True),
        ([point(4000, None), point(6000, 0.5), point(30_000, 0.97)], True),
        ([point(4000, None), point(9000, 0.5), point(400_000, 0.6)], False),
        ([point(4000, None), point(400_000, None)], False),
    ]
    for seed, (points, solved) in enumerate(curves):
        write_run(tmp_path, Run("grid", "gla", 40, seed, 6e-4), points, solved)
    cells = Sources(memory_runs=tmp_path).memory("grid")
    assert phases_table(cells).splitlines()[-1] == "| GLA | 7 k + 18 k; unsolved: 9 k, never |"
    cells["agalite"][40] = [{"solved": False, "env_steps": 400_000, "curve": []}] * 2
    assert linear(cells) == "40 cells: AGaLiTe 0 of 2, GLA 2 of 4 after 18 k"


def test_the_middle_half_of_scores_and_an_interval_of_resampled_seeds():
    estimate = interquartile_mean({10: [0, 1, 2, 3], 20: [4, 5, 6, 7]})
    assert estimate.value == pytest.approx(3.5)
    assert 2 < estimate.low < 3.5 < estimate.high < 5
    # Runs are drawn within their task: tasks whose runs agree leave no doubt, however much tasks differ.
    assert interquartile_mean({10: [0, 0, 0], 20: [1, 1, 1]}) == (0.5, 0.5, 0.5)
    # Of three runs, the bootstrap draws the worst three times in one of 27 cases, more often than in 2.5 %.
    assert interquartile_mean({10: [0.2, 0.5, 0.8]}) == pytest.approx((0.5, 0.2, 0.8))


def test_without_gates_nothing_fades_until_an_episode_ends():
    torch.manual_seed(0)
    sizes = {"d_model": 8, "n_layers": 1, "n_heads": 2, "d_head": 4}
    model = ra.build_model(plan.WITHOUT_GATES, input_dim=3, **sizes).double()
    x, start = torch.randn(2, 50, 3, dtype=torch.float64), model.initial_state(2)
    together, state = model(x, start)
    # s sums keys, which are not negative: it never shrinks.
    keys = [model.state_layout.unpack(model(x[:, :n], start)[1])["layers.0.keys"][:, :, -1] for n in (10, 30, 50)]
    assert (keys[0] <= keys[1] + 1e-12).all()
    assert (keys[1] <= keys[2] + 1e-12).all()
    assert (keys[2] > keys[0]).any()
    with torch.no_grad():
        acting = start
        for t in range(50):
            y, acting = model(x[:, t : t + 1], acting)
    torch.testing.assert_close(y[:, 0], together[:, -1])
    torch.testing.assert_close(acting, state)
    is_first = torch.zeros(2, 50)
    is_first[:, 40] = 1
    after, _ = model(x, start, is_first)
    torch.testing.assert_close(after[:, 40:], model(x[:, 40:], start)[0])


def test_a_planned_run_trains(ray_session, monkeypatch):
    monkeypatch.setitem(
        plan.CORRIDORS, 40, replace(CORRIDORS[40], budget=1, batch_size=256, minibatch_size=256, n_envs=4)
    )
    run = Run("ablation", "without-gates", 40, 3)
    outcome = train_experiment(run.experiment(1e-3), run.seed)
    assert outcome["seed"] == 3
    assert [p["env_steps"] for p in outcome["curve"]] == [outcome["env_steps"]]
    assert 256 <= outcome["env_steps"] < 300
