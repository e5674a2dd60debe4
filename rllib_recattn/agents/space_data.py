"""Spaces as plain data, and back: what says what an agent is given and returns runs no code when it is read."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

import gymnasium as gym
import numpy as np

from rllib_recattn.errors import SettingsError

# No agent has more, and what a file asks for is made before anything else can refuse it.
_MOST_NUMBERS = 1 << 24
_MOST_CHOICES = 1 << 20
_DEEPEST = 16

_DTYPES = {
    "Box": (
        *("float16", "float32", "float64", "int8", "int16", "int32", "int64"),
        "uint8",
        "uint16",
        "uint32",
        "uint64",
    ),
    "Discrete": ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
}


def space_to_data(space: gym.Space) -> dict[str, Any]:
    """Return a space as what JSON can hold; :func:`space_from_data` makes an equal one of it.

    Raises:
        SettingsError: If it is or holds none of those that agents have, or a Dict has keys that are no strings or whole
            numbers.
    """
    if isinstance(space, gym.spaces.Dict):
        for key in space.spaces:
            if type(key) not in (str, int):
                raise SettingsError(f"space {space}: the key {key!r} should be a string or a whole number")
        # In order, which is that of features; and with keys that are numbers, which an object in JSON cannot have.
        return {"type": "Dict", "spaces": [[key, space_to_data(child)] for key, child in space.spaces.items()]}
    if isinstance(space, gym.spaces.Tuple):
        return {"type": "Tuple", "spaces": [space_to_data(child) for child in space.spaces]}
    if isinstance(space, gym.spaces.Box):
        bounds = {"low": _bound(space.low), "high": _bound(space.high)}
        return {"type": "Box", "shape": list(space.shape), "dtype": np.dtype(space.dtype).name, **bounds}
    if isinstance(space, gym.spaces.Discrete):
        return {"type": "Discrete", "n": int(space.n), "start": int(space.start), "dtype": np.dtype(space.dtype).name}
    if isinstance(space, gym.spaces.MultiDiscrete):
        parts = {"nvec": space.nvec.tolist(), "start": space.start.tolist()}
        return {"type": "MultiDiscrete", **parts, "dtype": np.dtype(space.dtype).name}
    if isinstance(space, gym.spaces.MultiBinary):
        # It tells 3 and (3,) apart.
        return {
            "type": "MultiBinary",
            "n": int(space.n) if isinstance(space.n, int | np.integer) else list(space.shape),
        }
    raise SettingsError(f"space {space}: a {type(space).__name__} cannot be stored")


def space_from_data(data: Any, where: str) -> gym.Space:
    """Make a space of what :func:`space_to_data` returned, or of what somebody else wrote.

    Raises:
        SettingsError: If it is no such data, or asks for more numbers than an agent can have.
    """
    try:
        return _space(data, _DEEPEST)
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from None
    except Exception as error:  # whatever Gymnasium and NumPy raise of numbers that they cannot use
        raise SettingsError(f"{where}: is no space: {type(error).__name__}: {error}") from error


def _space(data: Any, depth: int) -> gym.Space:
    if not isinstance(data, dict) or depth == 0:
        raise SettingsError(f"is no space, but a {type(data).__name__}" if depth else "is nested too deep")
    kind = data.get("type")
    if kind == "Dict":
        pairs = [(key, _space(child, depth - 1)) for key, child in data["spaces"]]
        if len(dict(pairs)) < len(pairs) or any(type(key) not in (str, int) for key, _ in pairs):
            raise SettingsError("spaces: the keys of a Dict should be strings or whole numbers, and differ")
        return gym.spaces.Dict(OrderedDict(pairs))
    if kind == "Tuple":
        return gym.spaces.Tuple(tuple(_space(child, depth - 1) for child in data["spaces"]))
    if kind == "Box":
        shape, dtype = _shape(data["shape"]), np.dtype(_name(data["dtype"], _DTYPES["Box"]))
        low, high = (_array(data[key], shape, dtype, key) for key in ("low", "high"))
        return gym.spaces.Box(low, high, shape, dtype.type)
    if kind == "Discrete":
        n, first = _whole(data["n"], 1, _MOST_CHOICES), _whole(data["start"], -(2**53), 2**53)
        return gym.spaces.Discrete(n, start=first, dtype=np.dtype(_name(data["dtype"], _DTYPES["Discrete"])).type)
    if kind == "MultiDiscrete":
        nvec, start = np.array(data["nvec"], np.int64), np.array(data["start"], np.int64)
        if not 0 < nvec.size <= _MOST_CHOICES or nvec.min() < 1 or nvec.max() > _MOST_CHOICES:
            raise SettingsError(f"nvec: should be numbers from 1 to {_MOST_CHOICES}")
        if nvec.sum() > _MOST_CHOICES:
            raise SettingsError(f"nvec: has {nvec.sum()} choices; should have {_MOST_CHOICES} at most")
        dtype = np.dtype(_name(data["dtype"], _DTYPES["Discrete"]))
        return gym.spaces.MultiDiscrete(nvec, dtype=dtype.type, start=start)
    if kind == "MultiBinary":
        n = data["n"]
        return gym.spaces.MultiBinary(_shape(n) if isinstance(n, list) else _whole(n, 1, _MOST_NUMBERS))
    raise SettingsError(f"type = {kind!r}: should be one of Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple")


def _bound(bound: np.ndarray) -> Any:
    """Return a Box's bounds as one number if they are one, else as a flat list; infinite ones as strings."""
    numbers = [repr(each) if isinstance(each, float) and math.isinf(each) else each for each in bound.ravel().tolist()]
    return numbers[0] if numbers and all(each == numbers[0] for each in numbers) else numbers


def _array(bound: Any, shape: tuple[int, ...], dtype: np.dtype[Any], key: str) -> np.ndarray:
    given = bound if isinstance(bound, list) else [bound]
    if not all(type(each) in (int, float) or each in ("inf", "-inf") for each in given):
        raise SettingsError(f"{key}: should be numbers, 'inf' and '-inf'")
    # Whole numbers stay whole: float64 does not hold all of int64.
    numbers = np.array([float(each) if isinstance(each, str) else each for each in given])
    if np.isnan(numbers.astype(np.float64)).any():
        raise SettingsError(f"{key}: should be numbers, not NaN")
    array = numbers.astype(dtype)
    return np.full(shape, array[0]) if not isinstance(bound, list) else array.reshape(shape)


def _shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, list) or len(shape) > 8:
        raise SettingsError(f"shape = {shape!r}: should be a list of at most 8 sizes")
    sizes = tuple(_whole(size, 1, _MOST_NUMBERS) for size in shape)
    if math.prod(sizes) > _MOST_NUMBERS:
        raise SettingsError(f"shape = {shape}: has {math.prod(sizes)} numbers; should have {_MOST_NUMBERS} at most")
    return sizes


def _whole(value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise SettingsError(f"{value!r}: should be a whole number from {least} to {most}")
    return value


def _name(value: Any, names: tuple[str, ...]) -> str:
    if value not in names:
        raise SettingsError(f"dtype = {value!r}: should be one of {', '.join(names)}")
    return str(value)
