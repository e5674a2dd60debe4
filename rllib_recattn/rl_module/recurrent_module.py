"""What the RLlib modules of this package have in common."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from rllib_recattn.rl_module.recurrence import RecurrenceSettings, settings_in


class RecurrentModule:
    """Base of the mixins that make one of RLlib's modules a module of this package."""

    model_config: dict[str, Any]

    @cached_property
    def recurrence(self) -> RecurrenceSettings:
        """What ``use_model`` was told besides the model's own settings."""
        return settings_in(self.model_config)
