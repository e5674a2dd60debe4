"""Configs of recurrent DQN at random."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.connectors.common.frame_stacking import FrameStacking

import rllib_recattn as ra
from tests.oracle.cases import LENGTHS, MODELS, SIZES
from tests.oracle.environments import Written


@dataclass(frozen=True)
class Case:
    """A config, and how much is sampled with it."""

    model: str
    size: int
    max_seq_len: int
    burn_in: int
    lengths: str
    num_envs: int
    n_fragments: int
    fragment_length: int
    complete_episodes: bool
    n_step: int
    double_q: bool
    dueling: bool
    value_rescaling: bool
    prioritized: bool
    td_error_loss_fn: str
    gamma: float
    pack_rows: bool
    lean_sampling: bool
    use_prev_action: bool
    use_prev_reward: bool
    frames: int
    seed: int
    n_sampled: int = 24

    def build(self, directory: Path) -> DQNConfig:
        """Make the config, whose environments write to `directory`."""
        env_config: dict[str, Any] = {"directory": str(directory), "actions": "discrete"}
        env_config |= {"lengths": LENGTHS[self.lengths], "as_image": self.frames > 1}
        config = DQNConfig().environment(Written, env_config=env_config)
        config.env_runners(
            num_env_runners=0,
            num_envs_per_env_runner=self.num_envs,
            batch_mode="complete_episodes" if self.complete_episodes else "truncate_episodes",
            rollout_fragment_length=max(self.fragment_length, self.n_step),
            episode_lookback_horizon=max(1, self.frames),
        )
        config.training(
            n_step=self.n_step,
            double_q=self.double_q,
            dueling=self.dueling,
            gamma=self.gamma,
            lr=0.0,
            td_error_loss_fn=self.td_error_loss_fn,
            epsilon=0.5,
            replay_buffer_config={"type": "EpisodeReplayBuffer"} if not self.prioritized else {"alpha": 0.7},
        )
        config.learners(num_learners=0).debugging(seed=self.seed, log_level="ERROR")
        if self.frames > 1:
            config.env_runners(env_to_module_connector=lambda *_, **__: FrameStacking(num_frames=self.frames))
            config.learners(
                learner_connector=lambda *_, **__: FrameStacking(num_frames=self.frames, as_learner_connector=True)
            )
        return ra.use_model(
            config,
            max_seq_len=self.max_seq_len,
            burn_in=self.burn_in,
            pack_rows=self.pack_rows,
            lean_sampling=self.lean_sampling,
            use_prev_action=self.use_prev_action,
            use_prev_reward=self.use_prev_reward,
            encoder="mlp" if self.frames > 1 else "auto",
            q_learning={"value_rescaling": self.value_rescaling},
            **{"model": self.model, **MODELS[self.model][self.size]},
        )


def draw(seed: int) -> Case:
    """Draw a case, the same for the same seed; seeds that follow one another have each of SIZES in turn."""
    choose = random.Random(seed)
    model, size = SIZES[seed % len(SIZES)]
    lengths = choose.choice(list(LENGTHS))
    burn_in = choose.choice([0, 0, 1, 3])
    return Case(
        model=model,
        size=size,
        max_seq_len=burn_in + choose.choice([2, 3, 5, 8, 12, 20]),
        burn_in=burn_in,
        lengths=lengths,
        num_envs=choose.choice([1, 2, 3]),
        n_fragments=choose.choice([2, 5, 9]),
        fragment_length=choose.choice([1, 3, 4, 7, 13]),
        complete_episodes=choose.random() < 0.2 and lengths != "endless",
        n_step=choose.choice([1, 1, 2, 3, 5]),
        double_q=choose.random() < 0.6,
        dueling=choose.random() < 0.6,
        value_rescaling=choose.random() < 0.4,
        prioritized=choose.random() < 0.5,
        td_error_loss_fn=choose.choice(["huber", "mse"]),
        gamma=choose.choice([0.9, 0.99, 1.0]),
        pack_rows=choose.random() < 0.7,
        lean_sampling=choose.random() < 0.6,
        use_prev_action=choose.random() < 0.4,
        use_prev_reward=choose.random() < 0.4,
        frames=choose.choice([1, 1, 1, 1, 2]),
        seed=seed,
    )
