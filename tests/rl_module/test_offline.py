"""BC and MARWIL learn T-Maze from recorded episodes of an expert that remembers the cue."""

from __future__ import annotations

import copy
import inspect
from types import SimpleNamespace

import gymnasium as gym
import msgpack
import msgpack_numpy
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import tree
from ray.rllib.algorithms.bc import BCConfig
from ray.rllib.algorithms.marwil import MARWILConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.training_data import TrainingData
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.offline.offline_prelearner import OfflinePreLearner
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from ray.rllib.utils import unflatten_dict

import rllib_recattn as ra
from rllib_recattn.envs.tmaze_task import RIGHT
from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.previous import PREVIOUS
from rllib_recattn.rl_module.extension import add_callback
from rllib_recattn.rl_module.fixes.offline_restore import OfflineRestoreCallback
from rllib_recattn.rl_module.offline import OfflineCallback, WholeEpisodesPreLearner
from tests.rl_module.small_agents import small_config

CONFIGS = {"BC": BCConfig, "MARWIL": MARWILConfig}
LENGTH = 10
GAMMA = 0.9
ENV = ("rllib_recattn/TMaze-v0", {"corridor_length": LENGTH})
CUE = slice(0, 2)


def expert_episodes(n: int) -> list[SingleAgentEpisode]:
    """Episodes of `LENGTH` steps: along the corridor, and the turn that the first observation said."""
    env = gym.make(ENV[0], **ENV[1])
    episodes = []
    for seed in range(n):
        observation, _ = env.reset(seed=seed)
        cue = int(observation[CUE].argmax())
        episode = SingleAgentEpisode(observation_space=env.observation_space, action_space=env.action_space)
        episode.add_env_reset(observation)
        while not episode.is_done:
            action = RIGHT if len(episode) < LENGTH - 1 else cue
            observation, reward, terminated, truncated, info = env.step(action)
            episode.add_env_step(observation, action, reward, info, terminated=terminated, truncated=truncated)
        assert info["success"]
        episodes.append(episode)
    return episodes


def packed(episodes: list[SingleAgentEpisode]) -> list[bytes]:
    """As RLlib records them."""
    return [msgpack.packb(episode.get_state(), default=msgpack_numpy.encode) for episode in episodes]


def offline_config(algorithm: str, model: str = "agalite", *, max_seq_len: int = LENGTH + 1, **settings):
    config = CONFIGS[algorithm]().environment(ENV[0], env_config=ENV[1]).training(gamma=GAMMA)
    config.training(train_batch_size_per_learner=50, lr=3e-3).debugging(seed=0, log_level="ERROR")
    config.offline_data(input_read_episodes=True, dataset_num_iters_per_learner=1)
    sizes = {"d_model": 32, "n_layers": 1} | ({"n_heads": 2, "d_head": 8} if model == "agalite" else {})
    return ra.use_model(config, model, max_seq_len=max_seq_len, **sizes, **settings)


def train_batch(config, episodes, prelearner_class=WholeEpisodesPreLearner):
    """What a prelearner makes of recorded episodes."""
    env = gym.make(ENV[0], **ENV[1])
    spaces = (env.observation_space, env.action_space)
    config = config.copy(copy_frozen=False)
    spec = config.get_multi_rl_module_spec(spaces={"default_policy": spaces})
    config.rl_module(rl_module_spec=spec)
    before_2_55 = "module_spec" in inspect.signature(OfflinePreLearner).parameters
    more = {"module_spec": spec, "module_state": spec.build().get_state()} if before_2_55 else {}
    batch = prelearner_class(config=config, spaces=spaces, **more)({"item": packed(episodes)})
    return unflatten_dict(batch)["default_policy"]


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_each_row_is_one_whole_episode_from_the_initial_state(algorithm):
    episodes = expert_episodes(12)
    again = copy.deepcopy(episodes[0])  # the same episode, with the same id, may be recorded twice
    recorded = [*episodes, again]
    batch = train_batch(offline_config(algorithm, use_prev_action=True), recorded)

    mask = batch[Columns.LOSS_MASK]
    assert mask.shape == (13, LENGTH + 1)
    assert mask[:, :LENGTH].all()
    assert not mask[:, LENGTH:].any()
    for row, episode in enumerate(recorded):
        np.testing.assert_array_equal(batch[Columns.OBS][row, :LENGTH], np.stack(episode.get_observations()[:-1]))
        np.testing.assert_array_equal(batch[Columns.ACTIONS][row, :LENGTH], episode.get_actions())
    assert (batch[Columns.OBS][:, 0, CUE].sum(-1) == 1).all()
    assert not any(state.any() for state in tree.flatten(batch[Columns.STATE_IN]))
    assert Columns.NEXT_OBS not in batch

    previous = batch[PREVIOUS][:, :LENGTH]
    assert not previous[:, 0].any()
    np.testing.assert_array_equal(previous[:, 1:].argmax(-1), batch[Columns.ACTIONS][:, : LENGTH - 1])


