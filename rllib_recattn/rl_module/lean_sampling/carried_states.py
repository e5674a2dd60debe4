"""The recurrent states of all environments, from step to step, and those that their episodes keep."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
import tree

from rllib_recattn.rl_module.sparse_states.kept_states import KeptStates, State


class CarriedStates:
    """States [N, S] of N environments, and what :class:`KeptStates` has of each one's chunk of an episode.

    Steps are counted from the beginning of a call of ``sample()``.

    Args:
        state_in: The states before the first step, float32 tensors on the CPU, nested in any way.
        initial: The state [S] with which episodes start, likewise, as arrays.
        max_seq_len: The length of the learner's rows.
    """

    def __init__(self, state_in: Any, initial: State, max_seq_len: int):
        # Both in memory of their own. The newest ones are what the module reads.
        self._newest, self._previous = _States(state_in), _States(state_in)
        self._initial = tree.flatten(initial)
        self._max_seq_len = max_seq_len
        n_envs = len(self._newest.tensors[0])
        self._starts = [-1] * n_envs
        self._rows: list[list[State]] = [[] for _ in range(n_envs)]
        self._due: dict[int, list[tuple[int, int]]] = defaultdict(list)

    @property
    def state_in(self) -> Any:
        """The states before the next step, nested as they were given."""
        return self._newest.nested

    def start_chunk(self, env: int, step: int, newest: State) -> None:
        """Note that an environment's chunk begins with a step, before which the state is `newest`."""
        self._starts[env] = step
        self._rows[env] = [newest]
        self._due[step + self._max_seq_len].append((env, step))

    def keep(self, step: int) -> None:
        """Keep the states of the environments for which this step, not yet taken, begins a row."""
        for env, start in self._due.pop(step, ()):
            if self._starts[env] == start:
                self._rows[env].append(self._newest.of(env))
                self._due[step + self._max_seq_len].append((env, start))

    def advance(self, state_out: Any) -> None:
        """Take over the states after a step."""
        self._newest, self._previous = self._previous, self._newest
        self._newest.write(state_out)

    def restart(self, env: int) -> None:
        """Put the initial state in the place of an environment's."""
        for array, leaf in zip(self._newest.arrays, self._initial, strict=True):
            array[env] = leaf

    def kept(self, env: int, t_started: int, n_steps: int, *, ended: bool) -> KeptStates:
        """Return what an episode keeps of an environment's chunk, as if each step had been recorded.

        Args:
            env: Which one.
            t_started: The step of the episode with which the chunk begins.
            n_steps: Its length, at least 1. The last of them is the newest step.
            ended: Whether the episode has ended.
        """
        rows = self._rows[env]
        # A row that would begin after the newest step is not kept before the next one is taken.
        states = KeptStates(
            {
                "t_started": t_started,
                "rows": rows,
                "n_steps": n_steps,
                "max_seq_len": self._max_seq_len,
                "newest": None if ended and n_steps % self._max_seq_len else self._newest.of(env),
                "previous": None if ended else rows[0] if n_steps == 1 else self._previous.of(env),
                "ended": False,
            }
        )
        self._starts[env] = -1
        if ended:
            states.end()
        return states


class _States:
    """States of all environments in memory of their own.

    Attributes:
        nested: The tensors, nested as they were given.
        tensors: The same, one after the other.
        arrays: The same memory, for NumPy.
    """

    def __init__(self, states: Any):
        self.nested = tree.map_structure(lambda leaf: leaf.clone(memory_format=torch.contiguous_format), states)
        self.tensors = tree.flatten(self.nested)
        self.arrays = [tensor.numpy() for tensor in self.tensors]

    def write(self, states: Any) -> None:
        for tensor, leaf in zip(self.tensors, tree.flatten(states), strict=True):
            tensor.copy_(leaf)

    def of(self, env: int) -> State:
        return _nested_like(self.nested, iter([array[env].copy() for array in self.arrays]))


def _nested_like(nested: Any, leaves: Iterator[Any]) -> Any:
    # What `tree.unflatten_as` does with dicts, in their sorted order, in a fifth of the time.
    if not isinstance(nested, dict):
        return next(leaves)
    parts = {key: _nested_like(nested[key], leaves) for key in sorted(nested)}
    return {key: parts[key] for key in nested}
