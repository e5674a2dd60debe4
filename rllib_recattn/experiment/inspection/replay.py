"""Reading a recorded episode again as a whole: to take gradients of it, or with an observation changed.

Shape suffixes: R identical rows, T steps, F features, K parameters of the action distribution.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import tree
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis.value_function_api import ValueFunctionAPI
from torch import Tensor

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.inspection.recording import Recording
from rllib_recattn.inputs.tokenizer import Tokenizer


@dataclass(frozen=True)
class Reading:
    """What came of reading the first n steps in R rows.

    Attributes:
        inputs: What gradients are taken with respect to, [R, n, …] each; see :class:`Replay`.
        logits: Parameters of the action distribution [R, n, K].
        values: [R, n]; None if the module estimates no values.
    """

    inputs: list[Tensor]
    logits: Tensor
    values: Tensor | None


class Replay:
    """An episode in front of the module that played it.

    Gradients are taken with respect to encoded observations: what a model of this package reads of an observation, the
    features of numbers or of an image, or one-hot vectors. For other modules these are the observations
    that they are given.

    Args:
        module: The whole RLModule, as the learner has it.
        recording: The episode.
    """

    def __init__(self, module: Any, recording: Recording):
        self.module, self.recording = module, recording
        self._tokenizers = [each for each in module.modules() if isinstance(each, Tokenizer)]
        self._inputs = self.encode(recording.batch[Columns.OBS])
        if not self._inputs:
            raise SettingsError("inspect: the observations of this agent are no numbers that a gradient could reach")

    def encode(self, observations: Any) -> list[Tensor]:
        """Return what stands for observations [R, n, …] in front of the memory, [R, n, …] each; see :class:`Replay`."""
        if not self._tokenizers:
            return [leaf.float() for leaf in tree.flatten(observations) if _has_gradient(leaf)]
        with torch.no_grad():
            return [tokenizer(observations) for tokenizer in self._tokenizers]

    def read(self, n_rows: int = 1, n_steps: int | None = None) -> Reading:
        """Read the first `n_steps` steps, or all, in `n_rows` identical rows, of which gradients can be taken."""
        n_steps = len(self.recording) if n_steps is None else n_steps
        inputs = [_repeated(each[:, :n_steps], n_rows).requires_grad_() for each in self._inputs]
        with torch.enable_grad():
            return self._read(inputs)

    def read_changed(self, steps: Sequence[int], inputs: Sequence[Tensor]) -> Reading:
        """Read the episode in R + 1 rows: as it was, and then with one observation changed in each.

        Args:
            steps: The step at which a row is changed, for R rows.
            inputs: What stands there in the place of the encoded observation [R, …] each.

        Returns:
            What came of it, without gradients.
        """
        rows = torch.arange(1, len(steps) + 1)
        changed = [_repeated(each, len(steps) + 1) for each in self._inputs]
        for whole, of_steps in zip(changed, inputs, strict=True):
            whole[rows, torch.as_tensor(steps)] = of_steps.to(whole.dtype)
        with torch.no_grad():
            return self._read(changed)

    def _read(self, inputs: list[Tensor]) -> Reading:
        n_rows, n_steps = inputs[0].shape[:2]
        batch = {
            name: tree.map_structure(
                lambda leaf, is_state=name == Columns.STATE_IN: _rows(leaf if is_state else leaf[:, :n_steps], n_rows),
                column,
            )
            for name, column in self.recording.batch.items()
        }
        if not self._tokenizers:
            batch[Columns.OBS] = _with_inputs(batch[Columns.OBS], inputs)
        with _answering(dict(zip(self._tokenizers, inputs, strict=False))):
            out = self.module.forward_train(batch)
            values = None
            if isinstance(self.module, ValueFunctionAPI):
                values = self.module.compute_values(batch, out.get(Columns.EMBEDDINGS))
        return Reading(inputs, out[Columns.ACTION_DIST_INPUTS], values)


def _has_gradient(leaf: Tensor) -> bool:
    return leaf.is_floating_point() or leaf.dtype == torch.uint8


def _repeated(leaf: Tensor, n_rows: int) -> Tensor:
    return leaf.repeat(n_rows, *[1] * (leaf.dim() - 1))


def _rows(leaf: Tensor, n_rows: int) -> Tensor:
    return leaf.expand(n_rows, *leaf.shape[1:])


def _with_inputs(observations: Any, inputs: list[Tensor]) -> Any:
    """Put the inputs in the place of the leaves that they were made of."""
    remaining = iter(inputs)
    return tree.map_structure(lambda leaf: next(remaining) if _has_gradient(leaf) else leaf, observations)


@contextmanager
def _answering(features: Mapping[Tokenizer, Tensor]) -> Iterator[None]:
    """Have tokenizers answer with features that are known: images are not encoded again for every row."""
    for tokenizer, answer in features.items():
        tokenizer.forward = partial(_constant, answer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for tokenizer in features:
            del tokenizer.forward


def _constant(answer: Tensor, observations: Any) -> Tensor:
    return answer
