"""The former path of :mod:`rllib_recattn.migration.checkpoints`, which goes on to work."""

from __future__ import annotations

import sys
from importlib import import_module

sys.modules[__name__] = import_module("rllib_recattn.migration.checkpoints")
