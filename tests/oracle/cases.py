"""Configs at random: every combination of what a user can choose and what an environment can do."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.bc import BCConfig
from ray.rllib.algorithms.marwil import MARWILConfig
from ray.rllib.connectors.common.frame_stacking import FrameStacking
from ray.rllib.connectors.env_to_module import MeanStdFilter

import rllib_recattn as ra
from tests.oracle.environments import Written, WrittenCrowd
from tests.oracle.spy import DIRECTORY, LEARNERS, AddKeys
from tests.rl_module import small_agents

OFFLINE = {"BC": BCConfig, "MARWIL": MARWILConfig}
CONFIGS = {**small_agents.CONFIGS, **OFFLINE}
STACKED = {"d_model": 8, "n_layers": 2, "n_heads": 2, "d_head": 4}
ONE_LAYER = {**STACKED, "n_layers": 1}
MODELS: dict[str, list[dict[str, Any]]] = {
    "agalite": [
        STACKED,
        {**ONE_LAYER, "r": 5, "frequencies": "published"},
        {**STACKED, "eta": 2, "r": 3, "residual": "sum"},
        {**ONE_LAYER, "feedforward": False, "max_timescale": 2.0},
    ],
    "galite": [STACKED, {**ONE_LAYER, "eta": 2}],
    "gtrxl": [{**STACKED, "memory_length": 3}, {**ONE_LAYER, "memory_length": 16}, {**STACKED, "memory_length": 1}],
    "linear_attention": [{**ONE_LAYER, "conv_size": 3}],
    "retnet": [STACKED],
    "gla": [STACKED, {**ONE_LAYER, "d_key": 3, "residual": "sum"}],
    "hgrn2": [STACKED, {**STACKED, "d_key": 3}],
    "delta_net": [STACKED],
    "gated_delta_net": [STACKED, {**ONE_LAYER, "d_key": 3, "conv_size": 0}],
    "kda": [ONE_LAYER],
    "mamba2": [STACKED],
    "mlstm": [STACKED],
    "rate": [
        {**STACKED, "segment_length": 3, "n_memory_tokens": 2},
        {**ONE_LAYER, "segment_length": 5, "n_memory_tokens": 1, "residual": "gated"},
    ],
    "lstm": [{"d_model": 8}, {"d_model": 8, "n_layers": 2, "max_timescale": 16.0}],
    "gru": [{"d_model": 8}, {"d_model": 6, "n_layers": 2}],
    "min_gru": [{"d_model": 8, "n_layers": 2}, {"d_model": 8, "n_layers": 1, "d_state": 5, "conv_size": 0}],
    "lru": [{"d_model": 8, "n_layers": 2, "max_timescale": 16.0}],
    "rtu": [{"d_model": 8, "n_layers": 1, "d_state": 5}],
    "ffm": [{"d_model": 8, "n_layers": 1, "memory_size": 5, "context_size": 3}],
    "slstm": [STACKED, {**ONE_LAYER, "conv_size": 3, "residual": "sum"}],
    "memoryless": [{"d_model": 8, "n_layers": 1}],
    "frame_stack": [{"d_model": 8, "n_layers": 1, "n_frames": 3}, {"d_model": 8, "n_layers": 1, "residual": "sum"}],
    "hybrid": [
        {"models": [{"name": "agalite", **ONE_LAYER}, {"name": "gtrxl", **ONE_LAYER, "memory_length": 4}]},
        {"models": [{"name": "gru", "d_model": 6}, {"name": "rate", **ONE_LAYER, "segment_length": 2}]},
    ],
}
SIZES = [(name, index) for name, sizes in MODELS.items() for index in range(len(sizes))]
LENGTHS: dict[str, tuple[int, ...]] = {
    "one step": (1,),
    "short": (3, 1, 2),
    "mixed": (1, 7, 20, 4),
    "long": (33, 50),
    "endless": (10**6,),
}
CROWDS: dict[str, dict[str, tuple[int, int | None, int]]] = {  # agent → first step, gone at, steps between actions
    "always there": {"one": (0, None, 1), "two": (0, None, 1)},
    "skipping": {"one": (0, None, 1), "third": (0, None, 3), "rare": (1, None, 11)},
    "joining": {"one": (0, None, 1), "late": (4, None, 1), "later": (9, None, 2)},
    "dying": {"one": (0, None, 1), "dies": (0, 8, 1), "waits": (0, 10, 4), "visits": (3, 12, 2)},
}


@dataclass(frozen=True)
class Case:
    """A config, and how much is sampled with it; `crowd` is None for a lone agent."""

    algorithm: str
    models: tuple[tuple[str, int], ...]  # (name, index into MODELS[name]) of each policy
    max_seq_len: tuple[int, ...]  # of each policy
    lengths: str
    actions: str
    num_envs: int
    n_fragments: int
    fragment_length: int
    complete_episodes: bool
    burn_in: int
    pack_rows: bool
    sparse_states: bool
    vf_share_layers: bool
    use_prev_action: bool
    use_prev_reward: bool
    off_policy: bool
    crowd: str | None = None
    frames: int = 1
    mean_std_filter: bool = False
    lookback: int = 1
    seed: int = 0
    changes: dict[str, Any] = field(default_factory=dict)  # to RLlib's config

    @property
    def policies(self) -> list[str]:
        """The names of the policies."""
        return ["default_policy"] if self.crowd is None else [f"p{i}" for i in range(len(self.models))]

    def model_settings(self, index: int) -> dict[str, Any]:
        """What `use_model` is told of the model of a policy."""
        name, variant = self.models[index]
        return {"model": name, **MODELS[name][variant]}

    def build(self, directory: Path) -> AlgorithmConfig:
        """Make the config, whose environments and learners write to `directory`."""
        config = CONFIGS[self.algorithm]()
        env_config: dict[str, Any] = {"directory": str(directory), "actions": self.actions}
        if self.crowd is None:
            env_config |= {"lengths": LENGTHS[self.lengths], "as_image": self.frames > 1}
            config.environment(Written, env_config=env_config)
        else:
            env_config |= {"agents": CROWDS[self.crowd], "length": min(max(LENGTHS[self.lengths]), 60)}
            config.environment(WrittenCrowd, env_config=env_config)
            agents = list(CROWDS[self.crowd])
            config.multi_agent(
                policies=set(self.policies),
                policy_mapping_fn=lambda agent, episode, **kwargs: f"p{agents.index(agent) % len(self.models)}",
            )
        config.env_runners(
            num_env_runners=0,
            num_envs_per_env_runner=self.num_envs,
            batch_mode="complete_episodes" if self.complete_episodes else "truncate_episodes",
            episode_lookback_horizon=max(self.lookback, self.frames),
            rollout_fragment_length=self.fragment_length,
        )
        config.environment(normalize_actions=False, clip_actions=False)
        config.learners(num_learners=0, learner_class=LEARNERS[self.algorithm])
        config.training(learner_config_dict={DIRECTORY: str(directory)}, lr=0.0, gamma=0.9)
        if self.algorithm == "PPO":
            config.training(minibatch_size=None, num_epochs=1, lambda_=0.8)
        elif self.algorithm in OFFLINE:
            config.offline_data(input_read_episodes=True)
        else:
            config.reporting(min_time_s_per_iteration=0)
        config.debugging(seed=self.seed, log_level="ERROR")
        self._add_connectors(config, directory)
        for name, change in self.changes.items():
            getattr(config, name)(**change)
        for index, policy in enumerate(self.policies):
            settings = {
                "max_seq_len": self.max_seq_len[index],
                "burn_in": min(self.burn_in, self.max_seq_len[index] - 1),
                "pack_rows": self.pack_rows,
                "sparse_states": self.sparse_states,
                "vf_share_layers": self.vf_share_layers,
                "use_prev_action": self.use_prev_action,
                "use_prev_reward": self.use_prev_reward,
                "encoder": "mlp" if self.frames > 1 else "auto",
            }
            policies = None if self.crowd is None else [policy]
            ra.use_model(config, policies=policies, **settings, **self.model_settings(index))
        return config

    def _add_connectors(self, config: AlgorithmConfig, directory: Path) -> None:
        seen = None
        if self.mean_std_filter:
            seen = str(directory)
            config.env_runners(env_to_module_connector=lambda env, spaces, device: MeanStdFilter())
        if self.frames == 1:
            config.learners(learner_connector=lambda obs_space, action_space: AddKeys(seen))
            return
        config.env_runners(env_to_module_connector=lambda env, spaces, device: FrameStacking(num_frames=self.frames))
        config.learners(
            learner_connector=lambda obs_space, action_space: [
                AddKeys(),
                FrameStacking(num_frames=self.frames, as_learner_connector=True),
            ]
        )


def draw(seed: int) -> Case:
    """Draw a case, the same for the same seed; seeds that follow one another have each of SIZES in turn."""
    choose = random.Random(seed)
    algorithm = choose.choice(["PPO", "PPO", "PPO", "IMPALA", "IMPALA", "APPO", "APPO", "BC", "MARWIL"])
    crowd = choose.choice([None, None, *CROWDS]) if algorithm not in OFFLINE else None
    n_policies = 1 if crowd is None else choose.choice([1, 2])
    models = [SIZES[seed % len(SIZES)], choose.choice(SIZES)][:n_policies]
    connectors = choose.choice(["none", "none", "none", "frames", "filter"]) if crowd is None else "none"
    lengths = choose.choice(list(LENGTHS) if crowd is None else ["mixed", "long"])
    row_lengths = [1, 2, 3, 5, 7, 11, 16, 64]
    if algorithm in OFFLINE:  # recorded episodes have to fit into a row
        connectors, lengths = "none", choose.choice(["short", "mixed"])
        longest = max(LENGTHS[lengths]) + (algorithm == "MARWIL")
        row_lengths = [longest, longest + 1, 3 * longest]
    complete = algorithm in OFFLINE or (choose.random() < 0.25 and lengths != "endless")
    # RLlib's own pieces lose or miss the states of agents that do not act at every step.
    can_be_dense = crowd in (None, "always there")
    return Case(
        algorithm=algorithm,
        models=tuple(models),
        max_seq_len=tuple(choose.choice(row_lengths) for _ in models),
        lengths=lengths,
        actions=choose.choice(["discrete", "discrete", "multi-discrete", "box"]),
        num_envs=choose.choice([1, 2, 3]),
        n_fragments=choose.choice([1, 2, 3]),
        fragment_length=choose.choice([1, 4, 7, 13, 22]),
        complete_episodes=complete,
        burn_in=choose.choice([0, 0, 1, 3]),
        pack_rows=choose.random() < 0.7,
        sparse_states=choose.random() < 0.7 or not can_be_dense,
        vf_share_layers=choose.random() < 0.6,
        use_prev_action=choose.random() < 0.4,
        use_prev_reward=choose.random() < 0.4,
        off_policy=choose.random() < 0.5,
        crowd=crowd,
        frames=choose.choice([2, 3]) if connectors == "frames" else 1,
        mean_std_filter=connectors == "filter",
        lookback=choose.choice([1, 1, 4]),
        seed=seed,
    )
