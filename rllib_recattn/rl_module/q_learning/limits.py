"""Which settings of a model go with which algorithm: some are for DQN alone, and some are not for it."""

from __future__ import annotations

from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.q_learning.settings import steps_between_states
from rllib_recattn.rl_module.recurrence import RecurrenceSettings


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
