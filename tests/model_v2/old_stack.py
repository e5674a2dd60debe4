"""Configs, workers and replays of RLlib's old API stack."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.appo import APPOConfig
from ray.rllib.algorithms.impala import IMPALAConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.evaluation.rollout_worker import RolloutWorker
from ray.rllib.policy.sample_batch import DEFAULT_POLICY_ID, SampleBatch, concat_samples

from rllib_recattn.inputs.input_settings import InputSettings
from rllib_recattn.inputs.previous import PreviousInputs
from tests.rl_module.inputs.random_env import ACTIONS, OBSERVATIONS, RandomEnv

CONFIGS = {"PPO": PPOConfig, "APPO": APPOConfig, "IMPALA": IMPALAConfig}
CLASS_PATH = "rllib_recattn.model_v2.RecAttnModelV2"
TINY = {
    "agalite": {"d_model": 8, "n_layers": 2, "n_heads": 1, "d_head": 4},
    "galite": {"d_model": 8, "n_layers": 1, "n_heads": 1, "d_head": 4},
    "gtrxl": {"d_model": 8, "n_layers": 2, "n_heads": 2, "d_head": 4, "memory_length": 6},
    "linear_attention": {"d_model": 8, "n_layers": 1},
    "retnet": {"d_model": 8, "n_layers": 1},
    "gla": {"d_model": 8, "n_layers": 1},
    "hgrn2": {"d_model": 8, "n_layers": 1},
    "delta_net": {"d_model": 8, "n_layers": 1},
    "gated_delta_net": {"d_model": 8, "n_layers": 1},
    "kda": {"d_model": 8, "n_layers": 1},
    "mamba2": {"d_model": 8, "n_layers": 1},
    "mlstm": {"d_model": 8, "n_layers": 1},
    "rate": {"d_model": 8, "n_layers": 1},
    "lstm": {"d_model": 8},
    "gru": {"d_model": 8},
    "min_gru": {"d_model": 8, "n_layers": 1},
    "lru": {"d_model": 8, "n_layers": 1},
    "rtu": {"d_model": 8, "n_layers": 1},
    "ffm": {"d_model": 8, "n_layers": 1, "memory_size": 4},
    "slstm": {"d_model": 8, "n_layers": 1, "n_heads": 2, "d_head": 4},
    "memoryless": {"d_model": 8, "n_layers": 1},
    "frame_stack": {"d_model": 8, "n_layers": 1, "n_frames": 3},
    "hybrid": {"models": [{"name": "gtrxl", "d_model": 8, "n_layers": 1, "memory_length": 3}, {"name": "gru"}]},
}


def old_stack_config(
    model: str = "agalite",
    algorithm: str = "PPO",
    *,
    observation: Any = OBSERVATIONS["vector"],
    action: Any = ACTIONS["Discrete"],
    length: int = 7,
    fragment: int = 16,
    max_seq_len: int = 4,
    memory_length: int | None = None,
    model_dict: dict[str, Any] | None = None,
    **custom: Any,
) -> AlgorithmConfig:
    """A config of a tiny model on the old stack, whose fragments cut episodes and whose rows cut fragments."""
    settings = {**TINY[model], **custom, "model": model}
    if memory_length is not None:
        settings["memory_length"] = memory_length
    config = (
        CONFIGS[algorithm]()
        .api_stack(enable_rl_module_and_learner=False, enable_env_runner_and_connector_v2=False)
        .environment(RandomEnv, env_config={"observation_space": observation, "action_space": action, "length": length})
        .env_runners(num_env_runners=0, num_envs_per_env_runner=2, rollout_fragment_length=fragment)
        .resources(num_gpus=0)
        .reporting(min_time_s_per_iteration=0)
        .debugging(seed=0, log_level="ERROR", log_sys_usage=False)
        .training(
            train_batch_size=2 * fragment,
            model={
                "custom_model": CLASS_PATH,
                "custom_model_config": settings,
                "max_seq_len": max_seq_len,
                **(model_dict or {}),
            },
        )
    )
    if algorithm == "PPO":
        config.training(minibatch_size=fragment, num_epochs=1)
    return config


def worker_of(config: AlgorithmConfig) -> RolloutWorker:
    """A worker in this process, without Ray."""
    return RolloutWorker(
        env_creator=lambda context: config.env(context),
        default_policy_class=config.algo_class.get_default_policy_class(config),
        config=config,
    )


def samples(worker: RolloutWorker, n_fragments: int) -> SampleBatch:
    """What the worker samples in some fragments, before rows are padded."""
    return concat_samples([sample(worker) for _ in range(n_fragments)])


def sample(worker: RolloutWorker, policy_id: str = DEFAULT_POLICY_ID) -> SampleBatch:
    """What one policy of the worker samples in a fragment."""
    return worker.sample().as_multi_agent().policy_batches[policy_id]


def episodes(batch: SampleBatch, first_step: int = 0) -> list[np.ndarray]:
    """The indices of each episode's steps, in order, of those whose first step is in the batch.

    Of an agent that ended before its episode, RLlib hands out the same steps again with each later fragment.
    """
    found = []
    for episode in np.unique(batch[SampleBatch.EPS_ID]):
        indices = np.flatnonzero(batch[SampleBatch.EPS_ID] == episode)
        steps, first = np.unique(batch[SampleBatch.T][indices], return_index=True)
        if steps[0] == first_step:
            found.append(indices[first])
    return found


class Replay:
    """Reads whole episodes with nothing but PyTorch, from the initial state on, one step at a time.

    Args:
        model: The ModelV2 whose weights are used.
        action_space: The action space.
    """

    def __init__(self, model: Any, action_space: Any, use_prev: bool = False):
        settings = InputSettings(use_prev_action=use_prev, use_prev_reward=use_prev)
        self.model, self.previous = model, PreviousInputs(action_space, settings)

    def __call__(self, obs: Any, actions: Any = None, rewards: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Return logits [T, A] and values [T] for observations [T, …]; actions and rewards [T] are those after them."""
        encoders = [self.model.encoder, getattr(self.model, "critic_encoder", self.model.encoder)]
        outputs = []
        with torch.no_grad():
            x = torch.as_tensor(np.asarray(obs)).unsqueeze(0)
            for encoder in encoders:
                tokens = encoder.tokenizer(x)
                if self.previous.size:
                    encoded = self.previous.encode(actions, rewards, len(rewards))
                    shifted = np.concatenate([np.zeros_like(encoded[:1]), encoded[:-1]])
                    tokens = torch.cat([tokens, torch.as_tensor(shifted).unsqueeze(0)], dim=-1)
                state, steps = encoder.model.initial_state(1), []
                for t in range(tokens.shape[1]):
                    y, state = encoder.model(tokens[:, t : t + 1], state)
                    steps.append(y[0, 0])
                outputs.append(torch.stack(steps))
            return self.model.pi(outputs[0]).numpy(), self.model.vf(outputs[1])[:, 0].numpy()