def test_marwils_value_targets_are_the_returns():
    batch = train_batch(offline_config("MARWIL"), expert_episodes(3))
    rewards = np.array([-0.1] * (LENGTH - 1) + [4.0])
    returns = [sum(GAMMA ** (s - t) * rewards[s] for s in range(t, LENGTH)) for t in range(LENGTH)]
    np.testing.assert_allclose(batch["value_targets"][:, :LENGTH], [returns] * 3, rtol=1e-5)


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_rllibs_own_prelearner_cuts_the_cue_off(algorithm):
    """Fails once RLlib no longer begins rows in the middle of episodes: then ours may be superfluous."""
    batch = train_batch(offline_config(algorithm), expert_episodes(50), OfflinePreLearner)
    has_cue = batch[Columns.OBS][..., CUE].sum((1, 2)) > 0
    assert has_cue.float().mean() < 0.5
    assert not any(state.any() for state in tree.flatten(batch[Columns.STATE_IN]))


@pytest.mark.parametrize(("algorithm", "needed"), [("BC", LENGTH), ("MARWIL", LENGTH + 1)])
def test_episodes_that_do_not_fit_into_a_row_are_refused(algorithm, needed):
    episodes = expert_episodes(2)
    assert len(train_batch(offline_config(algorithm, max_seq_len=needed), episodes)[Columns.OBS]) == 2
    message = f"max_seq_len = {needed - 1}: should be at least {needed}, since the recorded episode .* has 10 steps"
    with pytest.raises(SettingsError, match=message):
        train_batch(offline_config(algorithm, max_seq_len=needed - 1), episodes)


@pytest.mark.parametrize("algorithm", CONFIGS)
@pytest.mark.parametrize("max_seq_len", [LENGTH, LENGTH + 1, 2 * LENGTH + 3])
def test_every_step_of_whole_episodes_has_a_loss_whatever_the_burn_in(algorithm, max_seq_len):
    """A row that an episode fills to its end looks like one that goes on in the next."""
    max_seq_len += algorithm == "MARWIL"
    config = offline_config(algorithm, max_seq_len=max_seq_len, burn_in=3)
    columns = train_batch(config, expert_episodes(6))
    env = gym.make(ENV[0], **ENV[1])
    learner = config.build_learner(spaces={"default_policy": (env.observation_space, env.action_space)})
    batch = MultiAgentBatch({"default_policy": SampleBatch(columns)}, env_steps=6 * LENGTH)

    rows = learner._make_batch_if_necessary(TrainingData(batch=batch)).policy_batches["default_policy"]

    assert rows[Columns.LOSS_MASK].sum() == 6 * LENGTH
    assert len(rows[Columns.LOSS_MASK]) == (3 if max_seq_len > 2 * LENGTH else 6)


def test_episodes_without_their_beginning_are_refused():
    (episode,) = expert_episodes(1)
    with pytest.raises(SettingsError, match=r"begins with step 4, .* should be whole"):
        train_batch(offline_config("BC"), [episode.slice(slice(4, None))])


@pytest.mark.parametrize("sparse_states", [True, False])
def test_states_that_a_recurrent_expert_recorded_are_not_used(sparse_states):
    config = small_config(sparse_states=sparse_states, max_seq_len=4).environment(
        ENV[0], env_config={**ENV[1], "max_episode_steps": 12}
    )
    runner = SingleAgentEnvRunner(config=config.env_runners(episodes_to_numpy=False, batch_mode="complete_episodes"))
    try:
        episodes = runner.sample(num_episodes=4)
    finally:
        runner.stop()
    assert all(Columns.STATE_OUT in episode.extra_model_outputs for episode in episodes)
    batch = train_batch(offline_config("BC", max_seq_len=12), episodes)
    assert len(batch[Columns.OBS]) == len(episodes)
    assert not any(state.any() for state in tree.flatten(batch[Columns.STATE_IN]))


