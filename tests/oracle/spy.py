"""What a learner sees: a connector piece that numbers the steps of a batch, and learners that write down each loss."""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import tree
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core.columns import Columns

from rllib_recattn.rl_module.learner import (
    RecAttnAPPOLearner,
    RecAttnIMPALALearner,
    RecAttnMARWILLearner,
    RecAttnPPOLearner,
)

KEY = "oracle_key"
DIRECTORY = "oracle_directory"  # in learner_config_dict
_VTRACE = {
    "IMPALA": "ray.rllib.algorithms.impala.torch.impala_torch_learner",
    "APPO": "ray.rllib.algorithms.appo.torch.appo_torch_learner",
}


class AddKeys(ConnectorV2):
    """Adds to each step of a train batch: the number of its episode, its step there, and its chunk's start and length.

    The infos of the environments say the first two. A step that RLlib has appended to the chunk counts in none.

    Args:
        directory: Where to write down the observations as modules saw them; None: not at all.
    """

    def __init__(self, directory: str | None = None):
        super().__init__()
        self.directory = directory

    def __call__(self, *, rl_module: Any, batch: dict[str, Any], episodes: Sequence[Any], **kwargs: Any) -> Any:
        has_appended = Columns.LOSS_MASK in batch
        for episode in self.single_agent_episode_iterator(episodes, agents_that_stepped_only=False):
            length = len(episode)
            if length == 0:
                continue
            infos = episode.get_infos(slice(0, length))
            number, start, n_steps = infos[0]["episode"], infos[0]["t"], length - has_appended
            keys = [np.array([number, start + step, start, n_steps], np.int64) for step in range(length)]
            if self.directory is not None:
                observations = np.stack(list(episode.get_observations(slice(0, length))))
                _write(self.directory, "seen", {"episode": number, "start": start, "observations": observations})
            self.add_n_batch_items(batch, KEY, np.stack(keys) if episode.is_numpy else keys, length, episode)
        return batch


class SpyMixin:
    """For learners: writes down every batch of which a loss is computed, with what the modules say of it."""

    def compute_loss_for_module(self, *, module_id: str, config: Any, batch: Any, fwd_out: Any) -> Any:
        loss, targets = self._compute_loss_and_targets(module_id=module_id, config=config, batch=batch, fwd_out=fwd_out)
        module = self.module[module_id].unwrapped()
        with torch.no_grad():
            values = module.compute_values(batch, embeddings=fwd_out.get(Columns.EMBEDDINGS))
        seen = {
            "module": module_id,
            "loss": float(loss),
            "batch": {key: value for key, value in batch.items() if key != Columns.STATE_IN},
            "logits": fwd_out[Columns.ACTION_DIST_INPUTS],
            "values": values,
            **targets,
        }
        plain = tree.map_structure(lambda x: x.detach().numpy().copy() if isinstance(x, torch.Tensor) else x, seen)
        _write(self.config.learner_config_dict[DIRECTORY], "loss", plain)
        return loss

    def _compute_loss_and_targets(self, **arguments: Any) -> tuple[Any, dict[str, Any]]:
        return super().compute_loss_for_module(**arguments), {}


class _SpyOnVTraceMixin(SpyMixin):
    algorithm: str

    def _compute_loss_and_targets(self, **arguments: Any) -> tuple[Any, dict[str, Any]]:
        module = import_module(_VTRACE[self.algorithm])
        vtrace, seen = module.vtrace_torch, {}

        def spy(**call: Any) -> Any:
            targets, advantages = vtrace(**call)
            log_rhos = call["target_action_log_probs"] - call["behaviour_action_log_probs"]
            seen.update(vtrace_targets=targets.T, vtrace_advantages=advantages.T, log_rhos=log_rhos.T)
            return targets, advantages

        with mock.patch.object(module, "vtrace_torch", spy):
            loss, _ = super()._compute_loss_and_targets(**arguments)
        return loss, seen


class SpyPPOLearner(SpyMixin, RecAttnPPOLearner):
    """PPO's."""


class SpyIMPALALearner(_SpyOnVTraceMixin, RecAttnIMPALALearner):
    """IMPALA's."""

    algorithm = "IMPALA"


class SpyAPPOLearner(_SpyOnVTraceMixin, RecAttnAPPOLearner):
    """APPO's."""

    algorithm = "APPO"


class SpyMARWILLearner(SpyMixin, RecAttnMARWILLearner):
    """MARWIL's and BC's."""


LEARNERS = {
    "PPO": SpyPPOLearner,
    "APPO": SpyAPPOLearner,
    "IMPALA": SpyIMPALALearner,
    "MARWIL": SpyMARWILLearner,
    "BC": SpyMARWILLearner,
}


def read_losses(directory: Path) -> list[dict[str, Any]]:
    """Return what learners have written down, in no particular order."""
    return [pickle.loads(path.read_bytes()) for path in directory.glob("loss-*.pickle")]


def read_seen(directory: Path) -> dict[int, dict[int, np.ndarray]]:
    """Return the observations of steps by episode as modules saw them, as far as they were written down."""
    seen: dict[int, dict[int, np.ndarray]] = {}
    for path in directory.glob("seen-*.pickle"):
        chunk = pickle.loads(path.read_bytes())
        of_episode = seen.setdefault(chunk["episode"], {})
        for t, observation in enumerate(chunk["observations"], start=chunk["start"]):
            of_episode.setdefault(t, observation)  # of the last one of a chunk, what the module saw when it went on
    return seen


def _write(directory: str, kind: str, what: dict[str, Any]) -> None:
    """Write a file that is there as a whole or not at all."""
    path = Path(directory) / f"{kind}-{uuid.uuid4().hex}"
    path.with_suffix(".part").write_bytes(pickle.dumps(what))
    path.with_suffix(".part").rename(path.with_suffix(".pickle"))
