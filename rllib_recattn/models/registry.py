"""A model's name → its settings → the model; open to the models of other packages.

This package's own are registered by :mod:`rllib_recattn.models.catalog`, which is imported with any part of `models`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from rllib_recattn.errors import SettingsError, suggest, validate
from rllib_recattn.importing import import_named
from rllib_recattn.models.base import ModelSettings, SequenceModel
from rllib_recattn.models.other_names import nearest_model, same_model

# What `build_model`, `use_model` and the model block of a YAML file take beside a model's own settings.
RESERVED_SETTINGS = frozenset(
    {
        "action_mask",
        "action_mask_as_input",
        "burn_in",
        "config",
        "encoder",
        "input_dim",
        "lean_sampling",
        "max_seq_len",
        "memory_view",
        "model",
        "name",
        "pack_rows",
        "policies",
        "q_learning",
        "report_metrics",
        "rllib_fixes",
        "sparse_states",
        "use_prev_action",
        "use_prev_reward",
        "vf_share_layers",
        "weights",
    }
)


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

    @cached_property
    def state_size(self) -> int:
        """S, the number of scalars in one agent's state, float32 in RLlib, with default settings.

        Of a model that remembers its inputs as they are, for inputs of a single feature.
        """
        return self._state_size(input_dim=1)

    @cached_property
    def state_per_feature(self) -> int:
        """How many numbers more there are in a state for each further feature of the inputs; of most models none."""
        return self._state_size(input_dim=2) - self.state_size

    def _state_size(self, input_dim: int) -> int:
        # To initialise the default sizes takes less time than PyTorch's meta device, whose first arithmetic imports
        # its compiler, and asks nothing of other people's models. Nobody's random numbers change.
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            return self.settings().build(input_dim).state_size


_CATALOG: dict[str, ModelInfo] = {}


def register_model(name: str, settings: type[ModelSettings], *, description: str, source: str) -> None:
    """Add a model to the catalog, for `use_model`, YAML files and the command line.

    Call it in the module that defines `settings`, where it runs on import: by that module's name other processes,
    RLlib's EnvRunners and Learners among them, find the model. They must be able to import it, as they are if it is
    installed, on PYTHONPATH, or beside the script that trains. Who has not imported it names the model
    ``"package.module:name"``.

    Args:
        name: A letter, then letters, digits, ``_`` and ``-``.
        settings: A subclass of :class:`~rllib_recattn.models.base.ModelSettings` whose fields are plain data with
            defaults, and whose `build` makes the model.
        description: One line.
        source: Where its equations come from.

    Raises:
        SettingsError: If the name is no such name or another model's, or the settings cannot be used.

    Example:
        A setting of its own default, under a name of its own:

        >>> import rllib_recattn as ra
        >>> from rllib_recattn.models.gru import GRUSettings
        >>> class WideGRUSettings(GRUSettings):
        ...     d_model: int = 256
        >>> ra.register_model("wide-gru", WideGRUSettings, description="A wide GRU.", source="arXiv 1406.1078")
        >>> ra.build_model("wide-gru", input_dim=8).output_dim
        256
    """
    if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name)):
        raise SettingsError(f"register_model: name = {name!r}: should be a letter, then letters, digits, '_' and '-'")
    _check_settings_class(settings, f"register_model({name!r})")
    taken = _CATALOG.get(name)
    # By path, since to run a notebook's cell or to load a module again makes another class of the same model.
    if taken is not None and _path(taken.settings) != _path(settings):
        raise SettingsError(
            f"register_model: the name {name!r} is taken by {_path(taken.settings)}; {_path(settings)} needs another"
        )
    if taken is None or not _is_built_in(taken):
        _CATALOG[name] = ModelInfo(name, description, source, settings)


def list_models() -> list[ModelInfo]:
    """Return the models of the catalog, in the order in which they were registered.

    Example:
        >>> import rllib_recattn as ra
        >>> [info.name for info in ra.list_models()][:3]
        ['agalite', 'galite', 'gtrxl']
    """
    return list(_CATALOG.values())


models = list_models  # its old name


def model_names() -> list[str]:
    """Return the names of the models of the catalog."""
    return list(_CATALOG)


def find_model(name: str) -> ModelInfo:
    """Look a model up; ``"package.module:name"`` imports the module that registers it.

    Other spellings of a name, and names that a model has elsewhere, find it as well: ``"Gated-DeltaNet"``, ``"MLP"``.

    Raises:
        SettingsError: If there is no such model, or its module cannot be imported. Of models known from elsewhere it
            names the nearest.
    """
    if not isinstance(name, str):
        raise SettingsError(f"unknown model {name!r}: should be a name")
    module, colon, plain = name.rpartition(":")
    if colon:
        import_named(module, f"model {name!r}")
    if plain in _CATALOG:
        return _CATALOG[plain]
    if colon:
        raise SettingsError(f"unknown model {name!r}: {module!r} registers no {plain!r}: {suggest(plain, _CATALOG)}")
    known = same_model(name, _CATALOG)
    if known is not None:
        return _CATALOG[known]
    nearest = nearest_model(name, _CATALOG)
    raise SettingsError(
        f"unknown model {name!r}: {nearest or suggest(name, _CATALOG)} (one that is not built in is named "
        "'module:name', with an importable module that registers it)"
    )


def settings_of(name: str) -> type[ModelSettings]:
    """Return the class of a model's settings.

    Raises:
        SettingsError: As :func:`find_model`.
    """
    return find_model(name).settings


def qualified_name(name: str) -> str:
    """Return the name by which processes that have imported nothing find a model as well, as the catalog spells it.

    That of a model that a script or a notebook itself defines is left as it is: no other process can import it.

    Raises:
        SettingsError: As :func:`find_model`.
    """
    info = find_model(name)
    module = info.settings.__module__
    if ":" in name:
        return name
    if _is_built_in(info) or module == "__main__":
        return info.name
    return f"{module}:{info.name}"


def model_settings(name: str, settings: Mapping[str, Any], where: str | None = None) -> ModelSettings:
    """Validate a model's settings.

    Args:
        name: The model's name.
        settings: Those of the model's settings that differ from their defaults.
        where: What the settings belong to, for error messages; the model by default.

    Raises:
        SettingsError: If the model is unknown, or a setting is unknown or has a wrong value.
    """
    return validate(settings_of(name), settings, where or f"model {name!r}")


def recorded_settings(name: str, settings: Mapping[str, Any], where: str) -> ModelSettings:
    """Validate a model's settings that a checkpoint states, which an earlier version of the model may have had.

    Args:
        name: The model's name.
        settings: Its settings; see :meth:`~rllib_recattn.models.base.ModelSettings.as_meant`.
        where: What they belong to, for error messages.

    Raises:
        SettingsError: As :func:`model_settings`.
    """
    schema = settings_of(name)
    return validate(schema, schema.as_meant(settings), where)


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

    Example:
        Two agents, five steps, and a state that goes on from call to call:

        >>> import torch
        >>> import rllib_recattn as ra
        >>> model = ra.build_model("agalite", input_dim=8, d_model=16)
        >>> is_first = torch.zeros(2, 5, dtype=torch.bool)
        >>> features, state = model(torch.randn(2, 5, 8), model.initial_state(2), is_first)
        >>> features.shape, state.shape == (2, model.state_size)
        (torch.Size([2, 5, 16]), True)
    """
    if not isinstance(input_dim, int) or input_dim < 1:
        raise SettingsError(f"input_dim = {input_dim!r}: should be an integer ≥ 1")
    return model_settings(name, settings).build(input_dim)


def _is_built_in(info: ModelInfo) -> bool:
    return info.settings.__module__.startswith(f"{__package__}.")


def _check_settings_class(settings: Any, where: str) -> None:
    if not (isinstance(settings, type) and issubclass(settings, ModelSettings)):
        raise SettingsError(f"{where}: settings = {settings!r}: should be a subclass of ModelSettings")
    if inspect.isabstract(settings):
        missing = ", ".join(sorted(settings.__abstractmethods__))
        raise SettingsError(f"{where}: {settings.__name__} should define {missing}")
    for key, field in settings.model_fields.items():
        if key in RESERVED_SETTINGS:
            raise SettingsError(
                f"{where}: {settings.__name__}.{key}: should have another name; {key!r} means something else in "
                "use_model and in YAML"
            )
        if field.is_required():
            raise SettingsError(f"{where}: {settings.__name__}.{key}: should have a default")


def _path(settings: type) -> str:
    return f"{settings.__module__}.{settings.__qualname__}"
