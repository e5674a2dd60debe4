"""Sampling and learning in this process, without Ray."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from pathlib import Path
from typing import Any
from unittest import mock

import msgpack
import msgpack_numpy
import numpy as np
import torch
from ray import cloudpickle
from ray.rllib.algorithms.impala import impala_learner
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.learner.learner import Learner
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.offline.offline_prelearner import OfflinePreLearner
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from ray.rllib.utils import unflatten_dict

from rllib_recattn.rl_module.offline import WholeEpisodesPreLearner
from tests.oracle.cases import OFFLINE, Case
from tests.oracle.compare import Comparison, Policy, Report
from tests.oracle.environments import read_lives
from tests.oracle.replay import Replayer
from tests.oracle.spy import read_losses, read_seen


def check(case: Case, directory: Path) -> Report:
    """Sample some fragments, compute a loss of each, and compare."""
    torch.manual_seed(case.seed)
    np.random.seed(case.seed)
    config = case.build(directory)
    recorder = dataclasses.replace(case, algorithm="PPO").build(directory) if case.algorithm in OFFLINE else config
    runner = (SingleAgentEnvRunner if case.crowd is None else MultiAgentEnvRunner)(config=recorder)
    try:
        for policy in case.policies:
            shake(module_of(runner.module, policy), 0.1)
        spaces = {key: value for key, value in runner.get_spaces().items() if not key.startswith("__")}
        with mock.patch.object(impala_learner._LearnerThread, "start"):
            learner = config.build_learner(spaces=spaces)
        actors = {}
        for policy in case.policies:
            acting, learning = module_of(runner.module, policy), module_of(learner.module, policy)
            shake(learning, 0.1)
            learning.load_state_dict(acting.state_dict(), strict=False)  # the EnvRunner has no value head
            actors[policy] = copy.deepcopy(learning)
            if case.off_policy:
                shake(learning, 0.05)
            if hasattr(learning, "make_target_networks"):
                learning.make_target_networks()
        for _ in range(case.n_fragments):
            how = {} if case.complete_episodes else {"num_timesteps": case.fragment_length * case.num_envs}
            episodes = pickle.loads(cloudpickle.dumps(runner.sample(**how)))
            data = {"episodes": episodes}
            if case.algorithm in OFFLINE:
                data = {"batch": recorded(config, episodes, spaces, learner)}
            Learner.update(learner, **data, timesteps={}, num_epochs=1, minibatch_size=None)
    finally:
        runner.stop()
    policies = {}
    for index, policy in enumerate(case.policies):
        actor = Replayer(actors[policy], case.actions)
        remembers = any(state.numel() for state in actor.initial())
        policies[policy] = Policy(
            actor=actor,
            learner=Replayer(module_of(learner.module, policy), case.actions) if case.off_policy else actor,
            max_seq_len=case.max_seq_len[index],
            # Where there is no state there is none to warm up.
            burn_in=min(case.burn_in, case.max_seq_len[index] - 1) if remembers else 0,
            gamma=config.gamma,
            lambda_=getattr(config, "lambda_", 1.0),
            whole_episodes=case.algorithm in OFFLINE,
        )
    return Comparison(
        policies,
        read_lives(directory),
        read_losses(directory),
        frames=case.frames,
        seen=read_seen(directory),
    ).run()


def recorded(config: Any, episodes: list[Any], spaces: Any, learner: Any) -> MultiAgentBatch:
    """What BC's and MARWIL's prelearner makes of episodes that were written and read again."""
    config = config.copy(copy_frozen=False)
    spec = config.get_multi_rl_module_spec(spaces=spaces)
    config.rl_module(rl_module_spec=spec)
    before_2_55 = "module_spec" in inspect.signature(OfflinePreLearner).parameters
    more = {"module_spec": spec, "module_state": learner.module.get_state()} if before_2_55 else {}
    prelearner = WholeEpisodesPreLearner(config=config, spaces=spaces[DEFAULT_MODULE_ID], **more)
    prelearner._module.set_state(learner.module.get_state())
    items = [msgpack.packb(episode.get_state(), default=msgpack_numpy.encode) for episode in episodes]
    (columns,) = unflatten_dict(prelearner({"item": items})).values()
    return MultiAgentBatch({DEFAULT_MODULE_ID: SampleBatch(columns)}, env_steps=sum(map(len, episodes)))


def module_of(modules: Any, policy: str) -> Any:
    """Return the RLModule of a policy, from a MultiRLModule or the lone module itself."""
    return (modules[policy] if hasattr(modules, "keys") else modules).unwrapped()


def shake(module: torch.nn.Module, scale: float) -> None:
    """Add noise to all weights, so that nothing is zero or the identity by its start."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=scale)
