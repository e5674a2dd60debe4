"""What the RLlib modules of this package have in common."""

from __future__ import annotations

from functools import cached_property

from ray.rllib.core.rl_module.rl_module import RLModule

from rllib_recattn.rl_module.recurrence import RecurrenceSettings, settings_in
from rllib_recattn.rl_module.rllib_internals.bases import ModuleBase


class RecurrentModule(ModuleBase):
    """Base of the mixins that make one of RLlib's modules a module of this package."""

    @cached_property
    def recurrence(self) -> RecurrenceSettings:
        """What ``use_model`` was told besides the model's own settings."""
        return settings_in(self.model_config)

    @property
    def state_interval(self) -> int:
        """After how many steps of a chunk of an episode a state is kept: that with which a row begins."""
        return self.recurrence.max_seq_len


def state_interval_of(module: RLModule) -> int:
    """Return after how many steps a state is kept; of a module that is none of this package's, a row's length."""
    if isinstance(module, RecurrentModule):
        return module.state_interval
    max_seq_len: int = module.model_config["max_seq_len"]
    return max_seq_len
