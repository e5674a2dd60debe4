"""What the RLlib modules of this package have in common."""

from __future__ import annotations

from functools import cached_property

from rllib_recattn.rl_module.recurrence import RecurrenceSettings, settings_in
from rllib_recattn.rl_module.rllib_internals.bases import ModuleBase


class RecurrentModule(ModuleBase):
    """Base of the mixins that make one of RLlib's modules a module of this package."""

    @cached_property
    def recurrence(self) -> RecurrenceSettings:
        """What ``use_model`` was told besides the model's own settings."""
        return settings_in(self.model_config)
