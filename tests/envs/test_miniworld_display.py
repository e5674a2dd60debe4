"""Where MiniWorld draws, which a process finds out once: each of these tests has processes of its own."""

import os
import shutil
import subprocess
import sys

import pytest

# libglvnd, which loads EGL, finds nothing to load.
WITHOUT_EGL = {"__EGL_VENDOR_LIBRARY_FILENAMES": "/nowhere"}

SEE = """
import os
import gymnasium, rllib_recattn
from rllib_recattn.envs.miniworld.display import is_off_screen
env = gymnasium.make("rllib_recattn/MiniWorld-MemoryTMaze-v0")
observation, _ = env.reset(seed=1)
print(observation.sum(), "DISPLAY" in os.environ, is_off_screen())
"""

FORK = """
import gymnasium, numpy as np, rllib_recattn
name = "rllib_recattn/MiniWorld-MemoryTMaze-v0"
apart = gymnasium.make_vec(name, num_envs=4, vectorization_mode="sync")
apart.reset(seed=0)  # draws before there are other processes
forked = gymnasium.make_vec(name, num_envs=4, vectorization_mode="async", vector_kwargs={"context": "fork"})
for envs in (apart, forked):
    envs.action_space.seed(0)
same = np.array_equal(apart.reset(seed=0)[0], forked.reset(seed=0)[0])
for _ in range(30):
    first, second = (envs.step(envs.action_space.sample()) for envs in (apart, forked))
    same &= all(np.array_equal(a, b) for a, b in zip(first[:4], second[:4]))
forked.close()
print(same)
"""


def run(code, **variables):
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "PYGLET_HEADLESS")}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**environment, **variables}, check=False
    )


def words(process):
    assert process.returncode == 0, process.stderr
    return process.stdout.split()


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="there is no virtual X server")
def test_a_virtual_screen_shows_what_egl_does():
    total, has_display, off_screen = words(run(SEE))
    assert (has_display, off_screen) == ("False", "True")
    assert words(run(SEE, **WITHOUT_EGL)) == [total, "True", "True"]


def test_where_there_is_neither_the_message_says_what_to_install():
    process = run(SEE, **WITHOUT_EGL, PATH="/nowhere")
    assert process.returncode == 1
    error = process.stderr.splitlines()[-1]
    assert "DependencyNotInstalled: MiniWorld has nowhere to draw. EGL: " in error
    assert "(sudo apt-get install libgl1 libegl1 libglu1-mesa libfreetype6 libfontconfig1)" in error
    assert "there is no Xvfb (sudo apt-get install xvfb libgl1 libegl1" in error


def test_who_wants_to_watch_needs_a_screen():
    process = run(SEE, PYGLET_HEADLESS="false")
    assert "PYGLET_HEADLESS=false needs a screen; unset it to draw off screen" in process.stderr.splitlines()[-1]


def test_forked_processes_draw_too():
    assert words(run(FORK)) == ["True"]


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="there is no virtual X server")
def test_forked_processes_cannot_share_a_virtual_screen():
    process = run(FORK, **WITHOUT_EGL)
    assert process.returncode != 0
    assert "draws on a virtual X server here, which forked processes cannot share" in process.stderr
