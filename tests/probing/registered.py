"""Registers a model without memory as it is imported: only a test may, since what others run over is the catalog."""

from rllib_recattn.models.registry import register_model
from tests.probing import models


class NoMemorySettings(models.NoMemorySettings):
    """Of this module, so that the model goes from the catalog together with it."""


register_model("no_memory_of_tests", NoMemorySettings, description="no memory", source="none")
