import subprocess
import sys
import warnings

import gymnasium

from rllib_recattn.envs import register_envs


def test_registering_again_changes_nothing():
    register_envs()
    spec = gymnasium.registry["rllib_recattn/TMaze-v0"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register_envs()
    assert gymnasium.registry["rllib_recattn/TMaze-v0"] is spec


def test_name_with_package_works_in_a_fresh_process_without_ray_or_torch():
    code = """
import sys
import gymnasium
env = gymnasium.make("rllib_recattn:rllib_recattn/TMaze-v0", corridor_length=7, n_distractors=2)
observation, info = env.reset(seed=0)
assert observation.shape == (12,), observation.shape
assert env.spec.id == "rllib_recattn/TMaze-v0"
print(sorted({"ray", "torch", "PIL"} & set(sys.modules)))
"""
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == "[]"


def test_registering_imports_no_environment():
    code = """
import sys
import rllib_recattn.envs
rllib_recattn.envs.register_envs()
print(sorted({"minigrid", "miniworld", "pygame", "pyglet", "rllib_recattn.envs.tmaze"} & set(sys.modules)))
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert process.stdout.strip() == "[]"
