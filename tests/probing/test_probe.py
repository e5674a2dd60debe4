"""The probe as a whole: what it finds, keeps in a file, goes on from, and refuses."""

from __future__ import annotations

import json

import pytest

import rllib_recattn as ra
from rllib_recattn.errors import SettingsError
from rllib_recattn.models.gru import GRUSettings
from rllib_recattn.probing import probe as module
from rllib_recattn.probing import result as results
from rllib_recattn.probing.plan import plan_probe
from rllib_recattn.probing.probe import run_cell
from rllib_recattn.probing.result import Cell, Column, ProbedModel, ProbeResult, ProbeSettings, read_result

TINY = {"tasks": ["repeat-3", "pairs"], "budget": 2, "parameters": 2000}
GRU_1 = {"name": "gru", "max_timescale": 8.0}


def without_time(result):
    data = json.loads(result.model_dump_json())
    for model in data["models"].values():
        for seeds in model["cells"].values():
            for cell in seeds.values():
                del cell["cpu_seconds"]
    return data


@pytest.fixture
def learned(monkeypatch):
    """The cells that are computed, as (label, task, seed)."""
    done = []
    learn_task = module.learn_task

    def spy(build, task, *, seed, **others):
        done.append((task.name, seed))
        return learn_task(build, task, seed=seed, **others)

    monkeypatch.setattr(module, "learn_task", spy)
    return done


def test_every_model_learns_every_task_with_every_seed(learned):
    result = ra.probe(["gru", GRU_1], seeds=2, **TINY)
    assert list(result.models) == ["gru", "gru (max_timescale 8.0)"]
    assert [column.heading for column in result.columns] == ["repeat-3", "pairs"]
    for model in result.models.values():
        assert {task: sorted(cells) for task, cells in model.cells.items()} == {"repeat-3": [0, 1], "pairs": [0, 1]}
        assert model.parameters == pytest.approx(2000, rel=0.1)
    assert len(learned) == 8
    assert {"cpu", "torch", "python", "kernels"} <= result.machines[0].keys()


def test_the_same_arguments_give_the_same_result():
    assert without_time(ra.probe("gru", **TINY)) == without_time(ra.probe(["gru"], **TINY))


def test_what_a_file_holds_is_not_computed_again(tmp_path, learned):
    path = tmp_path / "probe.json"
    first = ra.probe("gru", path=path, **TINY)
    assert len(learned) == 2
    assert ra.probe("gru", path=path, **TINY) == first
    assert len(learned) == 2
    more = ra.probe(["gru", GRU_1], path=path, **TINY | {"tasks": ["count", "pairs"], "seeds": 2})
    assert learned[2:] == [
        ("pairs", 1),
        ("count", 0),
        ("count", 1),
        ("pairs", 0),
        ("pairs", 1),
        ("count", 0),
        ("count", 1),
    ]
    assert [column.heading for column in more.columns] == ["pairs", "count"] == list(more.models["gru"].cells)
    kept = read_result(path)
    assert [column.heading for column in kept.columns] == ["repeat-3", "pairs", "count"]
    assert kept.models["gru"].cells["repeat-3"] == first.models["gru"].cells["repeat-3"]
    assert kept.machines == first.machines


