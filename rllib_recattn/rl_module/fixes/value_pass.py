"""RLlib's pass over the whole train batch for the values keeps a graph that nobody uses."""

from __future__ import annotations

from typing import Any

import torch
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.connectors.learner import GeneralAdvantageEstimation


class AdvantagesWithoutGraph(GeneralAdvantageEstimation):
    """Generalised advantage estimation whose value pass builds no graph for gradients.

    ``GeneralAdvantageEstimation`` (connectors/learner/general_advantage_estimation.py) computes the values of the
    whole train batch with gradients enabled, and turns them into NumPy arrays. For a recurrent model that keeps the
    activations of every step of the batch in memory, a multiple of what the largest minibatch needs.
    """

    def __call__(self, **kwargs: Any) -> Any:
        """Add advantages and value targets to the batch."""
        with torch.no_grad():
            return super().__call__(**kwargs)


def without_graph(pipeline: list[ConnectorV2]) -> None:
    """Put :class:`AdvantagesWithoutGraph` in the place of RLlib's own piece, in a learner's list of connectors."""
    for i, piece in enumerate(pipeline):
        if type(piece) is GeneralAdvantageEstimation:
            pipeline[i] = AdvantagesWithoutGraph(gamma=piece.gamma, lambda_=piece.lambda_)
