"""The catalog: a model's name → its settings → the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rllib_recattn.errors import SettingsError, suggest, validate
from rllib_recattn.models.agalite import AGaLiTeSettings
from rllib_recattn.models.base import ModelSettings, SequenceModel


@dataclass(frozen=True)
class ModelInfo:
    """What the catalog knows of a model.

    Attributes:
        name: As written in `use_model` and in YAML.
        description: One line.
        source: Where its equations come from.
        settings: The class of its settings.
    """

    name: str
    description: str
    source: str
    settings: type[ModelSettings]


_CATALOG = {
    info.name: info
    for info in (
        ModelInfo(
            "agalite",
            "approximate gated linear transformer: oscillating key and value memories",
            "arXiv 2310.15719",
            AGaLiTeSettings,
        ),
    )
}


def models() -> list[ModelInfo]:
    """Return the models of the catalog, in the order in which they were registered."""
    return list(_CATALOG.values())


def model_names() -> list[str]:
    """Return the names of the models of the catalog."""
    return list(_CATALOG)


def settings_of(name: str) -> type[ModelSettings]:
    """Return the class of a model's settings.

    Raises:
        SettingsError: If no model has that name.
    """
    if name not in _CATALOG:
        raise SettingsError(f"unknown model {name!r}: {suggest(str(name), _CATALOG)}")
    return _CATALOG[name].settings


def model_settings(name: str, where: str | None = None, **settings: Any) -> ModelSettings:
    """Validate a model's settings.

    Args:
        name: The model's name.
        where: What the settings belong to, for error messages; the model by default.
        **settings: Those of the model's settings that differ from their defaults.

    Raises:
        SettingsError: If the model is unknown, or a setting is unknown or has a wrong value.
    """
    return validate(settings_of(name), settings, where or f"model {name!r}")


def build_model(name: str, *, input_dim: int, **settings: Any) -> SequenceModel:
    """Build a model as a plain PyTorch module.

    Args:
        name: The model's name.
        input_dim: Features of each input step.
        **settings: Those of the model's settings that differ from their defaults.

    Returns:
        The model; see :class:`~rllib_recattn.models.base.SequenceModel` for how to call it.

    Raises:
        SettingsError: If the model is unknown, or a setting is unknown or has a wrong value.
    """
    if not isinstance(input_dim, int) or input_dim < 1:
        raise SettingsError(f"input_dim = {input_dim!r}: should be an integer ≥ 1")
    return model_settings(name, **settings).build(input_dim)
