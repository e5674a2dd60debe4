"""Recorded episodes that an agent cannot learn from are refused before anything is started."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

import rllib_recattn as ra
from rllib_recattn.errors import SettingsError, SettingsWarning
from rllib_recattn.rl_module.recorded_data import CheckedOfflineData, check_recorded_data, spaces_of
from rllib_recattn.rl_module.recorded_episodes import packed, write_rows
from tests.rl_module.test_offline import CONFIGS, ENV, LENGTH, expert_episodes, offline_config

ONE_UPDATE = {"dataset_num_iters_per_learner": 1}
SPACES = (gym.spaces.Box(-1, 1, (3,), np.float32), gym.spaces.Discrete(2))


def episode_of(length, *, observation=None, action=1, t_started=0):
    observation = np.zeros(3, np.float32) if observation is None else observation
    return SingleAgentEpisode(
        observations=[observation] * (length + 1),
        actions=[action] * length,
        rewards=[0.0] * length,
        infos=[{}] * (length + 1),
        terminated=True,
        t_started=t_started,
        len_lookback_buffer=0,
    )


def write(file, *episodes):
    rows = [packed(each) if each.t_started == 0 else packed_chunk(each) for each in episodes]
    write_rows(rows, file)
    return file


def packed_chunk(episode):
    import msgpack
    import msgpack_numpy

    return msgpack.packb(episode.get_state(), default=msgpack_numpy.encode)


def config_of(path, algorithm="BC", **settings):
    config = CONFIGS[algorithm]().environment(observation_space=SPACES[0], action_space=SPACES[1])
    config.offline_data(input_=path, input_read_episodes=True, **settings)
    return ra.use_model(config, "gru", d_model=8, max_seq_len=9)


def check(config):
    """What RLlib does first when an algorithm of the config is built: nothing is read before."""
    check_recorded_data(config, spaces_of(config), "config.offline_data")


@pytest.fixture
def episodes(tmp_path):
    directory = tmp_path / "episodes"
    write(directory / "a" / "one.parquet", episode_of(4), episode_of(7))
    write(directory / "two.parquet", episode_of(5))
    return directory


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_episodes_that_fit_are_taken(episodes, algorithm):
    (episodes / "_temporary.parquet").write_text("of a writer that is not done")
    (episodes / "notes.txt").write_text("mine")
    check(config_of([str(episodes), str(episodes / "two.parquet")], algorithm))
    check(config_of(f"local://{episodes}", algorithm))
    check(config_of(f"file://{episodes}", algorithm))
    check(config_of(episodes / "two.parquet", algorithm))
    check(config_of(str(episodes), algorithm, input_filesystem=fs.LocalFileSystem()))


def test_a_remote_file_system_is_read_by_its_own_means(tmp_path):
    system = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    write(tmp_path / "bucket" / "episodes" / "one.parquet", episode_of(12))
    with pytest.raises(SettingsError, match="max_seq_len = 9: should be at least 12"):
        check(config_of("bucket/episodes", input_filesystem=system))
    with pytest.raises(SettingsError, match="input_ = 'bucket/other': cannot be read: there is no such file"):
        check(config_of("bucket/other", input_filesystem=system))


@pytest.mark.parametrize(("algorithm", "needed"), [("BC", 14), ("MARWIL", 15)])
def test_the_longest_episode_of_all_files_is_named(episodes, algorithm, needed):
    longest = episode_of(14)
    write(episodes / "z.parquet", episode_of(10), longest, episode_of(12))
    with pytest.raises(SettingsError) as error:
        check(config_of(str(episodes), algorithm))
    assert f"max_seq_len = 9: should be at least {needed}" in str(error.value)
    assert f"{longest.id_!r}, has 14 steps" in str(error.value)
    assert ("to which MARWIL adds one" in str(error.value)) == (algorithm == "MARWIL")
    config = config_of(str(episodes), algorithm)
    check(ra.use_model(config, "gru", d_model=8, max_seq_len=needed))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda at: at.mkdir(), r"input_ = '.*here': there is no file in it; should hold .*`rllib record"),
        (lambda at: None, r"input_ = '.*here': cannot be read: there is no such file or directory"),
        (lambda at: (at.mkdir(), (at / "a.txt").write_text("x")), "a.txt': is no Parquet file that can be read"),
        (lambda at: at.write_text("no Parquet"), "here': is no Parquet file that can be read"),
        (
            lambda at: pq.write_table(pa.table({"obs": [[1.0]], "reward": [0.0]}), at),
            r"here': has the columns \['obs', 'reward'\]; should have 'item', .*`rllib record`",
        ),
        (lambda at: pq.write_table(pa.table({"item": [b"no episode"]}), at), "'item' holds no episodes of RLlib's"),
        (lambda at: write(at, episode_of(3, t_started=4)), "does not begin at its first step; should be whole"),
        (
            lambda at: write(at, episode_of(3, observation=np.zeros(5, np.float32))),
            r"recorded in another environment: an observation of the episode .* is an array of shape \(5,\); should be "
            r"of the observation space Box\(-1.0, 1.0, \(3,\)",
        ),
        (
            lambda at: write(at, episode_of(3, observation={"a": np.zeros(3)})),
            "is a mapping of a; should be of the obs",
        ),
        (lambda at: write(at, episode_of(3, action=2)), r"an action of the .* is 2; should be of the .*Discrete\(2\)"),
        (lambda at: write(at, episode_of(3, action=np.zeros(2))), r"an action .* is an array of shape \(2,\)"),
    ],
)
def test_data_that_is_not_there_or_does_not_fit_is_told(tmp_path, make, message):
    at = tmp_path / "here"
    make(at)
    with pytest.raises(SettingsError, match=message):
        check(config_of(str(at)))


def test_all_that_is_wrong_is_told_at_once(episodes, tmp_path):
    write(episodes / "z.parquet", episode_of(12, action=7))
    with pytest.raises(SettingsError) as error:
        check(config_of([str(episodes), str(tmp_path / "nowhere")]))
    assert len(str(error.value).splitlines()) == 3


def test_what_connectors_of_the_users_own_make_of_it_is_not_judged(episodes):
    write(episodes / "z.parquet", episode_of(3, observation=np.zeros(5, np.float32)))
    config = config_of(str(episodes))
    check_of_own = config.copy(copy_frozen=False).learners(learner_connector=lambda *_: [])
    check(check_of_own)
    with pytest.raises(SettingsError, match="another environment"):
        check(config)


def test_other_formats_are_left_to_ray_data(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    check(config_of(str(tmp_path), input_read_method="read_json"))
    check(config_of(str(tmp_path), input_read_method_kwargs={"file_extensions": ["json"]}))


def test_spaces_are_the_configs_or_the_environments():
    assert spaces_of(config_of("x")) == SPACES
    env = gym.make(ENV[0], **ENV[1])
    assert spaces_of(offline_config("BC")) == (env.observation_space, env.action_space)


def test_without_spaces_it_says_what_to_do(episodes):
    config = CONFIGS["BC"]().offline_data(input_=str(episodes), input_read_episodes=True, **ONE_UPDATE)
    message = r"observation_space = None: BC needs .*config.environment\(observation_space=…, action_space=…\)"
    with pytest.warns(SettingsWarning, match=message):
        ra.use_model(config, "gru", d_model=8, max_seq_len=9)
    with pytest.raises(SettingsError, match=message):
        CheckedOfflineData(config)
    config.environment(observation_space=SPACES[0], action_space=SPACES[1]).validate()


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_an_environment_says_the_spaces_where_nothing_is_evaluated(algorithm):
    stock = CONFIGS[algorithm]().environment(ENV[0], env_config=ENV[1]).offline_data(input_="x", **ONE_UPDATE)
    with pytest.raises(ValueError, match="`action_space` and `observation_space` must be provided"):
        stock.validate()
    ra.use_model(stock, "gru", d_model=8).validate()


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_an_algorithm_checks_its_data_before_it_reads_it(ray_session, tmp_path, algorithm, monkeypatch):
    write_rows([packed(each) for each in expert_episodes(2)], tmp_path / "a.parquet")
    config = offline_config(algorithm, max_seq_len=LENGTH - 1).offline_data(input_=str(tmp_path))
    assert config.offline_data_class is CheckedOfflineData
    monkeypatch.setattr("ray.data.read_parquet", lambda *_, **__: pytest.fail("was read"))
    with pytest.raises(SettingsError, match=f"should be at least {LENGTH + (algorithm == 'MARWIL')}, since the long"):
        config.build_algo()
