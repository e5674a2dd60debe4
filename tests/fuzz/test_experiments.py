"""Files with mutated experiments: each loads, or is refused with one clear error, and none runs code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given

# Imported here so that nothing that is imported while a file is read can be taken for what the file does.
from rllib_recattn.experiment.algorithm.variants import build_variants
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.experiment.definition.spec import Experiment
from rllib_recattn.experiment.definition.yaml_file import dump_yaml, parse_yaml
from tests.fuzz.experiments import texts
from tests.fuzz.mutations import UNKNOWN_KEY, contents_with_an_unknown_key, mutated_contents, mutated_files
from tests.fuzz.outcome import is_refused, taken_or_refused
from tests.fuzz.profiles import DRY_RUNS, FEW, MANY

Read = Callable[..., "Experiment | str"]

PLAIN = """
plain:
  run: PPO
  env: rllib_recattn/TMaze-v0
  stop: {training_iteration: 1}
  model: {name: lstm}
  config: {num_env_runners: 0}
"""


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    """Loads an experiment from text or plain data; with `dry_run`, builds the configs of all its variants as well."""
    path = tmp_path_factory.mktemp("fuzz") / "experiment.yaml"

    def read_(content: Any, dry_run: bool = False) -> Experiment | str:
        path.write_bytes(content if isinstance(content, bytes) else dump_yaml(content).encode())

        def load() -> Experiment:
            experiment = load_experiment(path)
            if dry_run:
                build_variants(experiment)
            return experiment

        outcome = taken_or_refused(load, str(path))
        assert list(path.parent.iterdir()) == [path]
        return outcome

    return read_


@pytest.mark.parametrize("text", texts())
def test_the_experiments_themselves_are_right(read: Read, text: str) -> None:
    assert not is_refused(read(text.encode(), dry_run=True))


@given(mutated_contents())
@FEW
def test_mutated_content_is_taken_or_refused(read: Read, content: Any) -> None:
    read(content)


@given(mutated_files())
@FEW
def test_mutated_text_is_taken_or_refused(read: Read, content: bytes) -> None:
    read(content)


@given(mutated_contents())
@DRY_RUNS
def test_mutated_content_is_built_or_refused(read: Read, content: Any) -> None:
    read(content, dry_run=True)


def _unknown_key_is_named(read: Read, case: tuple[Any, str]) -> None:
    content, place = case
    outcome = read(content, dry_run=True)
    assert is_refused(outcome), f"{UNKNOWN_KEY} in {place} was taken"
    assert UNKNOWN_KEY in outcome, f"{UNKNOWN_KEY} in {place}: {outcome}"


@given(contents_with_an_unknown_key())
@example(({"plain": {**parse_yaml(PLAIN, "plain")["plain"], UNKNOWN_KEY: None}}, "plain"))
@DRY_RUNS
def test_an_unknown_key_is_refused_by_name(read: Read, case: tuple[Any, str]) -> None:
    _unknown_key_is_named(read, case)


@given(mutated_contents())
@MANY
@pytest.mark.slow
def test_many_contents(read: Read, content: Any) -> None:
    read(content)


@given(mutated_files())
@MANY
@pytest.mark.slow
def test_many_texts(read: Read, content: bytes) -> None:
    read(content)


@pytest.mark.parametrize("key", ["storage_path", "restore"])
@pytest.mark.parametrize("path", ["~nobody-at-all/x", "a" * 300, "x" * 5000, "a\0b", "\ud800", "/dev/null/x"])
def test_texts_that_cannot_be_paths_are_refused(read: Read, key: str, path: str) -> None:
    outcome = read({"plain": {**parse_yaml(PLAIN, "plain")["plain"], key: path}})
    assert is_refused(outcome)
    assert f"plain.{key} = " in outcome


CODE = {
    "a tag that calls": "  logging: !!python/object/apply:os.system [echo hello]",
    "a tag that makes an object": "  logging: !!python/object/new:subprocess.Popen [[echo, hello]]",
    "a tag that imports": "  logging: !!python/module:antigravity",
    "a tag that names": "  logging: !!python/name:os.system",
    "a function to sample from": "  checkpoint: {frequency: {sample_from: 'lambda spec: __import__(\"os\").getpid()'}}",
    "callbacks of the standard library": "  callbacks: [subprocess.Popen]",
    "callbacks with arguments": "  callbacks: [{subprocess.Popen: {args: [echo, hello]}}]",
    "callbacks that are a function": "  callbacks: [os.system]",
    "callbacks that are none": "  callbacks: [torch.hub.load]",
    "callbacks of nowhere": "  callbacks: [no_such_package_at_all.Callbacks]",
}
CODE_IN_PLACE = {
    "an environment that is a function": ("rllib_recattn/TMaze-v0", "os.system"),
    "an environment that loads code": (
        "rllib_recattn/TMaze-v0",
        "{grid_search: ['torch.hub:load', torch.hub.load, 'torch.serialization:load', 'ray.cloudpickle:loads']}",
    ),
    "an environment that starts programs": ("rllib_recattn/TMaze-v0", "subprocess.Popen"),
    "an environment that opens a browser": ("rllib_recattn/TMaze-v0", "antigravity:TMaze-v0"),
    "an environment of nowhere": ("rllib_recattn/TMaze-v0", "no_such_package_at_all:TMaze-v0"),
    "a model that opens a browser": ("name: lstm", "name: 'antigravity:lstm'"),
    "a model of nowhere": ("name: lstm", "name: 'no_such_package_at_all:lstm'"),
    "an encoder that is a function": ("name: lstm", "name: lstm, encoder: 'os:system'"),
    "an encoder behind another module": ("name: lstm", "name: lstm, encoder: 'torch:os.system'"),
    "an encoder with arguments": (
        "name: lstm",
        "name: lstm, encoder: {type: 'subprocess:Popen', settings: {executable: echo}}",
    ),
    "settings that are code": ("num_env_runners: 0", "callbacks_class: os.system"),
    "a connector that loads code": (
        "num_env_runners: 0",
        "env_to_module_connector: {'torch.hub:load': {repo_or_dir: a/b, model: c}}",
    ),
    "a learner that starts programs": ("num_env_runners: 0", "learner_class: subprocess.Popen"),
    "a module that is a function": ("num_env_runners: 0", "module_class: torch.hub.load"),
    "a custom executor": ("num_env_runners: 0", "env_runner_cls: subprocess.Popen"),
}


def test_the_plain_experiment_is_right(read: Read) -> None:
    assert not is_refused(read(PLAIN.encode(), dry_run=True))


@pytest.mark.parametrize(
    "text",
    [f"{PLAIN}{line}\n" for line in CODE.values()] + [PLAIN.replace(*pair) for pair in CODE_IN_PLACE.values()],
    ids=[*CODE, *CODE_IN_PLACE],
)
def test_no_construct_runs_code(read: Read, text: str) -> None:
    assert is_refused(read(text.encode(), dry_run=True))
    assert "antigravity" not in sys.modules
