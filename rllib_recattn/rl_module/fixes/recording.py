"""RLlib writes recorded episodes again with every sample, loses others, and waits for CPUs that are not there."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.offline.offline_env_runner import OfflineSingleAgentEnvRunner

from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.recorded_episodes import ENDING, packed, write_rows
from rllib_recattn.rl_module.rllib_internals.env_runners import steps_of

ConfigT = TypeVar("ConfigT", bound=AlgorithmConfig)


class RecordingEnvRunner(OfflineSingleAgentEnvRunner):
    """An EnvRunner that writes what it samples to ``config.output``: each episode once.

    RLlib's own (``OfflineSingleAgentEnvRunner``, offline/offline_env_runner.py)

    - keeps in its buffer what it has written, so that each file holds all episodes so far: the first ones are there as
      often as there were samples, and BC learns mostly from them. With ``output_max_rows_per_file`` it writes one
      file a sample, and loses the rest where there is enough for more;
    - writes with tasks of Ray Data. Where the EnvRunners take all CPUs these wait forever, and after
      ``sample_timeout_s`` the sample counts as lost: nothing is written, nothing is trained, and the run ends as if it
      were finished;
    - logs that a file could not be written, and goes on;
    - records evaluation as well.

    Here a file is written by the EnvRunner itself, and an error in that ends the sample. Ray Data goes on to write
    steps in the place of episodes, to other filesystems, and what ``output_write_method`` or its arguments ask for.
    """

    def __init__(self, **kwargs: Any):
        self._rows: list[Any] = []
        self._n_files = 0
        super().__init__(**kwargs)

    def sample(self, **kwargs: Any) -> list[SingleAgentEpisode]:
        """Sample, and record it."""
        samples: list[SingleAgentEpisode] = SingleAgentEnvRunner.sample(self, **kwargs)
        if self.config.in_evaluation:
            return samples
        if self.output_write_episodes:
            self._rows += [packed(episode) for episode in samples]
        else:
            self._rows += steps_of(self, samples)
        size = self.output_max_rows_per_file or len(self._rows)
        while self._rows and len(self._rows) >= size:
            rows, self._rows = self._rows[:size], self._rows[size:]
            self._write(rows)
        self.metrics.log_value("recording_buffer_size", len(self._rows))
        return samples

    def stop(self) -> None:
        """Write what is left, if ``output_write_remaining_data`` says so, and close the environment."""
        if self._rows and self.write_remaining_data:
            rows, self._rows = self._rows, []
            self._write(rows)
        SingleAgentEnvRunner.stop(self)

    def _write(self, rows: list[Any]) -> None:
        self._n_files += 1
        # A run that is resumed, and other trials, may write into the same directory.
        name = f"{self.worker_path}-{self._n_files:06d}-{uuid.uuid4().hex[:8]}"
        path = Path(self.output_path, self.subdir_path, name)
        if writes_with_ray_data(self.config):
            write = getattr(ray.data.from_items(rows), self.output_write_method)
            write(path.as_posix(), **self.output_write_method_kwargs)
        else:
            write_rows(rows, path.with_name(name + ENDING))


def writes_with_ray_data(config: AlgorithmConfig) -> bool:
    """Whether a config that records asks for what only Ray Data does, which takes a CPU beside those of the trial."""
    return config.output is not None and bool(
        config.env_runner_cls is None  # RLlib's own
        or not config.output_write_episodes  # but steps, whose columns hold arrays
        or config.output_write_method != "write_parquet"
        or config.output_write_method_kwargs.keys() - {"filesystem"}
        or config.output_filesystem
        or "://" in config.output
    )


def record_once(config: ConfigT) -> ConfigT:
    """Let a config that records single agents do so with :class:`RecordingEnvRunner`; returns it."""
    rows = config.output_max_rows_per_file
    if config.output is not None and rows is not None and rows < 1:
        raise SettingsError(f"config.offline_data: output_max_rows_per_file = {rows}: should be at least 1, or None")
    if config.output is not None and config.env_runner_cls is None and not config.is_multi_agent:
        config.env_runners(env_runner_cls=RecordingEnvRunner)
    return config
