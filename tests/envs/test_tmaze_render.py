import numpy as np
import pytest

from rllib_recattn.envs.tmaze import TMazeEnv
from rllib_recattn.envs.tmaze_render import FRAME_HEIGHT, FRAME_WIDTH, TMazePicture, draw
from rllib_recattn.envs.tmaze_task import DOWN, LEFT, RIGHT, UP
from rllib_recattn.envs.tmaze_vector import TMazeVectorEnv


def picture(**changes):
    values = {"corridor_length": 5, "step_limit": 1000, "cue": UP, "position": 2, "turn": None, "step": 2}
    return TMazePicture(**{**values, **changes})


def test_text_shows_corridor_agent_and_cued_goal():
    assert draw(picture(), "ansi").split("\n") == [
        "cue up   cell 3 of 5   step 2 of 1000",
        "     ┌─┐",
        "     │*│",
        "┌────┘ │",
        "│··@· ·│",
        "└────┐ │",
        "     │ │",
        "     └─┘",
    ]


@pytest.mark.parametrize(
    ("turn", "step", "outcome"), [(DOWN, 5, "success"), (UP, 5, "wrong turn"), (None, 1000, "out of time")]
)
def test_text_shows_how_the_episode_ended(turn, step, outcome):
    lines = draw(picture(cue=DOWN, position=4, turn=turn, step=step), "ansi").split("\n")
    assert lines[0].endswith(f"step {step} of 1000   {outcome}")
    agent_lines = [index for index, line in enumerate(lines) if "@" in line]
    assert agent_lines == [{UP: 2, DOWN: 6, None: 4}[turn]]


@pytest.mark.parametrize(("position", "column"), [(0, 1), (20, 21), (500, 31), (9_990, 51), (9_999, 61)])
def test_text_of_a_long_corridor_is_a_window_around_the_agent(position, column):
    lines = draw(picture(corridor_length=10_000, position=position), "ansi").split("\n")
    assert len(lines) == 8
    assert max(map(len, lines)) <= 64
    assert "".join(lines).count("@") == 1
    assert lines[4].index("@") == column
    assert ("*" in lines[2]) == (position >= 9_970)


@pytest.mark.parametrize("length", [2, 5, 20, 60, 1000, 10_000])
def test_frames_have_one_size_and_change_with_every_move(length):
    env = TMazeEnv(length, render_mode="rgb_array")
    env.reset(seed=0)
    frames = [env.render()]
    for action in (RIGHT, LEFT):
        env.step(action)
        frames.append(env.render())
    for frame in frames:
        assert frame.shape == (FRAME_HEIGHT, FRAME_WIDTH, 3)
        assert frame.dtype == np.uint8
    assert (frames[0] != frames[1]).any()
    assert (frames[1] != frames[2]).any()


def maze_pixels(shown):
    """The frame between the header and the bar at the bottom."""
    red, green, blue = np.moveaxis(draw(shown, "rgb_array")[40:160].astype(int), -1, 0)
    return {"green": (green > 150) & (red < 100), "amber": (red > 200) & (green > 150) & (blue < 100)}


def test_frame_has_the_cued_goal_on_the_cued_side():
    up, down = (np.flatnonzero(maze_pixels(picture(cue=cue))["green"].any(axis=1)) for cue in (UP, DOWN))
    assert up.max() < down.min()


def test_frame_shows_the_agent_in_the_arm_into_which_it_turned():
    def agent_row(turn):
        amber = maze_pixels(picture(position=4, turn=turn, step=5))["amber"]
        return np.flatnonzero(amber.any(axis=1)).mean()

    assert agent_row(UP) + 20 < agent_row(None) < agent_row(DOWN) - 20


def test_frame_of_a_long_corridor_has_the_agent_in_the_middle():
    amber = maze_pixels(picture(corridor_length=1000, position=500))["amber"]
    assert np.flatnonzero(amber.any(axis=0)).mean() == pytest.approx(FRAME_WIDTH / 2, abs=2)


@pytest.mark.parametrize("render_mode", ["ansi", "rgb_array"])
def test_vector_draws_what_its_mazes_would_draw_alone(render_mode):
    vector = TMazeVectorEnv(3, corridor_length=3, render_mode=render_mode)
    scalars = [TMazeEnv(corridor_length=3, render_mode=render_mode) for _ in range(3)]
    vector.reset(seed=4)
    for index, scalar in enumerate(scalars):
        scalar.reset(seed=4 + index)
    for actions in ([RIGHT, RIGHT, LEFT], [RIGHT, RIGHT, RIGHT], [UP, DOWN, LEFT]):
        pictures = vector.render()
        assert len(pictures) == 3
        np.testing.assert_array_equal(pictures, [scalar.render() for scalar in scalars])
        vector.step(np.array(actions))
        for scalar, action in zip(scalars, actions, strict=True):
            scalar.step(action)
    np.testing.assert_array_equal(vector.render(), [scalar.render() for scalar in scalars])


@pytest.mark.parametrize("env", [TMazeEnv(), TMazeVectorEnv(2)])
def test_render_without_a_mode_warns_and_draws_nothing(env):
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="needs a render_mode"):
        assert env.render() is None
