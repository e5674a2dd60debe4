"""Modules whose weights are shaken when they are made, wherever that is."""

from __future__ import annotations

from typing import Any

from rllib_recattn.rl_module.modules import RecAttnAPPOModule, RecAttnPPOModule
from tests.oracle.harness import shake


class _ShakenMixin:
    def setup(self) -> Any:
        super().setup()  # type: ignore[misc]
        shake(self, 0.1)  # type: ignore[arg-type]


class ShakenPPOModule(_ShakenMixin, RecAttnPPOModule):
    """PPO's and IMPALA's."""


class ShakenAPPOModule(_ShakenMixin, RecAttnAPPOModule):
    """APPO's."""


MODULES = {"PPO": ShakenPPOModule, "IMPALA": ShakenPPOModule, "APPO": ShakenAPPOModule}
