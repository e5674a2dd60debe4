"""From a YAML file to a validated :class:`Experiment`, without loading RLlib."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from rllib_recattn.errors import Settings, SettingsError, suggest, validate
from rllib_recattn.experiment.definition import gone_names, old_names
from rllib_recattn.experiment.definition.api_stack import ApiStack, api_stack_of, config_names
from rllib_recattn.experiment.definition.environment import check_env_config, find_env, ready_made
from rllib_recattn.experiment.definition.experiment_file import is_block, read_experiment_file
from rllib_recattn.experiment.definition.problems import Problems
from rllib_recattn.experiment.definition.spec import CheckpointBlock, Experiment, ModelBlock
from rllib_recattn.experiment.definition.stop import check_stop

ALGORITHMS = ("PPO", "APPO", "IMPALA")

DEFAULT_STORAGE_PATH = "~/ray_results"


@dataclass(frozen=True)
class Overrides:
    """What the command line says instead of the file; None: nothing.

    Attributes:
        stop: Criteria that are added to the file's, or take the place of those for the same metrics.
        storage_path: The directory in which results are stored.
        checkpoint_frequency: Iterations between two checkpoints.
        checkpoint_at_end: Whether the end of training writes a checkpoint.
    """

    stop: Mapping[str, Any] = field(default_factory=dict)
    storage_path: str | None = None
    checkpoint_frequency: int | None = None
    checkpoint_at_end: bool | None = None


class _File(Settings):
    """The top level of an experiment in a file; each block is validated by itself."""

    run: str
    api_stack: ApiStack = "new"
    env: str
    stop: dict[str, Any] = Field(default_factory=dict)
    config: dict[str, Any] = Field(default_factory=dict)
    model: dict[str, Any] | None = None
    checkpoint: dict[str, Any] = Field(default_factory=dict)
    storage_path: str = DEFAULT_STORAGE_PATH
    max_failures: int = Field(default=0, ge=-1)


def load_experiment(path: Path, overrides: Overrides | None = None) -> Experiment:
    """Read and validate the experiment that a file describes.

    RLlib's own settings, under ``config``, are checked when the algorithm's config is built, since their names and
    types are RLlib's.

    Args:
        path: A YAML file that holds one experiment.
        overrides: What the command line says instead of the file.

    Returns:
        The experiment.

    Raises:
        SettingsError: With a line for each thing that is wrong: file, key path, and what would be right.
    """
    name, content = read_experiment_file(path)
    reader = _Reader(f"{path}: {name}", content, overrides or Overrides())
    file, model = reader.file(), reader.model()
    checkpoint, config, stop = reader.checkpoint(), reader.config(), reader.stop()
    reader.check_algorithm()
    env, config = reader.environment(config)
    storage_path = reader.storage_path()
    reader.problems.raise_any()
    return Experiment(
        path=path,
        name=name,
        run=file.run,
        api_stack=reader.stack,
        env=env,
        stop=stop,
        config=config,
        model=model,
        checkpoint=checkpoint,
        storage_path=storage_path,
        max_failures=file.max_failures,
        notes=tuple(reader.notes),
    )


class _Reader:
    """Validates an experiment block by block, so that all that is wrong in any of them is found at once."""

    def __init__(self, where: str, content: Mapping[str, Any], overrides: Overrides):
        self.where = where
        self.overrides = overrides
        self.problems = Problems()
        self.notes: list[str] = []
        self.stack = api_stack_of(content, where, self.notes)
        self.content = self._with_checkpoint_block(self._translated(content, old_names.TOP_LEVEL, gone_names.TOP_LEVEL))
        self.env = self._env()

    def file(self) -> _File:
        with self.problems.collect():
            return validate(_File, self.content, self.where)
        return _File(run="", env="")

    def model(self) -> ModelBlock | None:
        if is_block(self.content.get("model")):
            # The models' settings come with PyTorch, which takes a second or two to import.
            from rllib_recattn.experiment.definition.model_block import check_model

            with self.problems.collect():
                return check_model(self._block("model"), f"{self.where}.model")
        return None

    def checkpoint(self) -> CheckpointBlock:
        block = self._translated(self._block("checkpoint"), old_names.CHECKPOINT, {}, "checkpoint")
        given = {"frequency": self.overrides.checkpoint_frequency, "at_end": self.overrides.checkpoint_at_end}
        with self.problems.collect():
            checkpoint = validate(CheckpointBlock, block, f"{self.where}.checkpoint")
            return checkpoint.model_copy(update={key: value for key, value in given.items() if value is not None})
        return CheckpointBlock()

    def config(self) -> dict[str, Any]:
        names = config_names(self.stack)
        config = self._translated(self._block("config"), names, gone_names.CONFIG, "config")
        if "env" in config:
            self.problems.add(f"{self.where}.config.env: belongs one level up, beside 'config'")
        for key in ("env_config", "evaluation_config", "model_config", "model"):
            if not is_block(config.get(key, {})):
                value = config.pop(key)
                self.problems.add(f"{self.where}.config: {key} = {value!r}: should be a mapping")
        if "evaluation_config" in config:
            config["evaluation_config"] = self._translated(
                config["evaluation_config"], names, gone_names.CONFIG, "config.evaluation_config"
            )
        return config

    def stop(self) -> dict[str, float]:
        block = self._block("stop")
        if not block and not self.overrides.stop:
            self.problems.add(
                f"{self.where}.stop is missing: say when training ends, e.g. stop: {{training_iteration: 100}}"
            )
        evaluates = bool(self._block("config").get("evaluation_interval"))
        return {
            **check_stop(block, f"{self.where}.stop", self.problems, self.notes, evaluates=evaluates, stack=self.stack),
            **check_stop(
                self.overrides.stop, "--stop", self.problems, self.notes, evaluates=evaluates, stack=self.stack
            ),
        }

    def storage_path(self) -> Path:
        with self.problems.collect():
            if self.overrides.storage_path is not None:
                return _storage_path(self.overrides.storage_path, "--storage-path")
            path = self.content.get("storage_path", DEFAULT_STORAGE_PATH)
            return _storage_path(str(path), f"{self.where}.storage_path")
        return Path()

    def check_algorithm(self) -> None:
        run = self.content.get("run")
        if isinstance(run, str) and run not in ALGORITHMS:
            same_letters = [name for name in ALGORITHMS if name.lower() == run.lower()]
            advice = f"did you mean {same_letters[0]!r}?" if same_letters else suggest(run, ALGORITHMS)
            self.problems.add(f"{self.where}.run: unknown algorithm {run!r}: {advice}")

    def environment(self, config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the id of the environment and the config with its settings."""
        env = self.env
        if not env:
            return "", dict(config)
        where = f"{self.where}.config"
        env_config = config.get("env_config", {})
        in_evaluation = config.get("evaluation_config", {}).get("env_config", {})
        with self.problems.collect():
            ready, ready_config = ready_made(env, env_config, f"{where}.env_config")
            if ready != env:
                self.notes.append(f"{self.where}.env: {env!r} is made ready for networks by {ready!r}")
            find_env(ready, f"{self.where}.env")
            check_env_config(ready, ready_config, f"{where}.env_config")
            if is_block(in_evaluation):
                place = f"{where}.evaluation_config.env_config"
                check_env_config(ready, {**ready_config, **in_evaluation}, place)
            return ready, {**config, "env_config": ready_config} if ready_config else dict(config)
        return env, dict(config)

    def _env(self) -> str:
        env = self.content.get("env")
        return old_names.translate_env(env, f"{self.where}.env", self.notes) if isinstance(env, str) else ""

    def _block(self, key: str) -> dict[str, Any]:
        """Return a block of the experiment, empty if it is none, of which `file` complains."""
        value = self.content.get(key)
        return value if is_block(value) else {}

    def _translated(
        self,
        block: Mapping[str, Any],
        names: Mapping[str, str],
        gone: Mapping[str, gone_names.Gone],
        key_path: str = "",
    ) -> dict[str, Any]:
        where = f"{self.where}.{key_path}".rstrip(".")
        block = gone_names.without_gone(block, gone, where, self.problems, self.notes)
        return old_names.translate(block, names, where, self.problems, self.notes)

    def _with_checkpoint_block(self, content: dict[str, Any]) -> dict[str, Any]:
        """Move what older versions of Ray had at the top level into the checkpoint block."""
        block = content.get("checkpoint", {})
        moved = {key: value for key, value in content.items() if key in old_names.CHECKPOINT}
        if not moved or not is_block(block):
            return content
        for key in moved.keys() & block.keys():
            self.problems.add(f"{self.where}: {key!r} is given twice, also in 'checkpoint': keep the latter")
        rest = {key: value for key, value in content.items() if key not in moved}
        return {**rest, "checkpoint": {**moved, **block}}


def _storage_path(text: str, where: str) -> Path:
    if "://" in text:
        raise SettingsError(f"{where} = {text!r}: should be a local or mounted directory; no URIs yet")
    path = Path(text).expanduser().absolute()
    nearest = next(parent for parent in (path, *path.parents) if parent.exists())
    if not nearest.is_dir():
        raise SettingsError(f"{where} = {text!r}: should be a directory, but {nearest} is a file")
    if not os.access(nearest, os.W_OK):
        raise SettingsError(f"{where} = {text!r}: should be a directory that you may write to")
    return path
