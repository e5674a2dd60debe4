"""What recurrent Q-learning needs of DQN's config, what it cannot do, and which settings of a model go with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from rllib_recattn.errors import SettingsError, shown
from rllib_recattn.rl_module.q_learning.settings import steps_between_states
from rllib_recattn.rl_module.recurrence import RecurrenceSettings

ConfigT = TypeVar("ConfigT")

# RLlib finds out by the name whether a buffer is one of episodes, and imports it by its path.
BUFFER = "rllib_recattn.rl_module.q_learning.replay.SequenceEpisodeReplayBuffer"
_UNIFORM, _PRIORITIZED = "EpisodeReplayBuffer", "PrioritizedEpisodeReplayBuffer"
_KEYS = {"capacity", "alpha", "beta", "seed"}
_OF_RLLIB = {"type", "metrics_num_episodes_for_smoothing"}  # RLlib adds the latter


def replay_sequences(config: ConfigT, where: str) -> ConfigT:
    """Let DQN replay sequences with states, from a buffer of the capacity and with the priorities that it has.

    Args:
        config: DQN's config. Changed in place.
        where: What it was given to, for the error message.

    Raises:
        SettingsError: If it has a buffer of another kind, or something that recurrent Q-learning cannot do.
    """
    check_config(config, where)
    given: dict[str, Any] = dict(config.replay_buffer_config)  # type: ignore[attr-defined]
    kind = _name(given.pop("type"))
    if kind == _UNIFORM:
        given["alpha"] = None
    elif kind == _PRIORITIZED:
        given.setdefault("alpha", 1.0)
    config.training(replay_buffer_config={"type": BUFFER, **given})  # type: ignore[attr-defined]
    return config


def check_config(config: Any, where: str) -> None:
    """Refuse what recurrent Q-learning cannot do.

    Raises:
        SettingsError: With a line for each thing.
    """
    problems = list(_problems(config))
    if problems:
        raise SettingsError("\n".join(f"{where}: {problem}" for problem in problems))


def check_for_dqn(recurrence: RecurrenceSettings, where: str) -> None:
    """Refuse settings that DQN has no use for, or in which no step has a loss.

    Raises:
        SettingsError: If there is one.
    """
    if steps_between_states(recurrence.max_seq_len, recurrence.burn_in) < 1:
        raise SettingsError(
            f"{where}: max_seq_len = {recurrence.max_seq_len}: should be at least burn_in + 2 = "
            f"{recurrence.burn_in + 2} with DQN, whose rows end with a step without loss, to bootstrap from"
        )
    if not recurrence.sparse_states:
        raise SettingsError(
            f"{where}: sparse_states = False: should be left out with DQN, whose replay buffer keeps the state with "
            "which a sequence begins, and no others"
        )
    if not recurrence.vf_share_layers:
        raise SettingsError(f"{where}: vf_share_layers = False: should be left out with DQN, which has one network")


def check_for_others(recurrence: RecurrenceSettings, algorithm: str, where: str) -> None:
    """Refuse settings of DQN where another algorithm runs.

    Raises:
        SettingsError: If there are any.
    """
    if recurrence.q_learning is not None:
        raise SettingsError(f"{where}: q_learning: should be left out; it is for DQN, and this is {algorithm}")


def _problems(config: Any) -> Iterator[str]:
    if isinstance(config.num_atoms, int) and config.num_atoms > 1:
        yield f"num_atoms = {config.num_atoms}: should be 1: a memory learns expected Q-values, not distributions"
    if config.noisy is True:
        yield "noisy = True: should be False, which RLlib's new API stack takes it for: explore by epsilon"
    if isinstance(config.n_step, list | tuple):
        yield f"n_step = {shown(config.n_step)}: should be one whole number, the same for all sequences"
    elif isinstance(config.n_step, int) and config.n_step < 1:
        yield f"n_step = {config.n_step}: should be at least 1"
    if config.burn_in_len:
        yield (
            f"burn_in_len = {shown(config.burn_in_len)}: should be left out; burn_in of use_model, or of the model "
            "block in YAML, is what leaves the first steps of a sequence out of the loss"
        )
    if config.is_multi_agent:
        yield "multi_agent: DQN with memory has one agent; PPO, APPO and IMPALA take several"
    if isinstance(config.num_learners, int) and config.num_learners > 1:
        yield f"num_learners = {config.num_learners}: should be 0 or 1: sequences are not shared among learners"
    if config.store_buffer_in_checkpoints is True:
        yield (
            "store_buffer_in_checkpoints = True: should be False, which RLlib's new API stack takes it for: after a "
            "restore the buffer is filled again before anything is learnt"
        )
    yield from _buffer_problems(config.replay_buffer_config)


def _buffer_problems(buffer: Any) -> Iterator[str]:
    kind = _name(buffer.get("type"))
    if kind not in (BUFFER, _UNIFORM, _PRIORITIZED):
        yield (
            f"replay_buffer_config.type = {kind!r}: should be {_PRIORITIZED!r} or {_UNIFORM!r}, in the place of which "
            "there are sequences with states"
        )
    for key in sorted(buffer.keys() - _KEYS - _OF_RLLIB):
        yield f"replay_buffer_config.{key}: has no effect on sequences; valid are: type, {', '.join(sorted(_KEYS))}"
    capacity = buffer.get("capacity", 1)
    if isinstance(capacity, int | float) and not (isinstance(capacity, int) and capacity > 0):
        yield f"replay_buffer_config.capacity = {capacity!r}: should be a whole number of steps above 0"
    for key in ("alpha", "beta"):
        value = buffer.get(key)
        if isinstance(value, int | float) and not value >= 0:
            yield f"replay_buffer_config.{key} = {value!r}: should be 0 or more"


def _name(kind: Any) -> Any:
    if not isinstance(kind, type):
        return kind.removeprefix("ray.rllib.utils.replay_buffers.") if isinstance(kind, str) else kind
    path = f"{kind.__module__}.{kind.__name__}"
    return path if path == BUFFER or not kind.__module__.startswith("ray.rllib.") else kind.__name__