def test_an_interrupted_probe_goes_on_and_ends_as_if_nothing_had_been(tmp_path, monkeypatch):
    path = tmp_path / "probe.json"
    learn_task, calls = module.learn_task, []

    def interrupted(*arguments, **others):
        calls.append(others["seed"])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return learn_task(*arguments, **others)

    monkeypatch.setattr(module, "learn_task", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ra.probe("gru", path=path, **TINY)
    assert list(read_result(path).models["gru"].cells) == ["repeat-3"]
    resumed = ra.probe("gru", path=path, **TINY)
    assert len(calls) == 3
    assert without_time(resumed) == without_time(ra.probe("gru", **TINY))


def test_a_file_is_whole_whenever_a_process_ends(tmp_path, monkeypatch):
    path = tmp_path / "probe.json"
    plan = plan_probe(["gru"], seeds=1, path=path, **TINY)
    run_cell(plan, plan.cells[0])
    before = path.read_bytes()

    def killed(source, target):
        assert json.loads(source.read_bytes())
        raise KeyboardInterrupt

    monkeypatch.setattr(results.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        run_cell(plan, plan.cells[1])
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["probe.json"]


def test_a_model_that_has_changed_is_learned_again(tmp_path, learned, monkeypatch):
    path = tmp_path / "probe.json"
    ra.probe(["gru", "lstm"], path=path, **TINY)
    build = GRUSettings.build

    def changed(self, input_dim):
        model = build(self, input_dim)
        for parameter in model.parameters():
            parameter.data *= 2
        return model

    monkeypatch.setattr(GRUSettings, "build", changed)
    plan = plan_probe(["gru", "lstm"], seeds=1, path=path, **TINY)
    assert plan.replaced == ["gru"]
    assert [(cell.label, cell.task.name) for cell in plan.cells] == [("gru", "repeat-3"), ("gru", "pairs")]


def test_a_model_of_another_package_whose_state_is_empty():
    name = "tests.probing.registered:no_memory_of_tests"
    result = ra.probe({"name": name, "width": 5}, **TINY)
    (label,) = result.models
    assert label == f"{name} (width 5)"
    assert (result.models[label].state_size, result.models[label].searched) == (0, False)
    assert result.score(label, result.columns[0]).right < 0.4


@pytest.mark.parametrize(
    ("models", "change", "problem"),
    [
        ([], {}, "models: should name at least one"),
        (3, {}, "models: should name at least one"),
        (["grru"], {}, "unknown model 'grru': did you mean 'gru'"),
        ([3], {}, r"models: 3: should be a name or a block"),
        ([{"d_model": 3}], {}, "the setting 'name' is missing"),
        ([{"name": "gru", "d_modell": 3}], {}, "unknown setting 'd_modell': did you mean 'd_model'"),
        ([{"name": "gru", 1: 2}], {}, "1: should be the name of a setting"),
        (["gru", "gru"], {}, "'gru' is named twice"),
        (["gru"], {"tasks": ["pair"]}, "unknown task 'pair': did you mean 'pairs'"),
        (["gru"], {"tasks": "pairs"}, "tasks = 'pairs': should be a list of names"),
        (["gru"], {"budget": 0}, "budget = 0: should be a whole number ≥ 1"),
        (["gru"], {"seeds": 1.5}, "seeds = 1.5: should be a whole number ≥ 1"),
        (["gru"], {"parameters": True}, "parameters = True: should be a whole number ≥ 1"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_computed(models, change, problem, tmp_path, learned):
    path = tmp_path / "probe.json"
    with pytest.raises(SettingsError, match=problem):
        ra.probe(models, path=path, **TINY | change)
    assert not learned
    assert not path.exists()


def test_files_of_something_else_are_refused(tmp_path):
    path = tmp_path / "probe.json"
    for text in ("", "{}", '{"version": 2}', "[1", json.dumps({"version": 1, "settings": {"budget": 2}})):
        path.write_text(text)
        with pytest.raises(SettingsError, match=r"probe.json': is no result of this version of `rllib probe` \("):
            ra.probe("gru", path=path, **TINY)
        assert path.read_text() == text
    ra.probe("gru", path=tmp_path / "other.json", **TINY)
    with pytest.raises(SettingsError, match=r"holds a probe with budget 2 and not 3, parameters 2,000 and not 9,000; "):
        ra.probe("gru", path=tmp_path / "other.json", **TINY | {"budget": 3, "parameters": 9000})
    with pytest.raises(SettingsError, match="cannot be read: is a directory"):
        ra.probe("gru", path=tmp_path, **TINY)
    with pytest.raises(SettingsError, match="there is no directory"):
        ra.probe("gru", path=tmp_path / "missing" / "x.json", **TINY)


def cell(updates, right, **beyond):
    return Cell(
        updates=updates,
        ended_after=300,
        right=right,
        beyond={int(times[1:]): share for times, share in beyond.items()},
        cpu_seconds=1.0,
    )


def of_cells(**cells):
    by_seed = {task.replace("_", "-"): dict(enumerate(each)) for task, each in cells.items()}
    return ProbedModel(
        block={"name": "x"}, parameters=9, searched=True, state_size=1, fingerprint=(0.0, 0.0, 0.0, 0.0), cells=by_seed
    )


def test_scores_are_medians_over_seeds_and_the_best_come_first():
    pairs = Column(task="pairs", description="…", chance=0.125)
    beyond = Column(task="beyond", description="…", times=8, chance=0.5)
    models = {
        "half": of_cells(pairs=[cell(None, 0.25), cell(90, 0.96), cell(None, 0.5)], beyond=[cell(20, 1.0, x8=0.4)]),
        "late": of_cells(pairs=[cell(100, 0.99), cell(300, 1.0)], beyond=[cell(20, 1.0, x8=0.96)]),
        "none": of_cells(),
        "one": of_cells(pairs=[cell(20, 1.0)]),
        "soon": of_cells(pairs=[cell(50, 0.995)], beyond=[cell(None, 0.5, x8=0.96)]),
    }
    result = ProbeResult(settings=ProbeSettings(budget=300, parameters=9), columns=[pairs, beyond], models=models)
    half, late = result.score("half", pairs), result.score("late", pairs)
    assert (half.updates, half.right, half.solved, half.seeds) == (None, 0.5, 1, 3)
    assert half.above_chance == pytest.approx(0.375 / 0.875)
    assert (late.updates, late.right, late.solved) == (200, pytest.approx(0.995), 2)
    far = result.score("late", beyond)
    assert (far.updates, far.right, far.solved, far.above_chance) == (None, 0.96, 1, pytest.approx(0.92))
    assert result.score("half", beyond).above_chance == 0
    assert result.score("none", pairs) is None
    assert result.ranked() == ["soon", "late", "one", "half"]
    assert ProbeResult.model_validate_json(result.model_dump_json()) == result
