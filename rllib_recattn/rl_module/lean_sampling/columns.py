"""Arrays with a place for each step of each environment.

Shape suffixes: N environments, K places for steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tree


def scalar_or_copy(entry: Any) -> Any:
    """Return a NumPy scalar as it is, and a copy of an array."""
    return entry if isinstance(entry, np.generic) else entry.copy()


class Column:
    """What environments observe, do or get: nested arrays [N, K, …], so that an episode's part is contiguous.

    Args:
        example: One step's values [N, …], nested in any way; they tell shapes and types. Values of other types, which
            environments may give out now and then, are kept beside the arrays.
        n_slots: K.
        as_item: What makes of an entry of an array the item that RLlib has in its lists. By it goes the type of an
            array that is made of a list, if its items are of different ones.
    """

    def __init__(self, example: Any, n_slots: int, as_item: Callable[[Any], Any] = scalar_or_copy):
        self._as_item = as_item
        self._nested = not isinstance(example, np.ndarray)
        self._example = example
        self._arrays = [np.empty((len(leaf), n_slots, *leaf.shape[1:]), leaf.dtype) for leaf in tree.flatten(example)]
        self._others: dict[tuple[int, int], Any] = {}  # environment and slot → the item

    def put(self, slot: int, values: Any) -> None:
        """Write one step's values [N, …] of all environments."""
        leaves = self._leaves(values)
        if all(array.dtype == leaf.dtype for array, leaf in zip(self._arrays, leaves, strict=True)):
            for array, leaf in zip(self._arrays, leaves, strict=True):
                array[:, slot] = leaf
            return
        for env in range(len(leaves[0])):
            self._others[env, slot] = self._nest([self._as_item(leaf[env]) for leaf in leaves])

    def put_items(self, env: int, slot: int, items: list[Any]) -> None:
        """Write values of one environment's steps, from a slot on."""
        for at, item in enumerate(items, start=slot):
            self._others.pop((env, at), None)
            leaves = self._leaves(item)
            if any(array.dtype != np.asarray(leaf).dtype for array, leaf in zip(self._arrays, leaves, strict=True)):
                self._others[env, at] = item
                continue
            for array, leaf in zip(self._arrays, leaves, strict=True):
                array[env, at] = leaf

    def is_uniform(self, env: int, start: int, stop: int) -> bool:
        """Whether all of an environment's values there are of the arrays' types."""
        return not self._others or not any((env, slot) in self._others for slot in range(start, stop))

    def part(self, env: int, start: int, stop: int) -> Any:
        """Return views [stop − start, …] of an environment's values, which have to be uniform."""
        return self._nest([array[env, start:stop] for array in self._arrays])

    def items(self, env: int, start: int, stop: int) -> list[Any]:
        """Return copies of an environment's values, one for each step."""
        return [self.item(env, slot) for slot in range(start, stop)]

    def item(self, env: int, slot: int) -> Any:
        """Return a copy of an environment's value."""
        if (env, slot) in self._others:
            return self._others[env, slot]
        return self._nest([self._as_item(array[env, slot]) for array in self._arrays])

    def grow(self, n_slots: int) -> None:
        """Make room for more steps; what :meth:`part` returned stays as it was."""
        for index, array in enumerate(self._arrays):
            larger = np.empty((len(array), n_slots, *array.shape[2:]), array.dtype)
            larger[:, : array.shape[1]] = array
            self._arrays[index] = larger

    def _leaves(self, values: Any) -> Sequence[Any]:
        return tree.flatten(values) if self._nested else (values,)

    def _nest(self, leaves: list[Any]) -> Any:
        return tree.unflatten_as(self._example, leaves) if self._nested else leaves[0]


class Marks:
    """A column that holds the same empty mark for each step, as sparse states leave in the episodes.

    Args:
        mark: A dict of one empty array.
    """

    def __init__(self, mark: dict[str, np.ndarray]):
        self._mark = mark

    def is_uniform(self, env: int, start: int, stop: int) -> bool:
        """Whether all marks are of one type, as they are."""
        return True

    def part(self, env: int, start: int, stop: int) -> Any:
        """Return [stop − start, 0], nested like a mark."""
        return {key: np.empty((stop - start, *leaf.shape), leaf.dtype) for key, leaf in self._mark.items()}

    def items(self, env: int, start: int, stop: int) -> list[Any]:
        """Return a mark for each step."""
        return [self._mark] * (stop - start)
