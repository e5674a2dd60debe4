"""An experiment's content, validated block by block."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from rllib_recattn.algorithms import ABILITIES, abilities_of
from rllib_recattn.envs.ready_made import ready_made, with_package
from rllib_recattn.errors import SettingsError, suggest, validate
from rllib_recattn.experiment.definition.environment import agents_of, check_env_config, find_env
from rllib_recattn.experiment.definition.experiment_file import is_block, say_what_is_wrong, without_wrong_blocks
from rllib_recattn.experiment.definition.imports import ImportEntry, check_imports
from rllib_recattn.experiment.definition.logging_block import LoggingBlock, check_logging
from rllib_recattn.experiment.definition.multi_agent import check_agents, check_multi_agent
from rllib_recattn.experiment.definition.paths import DEFAULT_STORAGE_PATH, checkpoint_to_restore, storage_directory
from rllib_recattn.experiment.definition.spec import CheckpointBlock, ModelBlock, MultiAgentBlock
from rllib_recattn.experiment.definition.stop import check_stop, metrics_of
from rllib_recattn.experiment.definition.top_level import ExperimentFile, Overrides
from rllib_recattn.experiment.definition.tune_block import DEFAULT_METRIC, TUNE_KEYS, TuneBlock, check_tune
from rllib_recattn.migration.old_files import gone_names, old_names
from rllib_recattn.migration.old_files.api_stack import api_stack_of
from rllib_recattn.migration.old_files.present_settings import present_settings
from rllib_recattn.scope import Scope


class ExperimentReader:
    """Validates an experiment block by block, so that all that is wrong in any of them is found at once."""

    def __init__(self, scope: Scope, content: Mapping[str, Any], overrides: Overrides):
        self.scope = scope
        self.overrides = overrides
        self.scope.stack = api_stack_of(content, scope)
        self.model_dict: dict[str, Any] | None = None
        content = self._translated(content, old_names.TOP_LEVEL, gone_names.TOP_LEVEL)
        content = self._with_block(content, "checkpoint", old_names.CHECKPOINT)
        self.content = self._with_block(content, "tune", TUNE_KEYS)
        self.env = self._env()
        self.metrics = metrics_of(self.scope.stack)
        self.abilities = abilities_of(self.content.get("run"))
        if not self.abilities.samples:
            self.metrics = frozenset(metric for metric in self.metrics if not metric.startswith("env_runners/"))

    @property
    def evaluates(self) -> bool:
        """Whether the experiment evaluates while it trains, without which ``evaluation/…`` never comes."""
        return bool(self._block("config").get("evaluation_interval"))

    def file(self) -> ExperimentFile:
        """Return the top level."""
        content = without_wrong_blocks(self.content, self.scope)
        content.pop("callbacks", None)  # `callbacks` says what is wrong with them
        with self.scope.collect():
            return validate(ExperimentFile, content, self.scope.where)
        return ExperimentFile(run="", env="")

    def model(self) -> ModelBlock | None:
        """Return the model block."""
        if is_block(self.content.get("model")):
            # The models' settings come with PyTorch, which takes a second or two to import.
            from rllib_recattn.experiment.definition.model_block import check_model

            with self.scope.collect():
                return check_model(self._block("model"), f"{self.scope}.model")
        return None

    def checkpoint(self) -> CheckpointBlock:
        """Return the checkpoint block."""
        block = self._translated(self._block("checkpoint"), old_names.CHECKPOINT, {}, "checkpoint")
        given = {"frequency": self.overrides.checkpoint_frequency, "at_end": self.overrides.checkpoint_at_end}
        with self.scope.collect():
            checkpoint = validate(CheckpointBlock, block, f"{self.scope}.checkpoint")
            return checkpoint.model_copy(update={key: value for key, value in given.items() if value is not None})
        return CheckpointBlock()

    def logging(self) -> LoggingBlock:
        """Return the logging block."""
        with self.scope.collect():
            return check_logging(self._block("logging"), f"{self.scope}.logging")
        return LoggingBlock()

    def config(self) -> dict[str, Any]:
        """Return RLlib's settings under their present names."""
        scope = self.scope.at("config")
        config = self._settings(self._block("config"), scope)
        if "env" in config:
            scope.at("env").problem("belongs one level up, beside 'config'")
        for key in ("env_config", "evaluation_config", "model_config", "model"):
            if not is_block(config.get(key, {})):
                say_what_is_wrong(key, config.pop(key), scope)
        if "evaluation_config" in config:
            config["evaluation_config"] = self._settings(config["evaluation_config"], scope.at("evaluation_config"))
        if self.scope.stack == "new":  # `load` puts what it means there in its place
            self.model_dict = config.pop("model", None)
        return config

    def multi_agent(self, config: Mapping[str, Any]) -> MultiAgentBlock | None:
        """Return the policies; None for a single agent."""
        scope = self.scope.at("multi_agent")
        said = self.content.get("multi_agent")
        agents, is_known = None, False
        with contextlib.suppress(SettingsError):  # `environment` says what is wrong with it
            agents = agents_of(self.env, config.get("env_config", {}), scope.where)
            is_known = True
        if said is None and agents is not None and not self._block("config").get("multiagent"):
            self.scope.missing(
                "multi_agent",
                f"{self.env} has several agents; say which policy decides for which, e.g. "
                "multi_agent: {policies: [one], mapping: {'*': one}}",
            )
        block = check_multi_agent(said, scope) if is_block(said) else None
        if block is None:
            return None
        if agents is None and is_known:
            scope.problem(f"{self.env} has one agent only, is no ray.rllib.env.MultiAgentEnv")
        elif agents:
            check_agents(block, agents, self.env, scope)
        self.metrics = metrics_of(self.scope.stack, block.policies, agents or block.mapping)
        return block

    def callbacks(self) -> tuple[ImportEntry, ...]:
        """Return the callbacks."""
        said = self.content.get("callbacks")
        return () if said is None else check_imports(said, "class of callbacks", self.scope.at("callbacks"))

    def restore(self) -> Path | None:
        """Return the checkpoint to begin with."""
        option, said = self.overrides.restore, self.content.get("restore")
        if option is None and not isinstance(said, str):
            return None
        where = "--restore" if option is not None else f"{self.scope}.restore"
        with self.scope.collect():
            return checkpoint_to_restore(str(said if option is None else option), where)
        return None

    def stop(self) -> dict[str, float]:
        """Return the stop criteria."""
        block = self._block("stop")
        if not block and not self.overrides.stop and is_block(self.content.get("stop", {})):
            self.scope.missing("stop", "say when training ends, e.g. stop: {training_iteration: 100}")
        return {
            metric: value
            for criteria, scope in ((block, self.scope.at("stop")), (self.overrides.stop, self.scope.called("--stop")))
            for metric, value in check_stop(criteria, scope, evaluates=self.evaluates, metrics=self.metrics).items()
        }

    def tune(self, stop: Mapping[str, float]) -> TuneBlock:
        """Return the tune block."""
        block = self._block("tune")
        if not self.abilities.samples:
            block = {"metric": f"evaluation/{DEFAULT_METRIC}", **block}
        if self.overrides.num_samples is not None:
            block = {**block, "num_samples": self.overrides.num_samples}
        return check_tune(block, self.scope.at("tune"), metrics=self.metrics, stop=stop)

    def storage_path(self) -> Path:
        """Return where results are stored."""
        with self.scope.collect():
            if self.overrides.storage_path is not None:
                return storage_directory(self.overrides.storage_path, "--storage-path")
            path = self.content.get("storage_path", DEFAULT_STORAGE_PATH)
            return storage_directory(str(path), f"{self.scope}.storage_path")
        return Path()

    def check_algorithm(self) -> None:
        """Check the name of the algorithm."""
        run = self.content.get("run")
        if isinstance(run, str) and run not in ABILITIES:
            same_letters = [name for name in ABILITIES if name.lower() == run.lower()]
            advice = f"did you mean {same_letters[0]!r}?" if same_letters else suggest(run, ABILITIES)
            self.scope.at("run").problem(f"unknown algorithm {run!r}: {advice}")
        if not self.abilities.has_old_stack and self.scope.stack == "old":
            self.scope.at("run").problem(f"{run} runs on RLlib's new API stack only; write api_stack: new")
        if not self.abilities.takes_several_agents and "multi_agent" in self.content:
            self.scope.at("multi_agent").problem(f"{run} learns from the episodes of one agent")

    def environment(self, config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the id of the environment and the config with its settings."""
        env = self.env
        if not env:
            return "", dict(config)
        where = f"{self.scope}.config"
        env_config = config.get("env_config", {})
        in_evaluation = config.get("evaluation_config", {}).get("env_config", {})
        with self.scope.collect():
            ready, ready_config = ready_made(env, env_config, f"{where}.env_config")
            if ready != env:
                self.scope.at("env").note(f"{env!r} is made ready for networks by {ready!r}")
            find_env(ready, f"{self.scope}.env")
            check_env_config(ready, ready_config, f"{where}.env_config")
            if in_evaluation and is_block(in_evaluation):
                place = f"{where}.evaluation_config.env_config"
                check_env_config(ready, {**ready_config, **in_evaluation}, place)
            return ready, {**config, "env_config": ready_config} if ready_config else dict(config)
        return env, dict(config)

    def _env(self) -> str:
        env = self.content.get("env")
        if not isinstance(env, str):
            return ""
        found = old_names.translate_env(env, self.scope.at("env"))
        gone = old_names.gone_env(found)
        if gone is not None:
            self.scope.at("env").problem(f"{env!r}: {gone}")
        return with_package(found) if gone is None else ""

    def _block(self, key: str) -> dict[str, Any]:
        """Return a block of the experiment, empty if it is none, of which `file` complains."""
        value = self.content.get(key)
        return value if is_block(value) else {}

    def _settings(self, block: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
        """Return settings of RLlib's under their present names."""
        return present_settings(block, self.content.get("run"), scope)

    def _translated(
        self,
        block: Mapping[str, Any],
        names: Mapping[str, str],
        gone: Mapping[str, gone_names.Gone],
        key_path: str = "",
    ) -> dict[str, Any]:
        scope = self.scope.at(key_path) if key_path else self.scope
        return old_names.translate(gone_names.without_gone(block, gone, scope), names, scope)

    def _with_block(self, content: dict[str, Any], name: str, keys: Collection[str]) -> dict[str, Any]:
        """Move what older versions of Ray had at the top level into a block."""
        block = content.get(name, {})
        moved = {key: value for key, value in content.items() if key in keys}
        if not moved or not is_block(block):
            return content
        for key in moved.keys() & block.keys():
            self.scope.problem(f"{key!r} is given twice, also in {name!r}: keep the latter")
        rest = {key: value for key, value in content.items() if key not in moved}
        return {**rest, name: {**moved, **block}}
