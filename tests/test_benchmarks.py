"""What the README says of benchmarks is what their results say."""

import json
from collections import Counter
from pathlib import Path

import torch

import rllib_recattn as ra
from benchmarks.envs import short_window
from benchmarks.models.context import full_state
from benchmarks.models.cost_report import BEGIN, END, table
from benchmarks.tmaze.wall_clock import AGALITE, LSTM, PYTORCH, summary
from benchmarks.training import whole_runs
from benchmarks.training_runs import experiment_of
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.models.registry import model_names

ROOT = Path(__file__).parents[1]


def result(path: str):
    return json.loads((ROOT / "benchmarks" / path).read_text(encoding="utf-8"))


def shown_between(begin: str, end: str) -> str:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return readme.split(begin)[1].split(end)[0].strip()


def test_the_table_of_costs_is_that_of_the_result():
    assert shown_between(BEGIN, END) == table(result("models/cost.json"))


def test_the_table_of_whole_runs_is_that_of_the_result():
    assert shown_between(*whole_runs.MARKS) == whole_runs.table(result("training/whole_runs.json"))


def test_the_seconds_until_t_maze_is_solved_are_those_of_the_result():
    measured = result("tmaze/wall_clock.json")
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    ours, without, lstm = (measured["summary"][name] for name in (AGALITE, PYTORCH, LSTM))
    for costs in (ours, without, lstm):
        assert costs["solved"] == "5 of 5"
        assert f"{round(costs['median_env_steps'], -3):,.0f} steps and {costs['median_seconds']:.0f} seconds" in readme
    others = measured["other_learning_rates"][LSTM].values()
    best = min(lstm["median_seconds"], *(tried["summary"]["median_seconds"] for tried in others))
    assert f"in hindsight brings the LSTM to {best:.0f} seconds" in readme


def test_every_model_of_the_catalog_has_solved_t_maze(own_models):
    runs = result("tmaze/catalog.json")["runs"]
    examples = {path.stem for path in (ROOT / "tuned_examples").glob("tmaze-10-*-ppo.yaml")}
    assert {run["example"] for run in runs.values()} == examples
    # A hybrid is two of the others; without memory the maze cannot be solved.
    remember = [name for name in model_names() if name not in ("hybrid", "memoryless")]
    assert {f"tmaze-10-{name}-ppo" for name in remember} == examples
    assert all(run["solved"] and run["success_rate"] >= 0.95 for run in runs.values())


def test_the_agent_without_memory_differs_from_agalite_in_the_model_alone(ray_session):
    agalite, memoryless = (experiment_of(f"minigrid-memory-s7-{model}-ppo") for model in ("agalite", "memoryless"))
    assert memoryless.model.name == "memoryless"
    assert memoryless.model.settings == {"d_model": 64, "n_layers": 2}
    changed = {"model": agalite.model}
    assert memoryless.model_copy(update=changed) == agalite
    assert memoryless.model.encoder == agalite.model.encoder
    config = build_config(memoryless).training(train_batch_size_per_learner=256, minibatch_size=128, num_epochs=1)
    algorithm = config.env_runners(num_envs_per_env_runner=4).build_algo()
    try:
        assert algorithm.train()["learners"]["default_policy"]["num_module_steps_trained"] >= 256
    finally:
        algorithm.stop()


def test_the_long_maze_differs_from_its_example_in_length_and_window_alone():
    model, change = short_window.MODELS["gtrxl-4"]
    example = f"{short_window.TASK}-{model}-ppo"
    base = experiment_of(example)
    longer = experiment_of(example, {"env_config": short_window.LONGER, "model": change})
    assert longer.model.settings == base.model.settings | change
    assert longer.config["env_config"] == short_window.LONGER
    unchanged = {"config": base.config, "model": longer.model.model_copy(update={"settings": base.model.settings})}
    assert longer.model_copy(update=unchanged) == base


def test_whole_runs_differ_in_the_model_alone():
    contenders = whole_runs.configs("2 × 64")
    assert len(contenders) == 4 + len(whole_runs.CONTEXTS)
    of_the_task = ("env", "env_config", "num_env_runners", "num_envs_per_env_runner", "gym_env_vectorize_mode")
    of_ppo = ("train_batch_size_per_learner", "minibatch_size", "num_epochs", "lr", "num_learners")
    settings = [{key: getattr(config, key) for key in (*of_the_task, *of_ppo)} for config in contenders.values()]
    assert all(other == settings[0] for other in settings)
    assert {config.model_config["max_seq_len"] for config in contenders.values()} == {whole_runs.MAX_SEQ_LEN}
    # A chunk and the step that RLlib appends to it fill two rows but for one step.
    assert 2 * whole_runs.MAX_SEQ_LEN - (whole_runs.STEPS + 1) == 1


def test_whole_runs_compare_rates_within_each_round():
    """The median of the rounds' ratios is not the ratio of the medians: what slows a round slows both."""
    rounds = {
        whole_runs.AGALITE: [Counter(whole=1.0), Counter(whole=10.0), Counter(whole=10.0)],
        "other": [Counter(whole=2.0), Counter(whole=20.0), Counter(whole=2.5)],
    }
    memory = {whole_runs.AGALITE: (100, 300), "other": (100, 700)}
    results = {
        name: whole_runs.costs(
            [Counter({part: s.total() / 2 for part in whole_runs.PARTS}) for s in seconds], low, high
        )
        for (name, seconds), low, high in zip(
            rounds.items(), [(0, 0)] * 2, [tuple(1024 * m for m in memory[name]) for name in rounds], strict=True
        )
    }
    ratios = whole_runs.ratios("other", results, rounds)
    assert ratios["env_steps_per_second"] == 0.5
    assert (ratios["runner_peak_mib"], round(ratios["learner_peak_mib"], 2)) == (1.0, 2.33)
    assert results["other"]["env_steps_per_second"] == round(whole_runs.N_ENVS * whole_runs.STEPS / 2.5, 1)


def test_a_full_memory_counts_as_full():
    model = ra.build_model("gtrxl", input_dim=128, d_model=16, n_layers=2, n_heads=2, d_head=8, memory_length=5)
    state = full_state(model, 3)
    parts = model.state_layout.unpack(state)
    assert (parts["count"] == model.memory_length).all()
    y, after = model(torch.randn(3, 1, 128), state)
    assert torch.isfinite(y).all()
    assert (model.state_layout.unpack(after)["count"] == model.memory_length).all()


def test_seconds_of_steps_are_those_between_iterations():
    """The first iteration has what is done once in a process."""
    points = [(1000, 9.0), (3000, 10.0)]
    curve = [{"env_steps": steps, "seconds": seconds} for steps, seconds in points]
    run = {"solved": True, "env_steps": 3000, "seconds": 10.0, "cpu_seconds": 9.9, "curve": curve}
    assert summary([run])["seconds_per_1000_env_steps"] == 0.5
    assert summary([run, run])["solved"] == "2 of 2"


def test_replayed_steps_cost_what_the_guide_to_dqn_says():
    measured = result("training/replay_memory.json")["results"]
    (paper,) = (each for each in measured if (each["model"], each["burn_in"]) == ("agalite", 16))
    assert paper["state_bytes"] > 56 * 1024 - 100
    guide = " ".join((ROOT / "docs" / "dqn.md").read_text(encoding="utf-8").split())
    ours, dense = (paper["bytes_per_step"][name] / 1000 for name in ("sequences", "dense"))
    assert f"a step needs {ours:.1f} kB where dense states need {dense:.0f} kB" in guide
    assert all(each["ratio"] >= 20 for each in measured if each["state_bytes"] > 50_000)
