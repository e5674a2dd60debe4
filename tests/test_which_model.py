"""The comparison of models on four tasks: one rule for all, nothing run twice, and a table of what there is."""

from __future__ import annotations

import json

import pytest

from benchmarks import single_runs
from benchmarks.results.sources import Sources
from benchmarks.results.which_model import which_model_table
from benchmarks.which_model import learn
from benchmarks.which_model.plan import ABLATIONS, MODELS, TASKS, Run, all_runs


def test_models_differ_in_the_model_alone_and_tasks_in_what_is_theirs():
    for task in TASKS:
        first, *others = [Run(model, task, 0).experiment() for model in ("agalite", "gla-conv", "gtrxl", "lstm")]
        for other in others:
            assert (other.config, other.stop, other.env) == (first.config, first.stop, first.env)
            assert (other.model.encoder, other.model.max_seq_len) == (first.model.encoder, first.model.max_seq_len)
    configs = [Run("gla", task, 0).experiment().config for task in TASKS]
    shared = [{key: value for key, value in config.items() if key not in ("env_config", "gamma")} for config in configs]
    assert all(config == shared[0] for config in shared)


@pytest.mark.parametrize("model", [*MODELS, *ABLATIONS])
def test_every_model_can_be_built(model):
    assert Run(model, "tmaze_60", 0).experiment().model is not None


def test_the_first_seed_of_all_comes_before_the_second_of_any():
    seeds = [run.seed for run in all_runs()]
    assert seeds == sorted(seeds)
    assert len({run.name for run in all_runs()}) == len(seeds)


def test_it_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    trained = []

    def train(name, experiment, seed, said, path, niceness):
        trained.append(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**said, "seed": seed, "solved": seed == 0, "env_steps": 4000 + seed}))

    monkeypatch.setattr(learn, "train_and_write", train)
    runs = tmp_path / "which_model" / "runs"
    arguments = ["learn", "--models", "gla", "gla-conv", "--tasks", "tmaze_60", "--results", str(runs), "--seeds", "0"]
    monkeypatch.setattr("sys.argv", arguments)
    learn.main()
    assert trained == ["tmaze_60/gla-seed-0", "tmaze_60/gla-conv-seed-0"]
    monkeypatch.setattr("sys.argv", [*arguments[:-1], "0", "1", "--list"])
    learn.main()
    assert capsys.readouterr().out.split() == ["tmaze_60/gla-seed-1", "tmaze_60/gla-conv-seed-1"]
    monkeypatch.setattr("sys.argv", [*arguments[:-1], "0", "1"])
    learn.main()
    assert len(trained) == len(set(trained)) == 4

    rows = which_model_table(Sources(benchmarks=tmp_path)).splitlines()
    assert "| GLA | – | – | – | 4 k, > 4 k |" in rows
    assert "| GLA, short convolution | – | – | – | 4 k, > 4 k |" in rows


def test_a_run_that_fails_is_tried_again_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    tries = []

    class Pool:
        def __init__(self, *args, **kwargs): ...
        def __enter__(self):
            return self

        def __exit__(self, *args): ...
        def submit(self, *args):
            tries.append(args)
            raise RuntimeError("no machine")

    monkeypatch.setattr(single_runs, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(single_runs, "PAUSE", 0)
    single_runs.train_and_write("a", lambda: None, 0, {}, tmp_path / "b" / "a.json", 0)
    assert len(tries) == single_runs.ATTEMPTS
    assert capsys.readouterr().out == "a: failed\n"
    assert not list(tmp_path.iterdir())
