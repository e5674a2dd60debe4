"""Arrays with a place for each step of each environment.

Shape suffixes: N environments, K places for steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tree


def scalar_or_copy(entry: Any) -> Any:
    """Return a NumPy scalar as it is, and a copy of an array."""
    return entry if isinstance(entry, np.generic) else entry.copy()


class Column:
    """What environments observe, do or get: nested arrays [N, K, …], so that an episode's part is contiguous.

    Args:
        example: One step's values [N, …], nested in any way; they tell shapes and types.
        n_slots: K.
        as_item: What makes of an entry of an array the item that RLlib has in its lists. By it goes the type of an
            array that is made of a list, if its items are of different ones.
    """

    def __init__(self, example: Any, n_slots: int, as_item: Callable[[Any], Any] = scalar_or_copy):
        self._as_item = as_item
        self._nested = not isinstance(example, np.ndarray)
        self._example = example
        self._arrays = [np.empty((len(leaf), n_slots, *leaf.shape[1:]), leaf.dtype) for leaf in tree.flatten(example)]

    def put(self, slot: int, values: Any) -> None:
        """Write one step's values [N, …] of all environments."""
        if not self._nested:
            self._arrays[0][:, slot] = values
            return
        for array, leaf in zip(self._arrays, tree.flatten(values), strict=True):
            array[:, slot] = leaf

    def put_items(self, env: int, slot: int, items: list[Any]) -> None:
        """Write values of one environment's steps, from a slot on."""
        for index, item in enumerate(items):
            for array, leaf in zip(self._arrays, tree.flatten(item) if self._nested else (item,), strict=True):
                array[env, slot + index] = leaf

    def has_types_of(self, item: Any) -> bool:
        """Whether one environment's value at a step is of the types of this column."""
        leaves = tree.flatten(item) if self._nested else (item,)
        return all(array.dtype == np.asarray(leaf).dtype for array, leaf in zip(self._arrays, leaves, strict=True))

    def part(self, env: int, start: int, stop: int) -> Any:
        """Return views [stop − start, …] of an environment's values."""
        if not self._nested:
            return self._arrays[0][env, start:stop]
        return tree.unflatten_as(self._example, [array[env, start:stop] for array in self._arrays])

    def items(self, env: int, start: int, stop: int) -> list[Any]:
        """Return copies of an environment's values, one for each step."""
        return [self.item(env, slot) for slot in range(start, stop)]

    def item(self, env: int, slot: int) -> Any:
        """Return a copy of an environment's value."""
        leaves = [self._as_item(array[env, slot]) for array in self._arrays]
        return tree.unflatten_as(self._example, leaves) if self._nested else leaves[0]

    def grow(self, n_slots: int) -> None:
        """Make room for more steps; what :meth:`part` returned stays as it was."""
        for index, array in enumerate(self._arrays):
            larger = np.empty((len(array), n_slots, *array.shape[2:]), array.dtype)
            larger[:, : array.shape[1]] = array
            self._arrays[index] = larger


class Marks:
    """A column that holds the same empty mark for each step, as sparse states leave in the episodes.

    Args:
        mark: A dict of one empty array.
    """

    def __init__(self, mark: dict[str, np.ndarray]):
        self._mark = mark

    def part(self, env: int, start: int, stop: int) -> Any:
        """Return [stop − start, 0], nested like a mark."""
        return {key: np.empty((stop - start, *leaf.shape), leaf.dtype) for key, leaf in self._mark.items()}

    def items(self, env: int, start: int, stop: int) -> list[Any]:
        """Return a mark for each step."""
        return [self._mark] * (stop - start)
