"""Agents whose episodes start, end and go on everywhere in the rows of a train batch, and what learners make of it."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import torch
import tree
from ray import cloudpickle
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.training_data import TrainingData
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.evaluation.postprocessing import Postprocessing

import rllib_recattn as ra
from rllib_recattn.models.registry import settings_of
from tests.rl_module.small_agents import CONFIGS
from tests.rl_module.sparse_states.agents import Lengths

MAX_SEQ_LEN = 8
LENGTHS = (3, 7, 8, 1, 9, 2, 20, 6)  # around a row's, with the appended step and without
SIZES = {"d_model": 12, "n_layers": 2, "n_heads": 2, "d_head": 4}


def packing_config(
    algorithm: str = "PPO",
    model: str = "agalite",
    *,
    max_seq_len: int = MAX_SEQ_LEN,
    lengths: tuple[int, ...] = LENGTHS,
    minibatch_size: int | None = None,
    **settings: Any,
) -> AlgorithmConfig:
    """A config of small agents; `settings` are further ones of `use_model`."""
    config = (
        CONFIGS[algorithm]()
        .environment(Lengths, env_config={"lengths": lengths})
        .env_runners(num_env_runners=0, num_envs_per_env_runner=3)
        .learners(num_learners=0)
        .training(minibatch_size=minibatch_size, gamma=0.9)
        .rl_module(model_config={"head_fcnet_hiddens": [4]})
        .debugging(seed=0, log_level="ERROR")
    )
    sizes = {key: value for key, value in SIZES.items() if key in settings_of(model).model_fields}
    return ra.use_model(config, model, max_seq_len=max_seq_len, **sizes, **settings)


def sample(config: AlgorithmConfig, runner_class: type = SingleAgentEnvRunner, fragments: int = 2) -> tuple[bytes, Any]:
    """The chunks of some fragments, pickled since learners change them, and the spaces."""
    torch.manual_seed(0)
    np.random.seed(0)
    runner = runner_class(config=config)
    try:
        chunks = [chunk for _ in range(fragments) for chunk in runner.sample(num_timesteps=90)]
        spaces = {key: value for key, value in runner.get_spaces().items() if not key.startswith("__")}
        return cloudpickle.dumps(chunks), spaces  # multi-agent ones hold the policy mapping
    finally:
        runner.stop()


class Outcome:
    """A learner's batch of some chunks, and the losses and gradients [parameter] of that batch by module."""

    def __init__(self, config: AlgorithmConfig, chunks: bytes, spaces: Any):
        torch.manual_seed(1)
        self.learner = config.build_learner(spaces=spaces)
        self.learner.module.foreach_module(_make_target_networks)
        self.batches = self.learner._make_batch_if_necessary(TrainingData(episodes=pickle.loads(chunks))).policy_batches
        forward_out = self.learner.module.forward_train(self.batches)
        self.losses = self.learner.compute_losses(fwd_out=forward_out, batch=self.batches)
        parameters = {
            f"{module_id}.{name}": parameter
            for module_id, module in self.learner.module.items()
            for name, parameter in module.named_parameters()
            if parameter.requires_grad
        }
        total = sum(loss for loss in self.losses.values() if loss.requires_grad)
        gradients = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
        self.gradients = {
            name: torch.zeros_like(parameter) if gradient is None else gradient
            for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True)
        }

    def steps(self, module_id: str = "default_policy") -> np.ndarray:
        """Everything about the steps that have a loss [step, …], in an order that does not depend on rows."""
        batch = self.batches[module_id]
        names = [Columns.OBS, Columns.ACTIONS, Columns.REWARDS, Columns.ACTION_LOGP, Columns.TERMINATEDS]
        if Postprocessing.ADVANTAGES in batch:
            names += [Postprocessing.ADVANTAGES, Postprocessing.VALUE_TARGETS]
        mask = batch[Columns.LOSS_MASK]
        leaves = tree.flatten([batch[name] for name in names])
        steps = np.concatenate([leaf[mask].reshape(int(mask.sum()), -1).numpy() for leaf in leaves], axis=1)
        return steps[np.lexsort(steps[:, :3].T)]  # the observations, which are all different

    def padding_share(self, module_id: str = "default_policy") -> float:
        """The share of slots without a loss."""
        return 1 - float(self.batches[module_id][Columns.LOSS_MASK].float().mean())

    def assert_equal(self, other: Outcome) -> None:
        """The same steps, losses and gradients, up to rounding."""
        assert self.batches.keys() == other.batches.keys()
        for module_id in self.batches:
            steps, expected = self.steps(module_id), other.steps(module_id)
            np.testing.assert_allclose(steps, expected, rtol=0, atol=1e-5)
            torch.testing.assert_close(self.losses[module_id], other.losses[module_id], rtol=1e-5, atol=1e-5)
        assert self.gradients.keys() == other.gradients.keys()
        assert any(gradient.abs().max() > 1e-3 for gradient in self.gradients.values())
        for name, gradient in other.gradients.items():
            torch.testing.assert_close(self.gradients[name], gradient, rtol=1e-5, atol=1e-5, msg=name)


def _make_target_networks(module_id: str, module: Any) -> None:
    if hasattr(module, "make_target_networks"):
        module.make_target_networks()
