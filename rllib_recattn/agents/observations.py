"""What an environment gives, checked and made into a batch.

Shape suffixes: B rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from rllib_recattn.agents.nesting import nested_like, path_text
from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.spaces import Path, leaves

# PyTorch computes with none of these.
_DTYPES: dict[str, type[np.integer[Any]]] = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64}

_MOST_LISTED = 20


def tensor_dtype(leaf: gym.Space) -> np.dtype[Any]:
    """Return the dtype of tensors that hold numbers of a leaf of a space."""
    dtype = np.dtype(leaf.dtype)
    return np.dtype(_DTYPES.get(dtype.name, dtype))


class _Leaf:
    """What a leaf of a space wants of its values; looked up at each step it would cost as much as a layer."""

    def __init__(self, path: Path, space: gym.Space, is_filtered: bool):
        self.path, self.space, self.shape = path, space, tuple(space.shape or ())
        self.dtype, self.tensor_dtype = np.dtype(space.dtype), tensor_dtype(space)
        # Where numbers are to be finite: what is not filtered is made float32 before it is computed with.
        self.computed_dtype = self.dtype if is_filtered else np.dtype(np.float32)
        self.is_float = self.dtype.kind == "f"
        self.is_choice = isinstance(space, gym.spaces.MultiBinary | gym.spaces.Discrete | gym.spaces.MultiDiscrete)


class Observations:
    """Makes tensors of the observations of a space.

    Args:
        space: The observation space.
        filtered: Which of its leaves are normalised before they are made float32.
    """

    def __init__(self, space: gym.Space, filtered: Collection[Path] = ()):
        self._space = space
        self._leaves = [_Leaf(path, leaf, path in filtered) for path, leaf in leaves(space)]

    def batch(self, obs: Any, rows: int | None, device: torch.device) -> Any:
        """Make tensors [B, …], nested like the space, of an observation.

        Args:
            obs: An observation; or one for each row, its leaves [B, …].
            rows: B; None for one observation without that dimension.
            device: Where the tensors are to be.

        Raises:
            SettingsError: If it is none of the space, with the key and the shape.
        """
        if not self._leaves[0].path:
            return self._tensor(obs, self._leaves[0], rows, device)
        tensors = {leaf.path: self._tensor(self._at(obs, leaf.path), leaf, rows, device) for leaf in self._leaves}
        return nested_like(self._space, tensors)

    def _tensor(self, value: Any, leaf: _Leaf, rows: int | None, device: torch.device) -> torch.Tensor:
        shape = leaf.shape if rows is None else (rows, *leaf.shape)
        if not (type(value) is np.ndarray and value.dtype == leaf.dtype and value.shape == shape):
            value = self._array(value, leaf, shape, rows)
        if leaf.is_float:
            self._check_finite(value, leaf.path, leaf.computed_dtype)
        if leaf.is_choice:
            self._check_choices(value, leaf.path, leaf.space)
        if leaf.tensor_dtype is not leaf.dtype:
            value = value.astype(leaf.tensor_dtype, copy=False)
        flags = value.flags
        tensor = torch.from_numpy(value if flags.c_contiguous and flags.writeable else value.copy())
        tensor = tensor.unsqueeze(0) if rows is None else tensor
        return tensor if device.type == "cpu" else tensor.to(device)

    def _at(self, obs: Any, path: Path) -> Any:
        space, value = self._space, obs
        for depth, key in enumerate(path):
            is_dict = isinstance(space, gym.spaces.Dict)
            if not isinstance(value, Mapping if is_dict else (tuple, list)):
                kind = "a mapping" if is_dict else "a tuple"
                raise self._wrong(path[:depth], f"is a {type(value).__name__}; should be {kind}")
            there = list(value) if is_dict else list(range(len(value)))
            if key not in there:
                raise self._wrong(path[: depth + 1], f"is missing; there are: {_listed(there)}")
            known = space.spaces if is_dict else range(len(space.spaces))  # type: ignore[attr-defined]
            more = [each for each in there if each not in known]
            if more:
                raise self._wrong((*path[:depth], more[0]), "is not in the space")
            space, value = space[key], value[key]  # type: ignore[index]
        return value

    def _array(self, value: Any, leaf: _Leaf, wanted: tuple[int, ...], rows: int | None) -> np.ndarray:
        """Return values of another type or dtype as an array of the space's."""
        path, dtype = leaf.path, leaf.dtype
        try:
            array = np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value)
            if array.dtype.kind == "O" and dtype.kind == "f" and _are_numbers(array):
                array = array.astype(np.float64)
        except (ValueError, TypeError, RuntimeError, OverflowError):
            array = np.empty(0, dtype=object)
        if array.dtype.kind not in "biuf":
            raise self._wrong(path, f"is {type(value).__name__}; should be numbers of shape {wanted}")
        if array.shape != wanted:
            raise self._wrong(path, f"has shape {array.shape}; should be {wanted}{_rows_text(array, wanted, rows)}")
        if array.dtype == dtype:
            return array
        if array.dtype.kind == "f" and dtype.kind != "f":
            raise self._wrong(path, f"has dtype {array.dtype}; should be {dtype}")
        if dtype.kind in "iu" and array.size:
            bounds = np.iinfo(dtype)
            if int(array.min()) < bounds.min or int(array.max()) > bounds.max:
                raise self._wrong(path, f"has numbers outside of {dtype}")
        self._check_finite(array, path, dtype)
        return array.astype(dtype)

    def _check_finite(self, array: np.ndarray, path: Path, dtype: np.dtype[Any]) -> None:
        """Refuse numbers that a dtype does not hold: a memory would never be rid of them."""
        if array.dtype.kind != "f" or dtype.kind != "f":
            return
        if array.dtype == dtype:
            finite = np.isfinite(array)
        else:
            with np.errstate(over="ignore"):
                finite = np.isfinite(array.astype(dtype))
        if not finite.all():
            at = tuple(int(index) for index in np.argwhere(~finite)[0])
            where = f" at index {at}" if at else ""
            raise self._wrong(path, f"has {float(array[at])!r}{where}; should have finite numbers of {dtype}")

    def _check_choices(self, array: np.ndarray, path: Path, leaf: gym.Space) -> None:
        """Refuse choices that there are not, of which an encoder makes zeros without a word."""
        if isinstance(leaf, gym.spaces.MultiBinary) and ((array != 0) & (array != 1)).any():
            raise self._wrong(path, f"is {array.tolist()}, which is not in {leaf}")
        if isinstance(leaf, gym.spaces.Discrete | gym.spaces.MultiDiscrete):
            sizes = leaf.n if isinstance(leaf, gym.spaces.Discrete) else leaf.nvec
            if ((array < leaf.start) | (array >= leaf.start + sizes)).any():
                raise self._wrong(path, f"is {array.tolist()}, which is not in {leaf}")

    def _wrong(self, path: Path, problem: str) -> SettingsError:
        return SettingsError(f"observation{path_text(path)}: {problem} (observation space {self._space})")


def _are_numbers(array: np.ndarray) -> bool:
    """Whether all objects are Python's numbers, some of which are whole ones that no dtype of NumPy's holds."""
    return all(type(each) in (int, float) for each in array.ravel())


def _listed(keys: list[Any]) -> str:
    """List some of the keys that there are, of which a stranger may have sent thousands."""
    more = f" and {len(keys) - _MOST_LISTED:,} more" if len(keys) > _MOST_LISTED else ""
    return ", ".join(map(repr, keys[:_MOST_LISTED])) + more or "none"


def _rows_text(array: np.ndarray, wanted: tuple[int, ...], rows: int | None) -> str:
    if rows is None and array.shape[1:] == wanted and array.ndim == len(wanted) + 1:
        return f"; for {len(array)} rows at once call agent.reset(n_rows={len(array)}) first"
    if rows is not None and array.ndim == len(wanted) and array.shape[1:] == wanted[1:] and len(array):
        return f"; for {len(array)} rows call agent.reset(n_rows={len(array)})"
    if rows is not None and array.shape == wanted[1:]:
        return f"; the agent acts for {rows} rows, call agent.reset(n_rows=None) to act for one"
    return ""
