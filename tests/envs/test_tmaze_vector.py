import gymnasium
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rllib_recattn.envs.tmaze import TMazeEnv
from rllib_recattn.envs.tmaze_task import LEFT, RIGHT
from rllib_recattn.envs.tmaze_vector import TMazeVectorEnv
from rllib_recattn.errors import SettingsError


def assert_equal(one, other):
    """Same keys, values and dtypes, whatever the nesting."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_equal(left, right)
    else:
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("settings", "right_share"),
    [
        ({"corridor_length": 2, "max_episode_steps": 3}, 0.3),
        ({"corridor_length": 6, "max_episode_steps": 20}, 0.5),
        ({"corridor_length": 6, "n_distractors": 0, "max_episode_steps": 12}, 0.5),
        ({"corridor_length": 20, "n_distractors": 130}, 0.8),
        ({"corridor_length": 300, "max_episode_steps": 400}, 0.98),
    ],
)
def test_behaves_as_scalar_environments_in_a_sync_vector(settings, right_share):
    n_envs, n_steps = 5, 1200
    sync = SyncVectorEnv([lambda: TMazeEnv(**settings)] * n_envs)
    vector = TMazeVectorEnv(n_envs, **settings)
    assert vector.single_observation_space == sync.single_observation_space
    assert vector.single_action_space == sync.single_action_space
    assert vector.observation_space == sync.observation_space
    assert vector.action_space == sync.action_space
    assert vector.metadata["autoreset_mode"] is sync.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP

    rng = np.random.default_rng(1)
    terminations = truncations = successes = 0
    assert_equal(vector.reset(seed=3), sync.reset(seed=3))
    for _ in range(n_steps):
        actions = np.where(rng.random(n_envs) < right_share, RIGHT, rng.integers(0, 4, n_envs))
        result = vector.step(actions)
        assert_equal(result, sync.step(actions))
        assert vector.np_random_seed == sync.np_random_seed
        terminations += result[2].sum()
        truncations += result[3].sum()
        successes += result[4].get("success", np.zeros(1)).sum()
    assert 0 < successes < terminations
    assert truncations > 0 or "max_episode_steps" not in settings


@pytest.mark.parametrize("seed", [0, [5, None, 5], [7, 8, 9], None])
def test_seeds_mean_what_they_mean_to_a_sync_vector(seed):
    sync, vector = SyncVectorEnv([TMazeEnv] * 3), TMazeVectorEnv(3)
    sync.reset(seed=[1, 2, 3])
    vector.reset(seed=[1, 2, 3])
    for next_seed in (seed, None):
        assert_equal(vector.reset(seed=next_seed), sync.reset(seed=next_seed))
        actions = np.full(3, RIGHT)
        assert_equal(vector.step(actions), sync.step(actions))


def test_reset_in_the_middle_starts_anew():
    vector = TMazeVectorEnv(4, corridor_length=3, max_episode_steps=3)
    first, _ = vector.reset(seed=0)
    for _ in range(3):
        vector.step(np.full(4, RIGHT))
    again, _ = vector.reset(seed=0)
    np.testing.assert_array_equal(first, again)
    _, rewards, *_ = vector.step(np.full(4, RIGHT))
    np.testing.assert_array_equal(rewards, np.full(4, -0.1))


def test_results_stay_as_they_were_returned():
    vector = TMazeVectorEnv(4, corridor_length=2, max_episode_steps=4)
    results = [vector.reset(seed=0)]
    copies = []
    rng = np.random.default_rng(0)
    for _ in range(20):
        results.append(vector.step(rng.integers(0, 4, 4)))
        copies.append([np.copy(array) for array in results[-1][:4]])
    for result, copy in zip(results[1:], copies, strict=True):
        assert_equal(result[:4], tuple(copy))


@pytest.mark.parametrize("name", ["rllib_recattn/TMaze-v0", "rllib_recattn:rllib_recattn/TMaze-v0"])
@pytest.mark.parametrize("mode", ["vector_entry_point", None])
def test_make_vec_builds_it(name, mode):
    vector = gymnasium.make_vec(
        name, num_envs=3, vectorization_mode=mode, corridor_length=7, n_distractors=2, max_episode_steps=9
    )
    assert isinstance(vector, TMazeVectorEnv)
    assert vector.observation_space.shape == (3, 12)
    vector.reset(seed=0)
    for _ in range(9):
        _, _, _, truncations, infos = vector.step(np.full(3, LEFT))
    assert truncations.all()
    np.testing.assert_array_equal(infos["success"], np.zeros(3, bool))
    vector.close()
    assert vector.closed


@pytest.mark.parametrize("settings", [{"num_envs": 0}, {"num_envs": 2.0}, {"corridor_length": 1}])
def test_wrong_settings_are_named(settings):
    ((key, value),) = settings.items()
    with pytest.raises(SettingsError, match=f"{key} = {value}: "):
        TMazeVectorEnv(**settings)


def test_wrong_number_of_seeds_is_refused():
    with pytest.raises(ValueError, match="should be a number or 3 of them"):
        TMazeVectorEnv(3).reset(seed=[1, 2])


def test_step_needs_a_reset():
    with pytest.raises(ResetNeeded):
        TMazeVectorEnv(2).step(np.array([0, 0]))


@pytest.mark.parametrize("actions", [[0], [0, 1, 2], [0, 4], [-1, 0], [0.0, 1.0], [[0, 1]]])
def test_wrong_actions_are_refused(actions):
    vector = TMazeVectorEnv(2)
    vector.reset(seed=0)
    with pytest.raises(InvalidAction, match="should be 2 integers, 0 to 3"):
        vector.step(np.array(actions))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, list])
def test_actions_may_be_any_integers(dtype):
    expected, vector = TMazeVectorEnv(2), TMazeVectorEnv(2)
    expected.reset(seed=0)
    vector.reset(seed=0)
    actions = [RIGHT, LEFT]
    given = actions if dtype is list else np.array(actions, dtype)
    assert_equal(vector.step(given), expected.step(np.array(actions)))
