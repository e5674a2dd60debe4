"""Models of equal size: the width with which a model has about as many parameters as wanted.

What a user sets stays. Of the rest the number of layers and heads is small, and one width is searched for: that of the
model, and of all heads together. A hybrid's models share it. Where a model takes few widths of its heads, that of the
model is searched for once more by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from rllib_recattn.errors import SettingsError
from rllib_recattn.models.base import SequenceModel
from rllib_recattn.models.registry import model_settings, settings_of

N_LAYERS, N_HEADS = 2, 2
"""The most layers and heads that a model gets, of which nothing else is said."""

_STEP = 2
_WIDEST = 4096
# Settings may refuse a width, such as one that their heads do not divide.
_TRIES = 16
_FAR_OFF = 1.05


@dataclass(frozen=True)
class SizedModel:
    """A model and its size.

    Attributes:
        block: Its name and its settings, sizes included.
        n_parameters: How many parameters it has.
        state_size: S, the numbers of its state.
        searched: Whether a width was searched for; else its size is what its settings say.
    """

    block: dict[str, Any]
    n_parameters: int
    state_size: int
    searched: bool

    def build(self, input_dim: int) -> SequenceModel:
        """Build it, with the global random numbers."""
        return _build(self.block, input_dim)


def size_model(block: Mapping[str, Any], n_parameters: int, input_dim: int) -> SizedModel:
    """Give a model about `n_parameters` parameters.

    Args:
        block: Its name, and those of its settings that are to stay as they are.
        n_parameters: How many are wanted.
        input_dim: D_in, features of each input step.

    Returns:
        Of the widths that the model allows, the one whose number of parameters is nearest, by their ratio.

    Raises:
        SettingsError: If the model is unknown, a setting is wrong, or no width goes with the settings.
    """
    own = {key: value for key, value in block.items() if key != "name"}
    model_settings(block["name"], own)
    at = partial(_with_width, block["name"], own)
    if at(_STEP) == at(_WIDEST):
        return _sized(at(_STEP), input_dim, searched=False)
    width = _nearest(lambda width: _parameters(at(width), input_dim), n_parameters)
    if width is None:
        _build(at(_STEP * N_HEADS), input_dim)  # says what is wrong
        raise SettingsError(f"{block['name']}: no width goes with these settings")
    found = _sized(at(width), input_dim, searched=True)
    if "d_head" in found.block and "d_head" not in own and _off(found.n_parameters, n_parameters) > _FAR_OFF:
        own = {**own, "d_head": found.block["d_head"]}
        alone = size_model({"name": block["name"], **own}, n_parameters, input_dim)
        found = min(found, alone, key=lambda model: _off(model.n_parameters, n_parameters))
    return found


def count_parameters(model: SequenceModel) -> int:
    """Return the number of a model's parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def _with_width(name: str, own: Mapping[str, Any], width: int, n_layers: int = N_LAYERS) -> dict[str, Any]:
    """Return the block of a model with one width in all places that the user has left open."""
    settings = settings_of(name)
    defaults = {key: field.get_default(call_default_factory=True) for key, field in settings.model_fields.items()}
    block = {"name": name, **own}
    if isinstance(defaults.get("models"), list):
        blocks = own.get("models", defaults["models"])
        block["models"] = [_inner(each, width, len(blocks), given="models" in own) for each in blocks]
        return block
    for key, most in (("n_layers", n_layers), ("n_heads", N_HEADS)):
        if key not in own and isinstance(defaults.get(key), int):
            block[key] = min(defaults[key], most)
    n_heads = block.get("n_heads", 1)
    for key, value in (("d_model", width), ("d_head", max(1, width // n_heads))):
        if key not in own and isinstance(defaults.get(key), int):
            block[key] = value
    return block


def _inner(block: Mapping[str, Any], width: int, n_models: int, given: bool) -> dict[str, Any]:
    """Return the block of one of a hybrid's models; of a hybrid by default, the layers are not the user's."""
    own = {key: value for key, value in block.items() if key != "name" and (given or key != "n_layers")}
    return _with_width(block["name"], own, width, max(1, N_LAYERS // n_models))


def _nearest(count: Callable[[int], int | None], wanted: int) -> int | None:
    """Return the width whose count is nearest, of counts that grow with it; None if no width has one."""

    def first_from(width: int) -> tuple[int, int] | None:
        for offset in range(0, _TRIES * _STEP, _STEP):
            found = count(width + offset)
            if found is not None:
                return width + offset, found
        return None

    low, high = first_from(_STEP), first_from(2 * _STEP)
    if low is None:
        return None
    while high is not None and high[1] < wanted and high[0] < _WIDEST:
        low, high = high, first_from(2 * high[0])
    while high is not None and high[0] - low[0] > _STEP:
        middle = first_from(low[0] + (high[0] - low[0]) // (2 * _STEP) * _STEP)
        if middle is None or middle[0] >= high[0]:
            break
        low, high = (middle, high) if middle[1] < wanted else (low, middle)
    return min((low, *([high] if high else [])), key=lambda one: _off(one[1], wanted))[0]


def _off(count: int, wanted: int) -> float:
    """Return by what factor a count is off, up or down."""
    return max(count / wanted, wanted / count)


def _parameters(block: Mapping[str, Any], input_dim: int) -> int | None:
    try:
        return count_parameters(_build(block, input_dim))
    except (SettingsError, ValueError):
        return None


def _sized(block: dict[str, Any], input_dim: int, searched: bool) -> SizedModel:
    model = _build(block, input_dim)
    return SizedModel(block, count_parameters(model), model.state_size, searched)


def _build(block: Mapping[str, Any], input_dim: int) -> SequenceModel:
    own = {key: value for key, value in block.items() if key != "name"}
    return model_settings(block["name"], own).build(input_dim)
