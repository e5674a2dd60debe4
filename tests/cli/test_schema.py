"""The JSON Schema of experiment files: current, and it tells good ones from bad ones."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import ray
from click.testing import CliRunner

from rllib_recattn.cli.main import main
from rllib_recattn.experiment.algorithm.schema import experiment_schema
from rllib_recattn.experiment.definition.yaml_file import parse_yaml, read_yaml
from rllib_recattn.models.registry import model_names
from rllib_recattn.rl_module.algorithms import CONFIG_CLASSES

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "schema" / "experiment.schema.json"
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
TUNED_EXAMPLES = sorted((ROOT / "tuned_examples").glob("*.yaml"))
OLD_FILES = sorted((ROOT / "tests" / "migration" / "old_yaml").glob("*.yaml"))
GOOD = """
maze:
  run: PPO
  env: rllib_recattn/TMaze-v0
  stop: {training_iteration: 1e2, learners/a/entropy: 0.1}
  model: {name: agalite, d_model: 8, max_seq_len: 8, encoder: {type: mlp, widths: [4]}}
  config: {lr: 1e-3, num_env_runners: 0, evaluation_config: {explore: false}, minibatch_size: null}
"""
# What is written in place of what, in GOOD.
CHANGES = {
    "learning rate": ("lr: 1e-3", "lr: {loguniform: [1e-5, 1e-3]}"),
    "range with names": ("lr: 1e-3", "lr: {quniform: {lower: 0, upper: 1, q: 0.1}}"),
    "schedule": ("lr: 1e-3", "lr: [[0, 1e-3], [100000, 1e-4]]"),
    "search inside a schedule": ("lr: 1e-3", "lr: [[0, {choice: [1e-3, 1e-4]}], [100000, 1e-4]]"),
    "search in evaluation": ("explore: false", "explore: {grid_search: [true, false]}"),
    "search of environments": ("env: rllib_recattn/TMaze-v0", "env: {grid_search: [CartPole-v1, Acrobot-v1]}"),
    "search of a model's size": ("d_model: 8", "d_model: {randint: [8, 16]}"),
    "search of models": ("name: agalite", "name: {choice: [agalite, galite]}"),
    "search inside an encoder": ("widths: [4]", "widths: [{choice: [4, 8]}]"),
    "own model": ("{name: agalite, d_model: 8,", "{name: 'my_package.models:mine', sise: 3,"),
    "encoder by name": ("{type: mlp, widths: [4]}", "auto"),
    "own encoder": ("{type: mlp, widths: [4]}", "'my_package:Encoder'"),
    "null block": ("  model: {", "  checkpoint:\n  model: {"),
    "scheduler": (
        "  model: {",
        "  tune: {num_samples: 2, scheduler: {asha: {max_t: 9}}, search_alg: optuna}\n  model: {",
    ),
    "old top level": ("  model: {", "  num_samples: 2\n  checkpoint_freq: 3\n  local_dir: results\n  model: {"),
    "nothing": ("num_env_runners: 0", "callbacks: null, preprocessor_pref: null"),
    "auto for a number": ("minibatch_size: null", "minibatch_size: auto, evaluation_interval: 0"),
    "old name": ("num_env_runners: 0", "num_workers: 0"),
    "old metric": ("training_iteration: 1e2", "episode_reward_mean: 3"),
    "callbacks": ("  model: {", "  callbacks: [a.b.C, {a.b.D: {x: 1}}]\n  restore: results\n  model: {"),
    "connectors": (
        "num_env_runners: 0",
        "env_to_module_connector: [a:B, {a.C: {x: 1}}], learner_connector: {a:B: }, observation_filter: MeanStdFilter",
    ),
    "own classes": ("num_env_runners: 0", "learner_class: a.b:C, module_class: a.B"),
    "policies": ("  model: {", "  multi_agent: {policies: [a, b], mapping: {x: a, '*': b}}\n  model: {"),
    "model of a policy": (
        "  model: {",
        "  multi_agent: {policies: {a: {model: {name: gru, d_model: {choice: [3, 4]}}}, b: }, mapping: {'*': a}}\n"
        "  model: {",
    ),
    "logging": ("  model: {", "  logging: {tensorboard: false, wandb: {project: x}}\n  model: {"),
}
MISTAKES = {
    "top level": ("  run: PPO", "  run: PPO\n  runn: PPO"),
    "algorithm": ("run: PPO", "run: PP0"),
    "no environment": ("  env: rllib_recattn/TMaze-v0\n", ""),
    "metric": ("training_iteration", "training_iterations"),
    "text for a number in stop": ("1e2", "soon"),
    "no iteration": ("1e2", "0"),
    "success in percent": ("training_iteration: 1e2", "env_runners/success_rate: 95"),
    "config key": ("num_env_runners", "num_env_runnerz"),
    "text for a number": ("lr: 1e-3", "lr: fast"),
    "out of bounds": ("num_env_runners: 0", "num_env_runners: -1"),
    "no machine holds them": ("num_env_runners: 0", "num_env_runners: 1e30"),
    "in evaluation": ("explore: false", "explor: false"),
    "another algorithm's setting": ("lr: 1e-3", "vtrace: true"),
    "Python objects": ("lr: 1e-3", "policies: [a]"),
    "null": ("num_env_runners: 0", "num_env_runners: null"),
    "model": ("name: agalite", "name: agalit"),
    "model setting": ("d_model", "d_modell"),
    "another model's setting": ("d_model: 8", "memory_length: 8"),
    "model size": ("d_model: 8", "d_model: '8'"),
    "encoder": ("type: mlp", "type: mlpp"),
    "encoder setting": ("widths", "width"),
    "search of algorithms": ("run: PPO", "run: {grid_search: [PPO, APPO]}"),
    "search word": ("lr: 1e-3", "lr: {loguniforn: [1e-5, 1e-3]}"),
    "search arguments": ("lr: 1e-3", "lr: {loguniform: [1e-5]}"),
    "search that runs code": ("lr: 1e-3", "lr: {sample_from: 'lambda: 1'}"),
    "empty grid": ("lr: 1e-3", "lr: {grid_search: []}"),
    "scheduler": ("  model: {", "  tune: {scheduler: asher}\n  model: {"),
    "scheduler argument": ("  model: {", "  tune: {scheduler: {asha: {maxt: 3}}}\n  model: {"),
    "checkpoint": ("  model: {", "  checkpoint: {frequenzy: 3}\n  model: {"),
    "policies": ("  model: {", "  multi_agent: {policies: [], mapping: {x: a}}\n  model: {"),
    "logging": ("  model: {", "  logging: {wandb: {projekt: x}}\n  model: {"),
    "two experiments": ("maze:", "a: {run: PPO, env: x}\nmaze:"),
}


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(COMMITTED.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def changed(text, change):
    before, after = change
    assert text.count(before) >= 1
    # PyYAML takes 1e-3 for a text; the reader of experiments does not.
    return parse_yaml(text.replace(before, after, 1), "a test")


@pytest.mark.skipif(
    f"ray=={ray.__version__}" not in CONSTRAINTS, reason="holds the settings of the pinned version of RLlib"
)
def test_the_committed_schema_is_current(own_models):
    """After a change: rllib schema --output schema/experiment.schema.json."""
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == experiment_schema()
    assert COMMITTED.stat().st_size < 300_000


def test_it_knows_all_algorithms_and_models(validator, own_models):
    definitions = validator.schema["$defs"]
    assert definitions["experiment"]["properties"]["run"]["enum"] == list(CONFIG_CLASSES)
    assert {f"model-{name}" for name in model_names()} <= definitions.keys()


@pytest.mark.parametrize("path", [*TUNED_EXAMPLES, *OLD_FILES], ids=lambda path: path.stem)
def test_examples_and_old_files_are_valid(validator, path):
    assert [error.message for error in validator.iter_errors(read_yaml(path))] == []


@pytest.mark.parametrize("path", TUNED_EXAMPLES, ids=lambda path: path.stem)
def test_examples_tell_editors_where_it_is(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    hint = "# yaml-language-server: $schema="
    assert first.startswith(hint)
    assert (path.parent / first.removeprefix(hint)).resolve() == COMMITTED


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_is_right(validator, change):
    assert [error.message for error in validator.iter_errors(changed(GOOD, change))] == []


@pytest.mark.parametrize("change", MISTAKES.values(), ids=MISTAKES)
def test_what_is_wrong(validator, change):
    assert not validator.is_valid(changed(GOOD, change))


def test_the_command_prints_or_writes_it(tmp_path):
    printed = CliRunner().invoke(main, ["schema"])
    assert printed.exit_code == 0
    assert json.loads(printed.stdout) == experiment_schema()
    written = CliRunner().invoke(main, ["schema", "--output", str(tmp_path / "x.json")])
    assert written.exit_code == 0
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == printed.stdout
    refused = CliRunner().invoke(main, ["schema", "--output", str(tmp_path / "missing" / "x.json")])
    assert refused.exit_code == 2
    assert "there is no directory" in refused.stderr
    refused = CliRunner().invoke(main, ["schema", "-o", str(tmp_path)])
    assert refused.exit_code == 2
    assert "should be a file, but is a directory" in refused.stderr