class OtherPreLearner(OfflinePreLearner):
    pass


def test_a_prelearner_that_does_not_fit_is_refused():
    config = BCConfig().offline_data(prelearner_class=OtherPreLearner)
    with pytest.raises(SettingsError, match="prelearner_class = OtherPreLearner: should inherit from WholeEpisodes"):
        ra.use_model(config, "agalite")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_read_episodes": False}, "input_read_episodes = False: should be True"),
        ({"prelearner_class": OtherPreLearner}, "OtherPreLearner'> came after use_model"),
    ],
)
def test_changes_that_lose_the_memory_are_refused_when_the_algorithm_is_built(changes, message):
    config = offline_config("BC")
    OfflineCallback().on_algorithm_init(algorithm=SimpleNamespace(config=config))
    assert OfflineCallback in config.callbacks_class
    with pytest.raises(SettingsError, match=message):
        OfflineCallback().on_algorithm_init(algorithm=SimpleNamespace(config=config.offline_data(**changes)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "iterations", "updates_per_iteration", "max_seq_len"),
    # With one update an iteration, RLlib hands the learner a batch; with more, an iterator.
    [("BC", 8, 30, LENGTH), ("BC", 100, 1, 3 * LENGTH), ("MARWIL", 8, 30, LENGTH + 1)],
)
def test_the_agent_remembers_like_the_expert(
    ray_session, tmp_path, algorithm, iterations, updates_per_iteration, max_seq_len
):
    pq.write_table(pa.table({"item": packed(expert_episodes(400))}), tmp_path / "episodes.parquet")
    # A GRU, for which it matters least that Ray Data's actors hand out episodes in another order each time.
    config = offline_config(algorithm, "gru", max_seq_len=max_seq_len)
    config.offline_data(
        input_=[str(tmp_path)],
        dataset_num_iters_per_learner=updates_per_iteration,
        materialize_data=False,
        materialize_mapped_data=True,
    )
    config.evaluation(
        evaluation_interval=10_000,
        evaluation_num_env_runners=0,
        evaluation_duration=200,
        evaluation_duration_unit="episodes",
        evaluation_config={"explore": False, "num_envs_per_env_runner": 10},
    )
    torch.manual_seed(0)
    algo = config.build_algo()
    try:
        for _ in range(5):
            for _ in range(iterations):
                algo.train()
            results = algo.evaluate()["env_runners"]
            if results["success_rate"] >= 0.98:
                break
    finally:
        algo.stop()
    assert results["success_rate"] >= 0.98
    assert results["episode_len_mean"] < LENGTH + 1


def trainable_config(algorithm, directory, **settings):
    (directory / "episodes").mkdir()
    pq.write_table(pa.table({"item": packed(expert_episodes(20))}), directory / "episodes" / "a.parquet")
    config = offline_config(algorithm, **settings).offline_data(input_=[str(directory / "episodes")])
    config.offline_data(map_batches_kwargs={"concurrency": 1, "num_cpus": 0})
    config.evaluation(evaluation_interval=1, evaluation_duration=4)
    return config.offline_data(materialize_data=False, materialize_mapped_data=True)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", CONFIGS)
def test_a_checkpoint_can_be_gone_on_with(ray_session, tmp_path, algorithm):
    """Stock RLlib cannot load it."""
    config = trainable_config(algorithm, tmp_path, rllib_fixes={"offline_restore": False})
    trained = config.build_algo()
    trained.train()
    trained.save_to_path(str(tmp_path / "checkpoint"))
    weights = trained.learner_group.get_weights()
    with pytest.raises(AttributeError, match="sync_weights"):
        trained.restore_from_path(str(tmp_path / "checkpoint"))
    trained.stop()

    restored = add_callback(config.copy(copy_frozen=False), OfflineRestoreCallback).build_algo()
    try:
        restored.restore_from_path(str(tmp_path / "checkpoint"))
        tree.map_structure(np.testing.assert_array_equal, restored.learner_group.get_weights(), weights)
        assert restored.iteration == 1
        assert restored.env_runner_group is None
        restored.train()
        assert restored.iteration == 2
    finally:
        restored.stop()


def test_the_way_back_is_there():
    for algorithm in CONFIGS:
        assert OfflineRestoreCallback in offline_config(algorithm).callbacks_class
