"""How a model's state [B, S] travels through RLlib's sample batches.

RLlib's old stack asks a ModelV2 for a list of states. What a step returns as ``state_out_i`` the next one gets as
``state_in_i``, and so does each row of a train batch, through view requirements.

Shape suffixes: B rows of a batch, S numbers of state, M steps of memory, L layers, D features.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from gymnasium.spaces import Box
from ray.rllib.policy.view_requirement import ViewRequirement
from torch import Tensor, nn

from rllib_recattn.models.base import SequenceModel
from rllib_recattn.models.gtrxl import GTrXL


class StateViews(ABC):
    """Translates between a model's state and RLlib's list of states.

    Attributes:
        sizes: Numbers in each of RLlib's states.
        spans: How many of the last steps the view of each state shows.
    """

    sizes: tuple[int, ...]
    spans: tuple[int, ...]

    def initial(self) -> list[Tensor]:
        """Return RLlib's states before an episode, without a batch dimension."""
        return [torch.zeros(size) for size in self.sizes]

    @abstractmethod
    def read(self, states: Sequence[Tensor]) -> Tensor:
        """Return the model's state [B, S] from what the views show."""

    @abstractmethod
    def write(self, state: Tensor, states: Sequence[Tensor]) -> list[Tensor]:
        """Return RLlib's states [B, size] after a step from the model's state [B, S].

        Args:
            state: The model's state after the step.
            states: What the model's state before it was read from.
        """


class PackedState(StateViews):
    """The whole state as one tensor.

    Args:
        model: The model.
    """

    spans = (1,)

    def __init__(self, model: SequenceModel):
        self.sizes = (model.state_size,)
        self._initial = model.initial_state(1)[0].detach().cpu()

    def initial(self) -> list[Tensor]:
        """Return the model's own initial state [S]."""
        return [self._initial]

    def read(self, states: Sequence[Tensor]) -> Tensor:
        """Return the state as it is."""
        return states[0]

    def write(self, state: Tensor, states: Sequence[Tensor]) -> list[Tensor]:
        """Return the state as it is."""
        return [state]


class MemoryView(StateViews):
    """GTrXL's memory as a view of what past steps added to it, so that a step stores L · D numbers and not M · L · D.

    RLlib's first state is how many steps the memory holds, the second what the last step added to it, which is seen
    from M steps before up to the step before. The count comes first, since RLlib asks the view of the first state
    whether rows may be shorter than max_seq_len (rnn_sequencing.py), on which IMPALA's and APPO's masks rely.

    Who carries the states by hand, from ``policy.get_initial_state()`` through each ``compute_single_action(obs,
    state=…)``, has no views. What comes without a dimension of time is theirs: the initial state, and what they are
    given after a step, the whole memory.

    Args:
        model: The model.
    """

    def __init__(self, model: GTrXL):
        self._n_layers, self._d_model, self._memory_length = len(model.layers), model.d_model, model.memory_length
        self.sizes = (1, self._n_layers * self._d_model)
        self.spans = (1, self._memory_length)

    def read(self, states: Sequence[Tensor]) -> Tensor:
        """Return GTrXL's state from the count [B, 1] and the additions [B, M, L · D], the oldest first.

        By hand: the additions [B, M · L · D], or the last one [B, L · D].
        """
        count, window = states
        if _by_hand(states):
            window = window.unflatten(-1, (-1, self.sizes[1]))
            window = nn.functional.pad(window, (0, 0, self._memory_length - window.shape[1], 0))
        memory = window.flip(1).unflatten(-1, (self._n_layers, self._d_model)).transpose(1, 2)
        return torch.cat([count, memory.flatten(1)], dim=-1)

    def write(self, state: Tensor, states: Sequence[Tensor]) -> list[Tensor]:
        """Return the count [B, 1], and what the step added to the memory of each layer [B, L · D]; by hand, all."""
        memory = state[:, 1:].unflatten(-1, (self._n_layers, self._memory_length, self._d_model))
        if _by_hand(states):
            return [state[:, :1], memory.transpose(1, 2).flip(1).flatten(1)]
        return [state[:, :1], memory[:, :, 0].flatten(1)]


def _by_hand(states: Sequence[Tensor]) -> bool:
    return states[1].dim() == 2


class _Begun(StateViews):
    """Whether the episode has begun, as a number: 0 before its first step."""

    sizes = (1,)
    spans = (1,)

    def read(self, states: Sequence[Tensor]) -> Tensor:
        """Return it as it is [B, 1]."""
        return states[0]

    def write(self, state: Tensor, states: Sequence[Tensor] = ()) -> list[Tensor]:
        """Return 1 for each row [B, 1]: a step was taken."""
        return [torch.ones_like(state)]


BEGUN = _Begun()


class ModelViews(dict[str, ViewRequirement]):
    """The view requirements of a ModelV2, to which RLlib adds those of its states.

    RLlib makes a view of each ``state_in``, of the step before and with the max_seq_len of the policy, which a model
    that was named by its class path is not told. All that is left to say is how far a view looks back.

    Args:
        views: The views of the model's inputs.
        states: How RLlib's states are made, one after the other.
        mend_bootstrap: Whether the value after a trajectory sees the right memory; see :class:`_RowLength`.
    """

    def __init__(self, views: Mapping[str, ViewRequirement], states: Iterable[StateViews], *, mend_bootstrap: bool):
        super().__init__(views)
        self._spans: dict[str, int] = {}
        self._mend_bootstrap = mend_bootstrap
        sizes = [(size, span) for part in states for size, span in zip(part.sizes, part.spans, strict=True)]
        for index, (size, span) in enumerate(sizes):
            self._spans[f"state_in_{index}"] = span
            # RLlib's own would send the state after every step to the learner, which has no use for it.
            space = Box(-np.inf, np.inf, (size,), np.float32)
            self[f"state_out_{index}"] = ViewRequirement(space=space, used_for_training=False)

    def __setitem__(self, column: str, view: ViewRequirement) -> None:
        """Set a view; that of a state looks as far back as the state says."""
        span = self._spans.get(column, 1)
        if span > 1:
            rows = _RowLength(view.batch_repeat_value) if self._mend_bootstrap else view.batch_repeat_value
            view = dataclasses.replace(view, shift=f"-{span}:-1", batch_repeat_value=rows)
        super().__setitem__(column, view)


class _RowLength(int):
    """A ``batch_repeat_value`` of which a trajectory's last row is never empty.

    For the value of a trajectory's last step, ``SampleBatch.get_single_step_input_dict`` joins the window at the
    beginning of its last row and what the steps of this row added, ``n_steps % batch_repeat_value`` of them. Where
    the last row is full, that is 0 and ``[-0:]`` all steps of the trajectory: those before the last row are then
    in the memory twice. For this class the remainder is in 1 … max_seq_len.
    """

    def __rmod__(self, n_steps: int) -> int:
        return (n_steps - 1) % int(self) + 1
