"""Evaluation on RLlib's old API stack carries states, memories and previous inputs through an episode."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from ray.rllib.policy.sample_batch import SampleBatch

from rllib_recattn.experiment.evaluation.old_stack import OldStackPlayer
from tests.model_v2.old_stack import Replay, old_stack_config, worker_of


class Recorder(gym.Wrapper):
    """Notes what an episode shows, does and gives."""

    def reset(self, **kwargs):
        obs, info = self.env.reset(**kwargs)
        self.seen, self.done, self.given = [obs], [], []
        return obs, info

    def step(self, action):
        obs, reward, *rest = self.env.step(action)
        self.seen.append(obs)
        self.done.append(action)
        self.given.append(reward)
        return obs, reward, *rest


@pytest.mark.parametrize("use_prev", [False, True])
@pytest.mark.parametrize("model", ["agalite", "gtrxl"])
def test_an_episode_is_played_as_the_model_reads_it(tmp_path, model, use_prev):
    previous = {"use_prev_action": True, "use_prev_reward": True} if use_prev else {}
    config = old_stack_config(model, length=9, **previous)
    worker_of(config).get_policy().export_checkpoint(str(tmp_path / "policies" / "default_policy"))
    player = OldStackPlayer(tmp_path, config)
    player._env = recorder = Recorder(player._env)
    policy, outputs = player._policy, []
    act = policy.compute_actions_from_input_dict
    policy.compute_actions_from_input_dict = lambda *args, **kwargs: outputs.append(act(*args, **kwargs)) or outputs[-1]
    for seed in (0, 1):  # the second begins with an empty memory as well
        outputs.clear()
        result = player.play(seed, explore=False)
        assert result.length == len(recorder.done) == 9
        assert result.episode_return == pytest.approx(sum(recorder.given))
        acted = np.concatenate([extra[SampleBatch.ACTION_DIST_INPUTS] for _, _, extra in outputs])
        logits, _ = Replay(policy.model, policy.action_space, use_prev)(
            np.stack(recorder.seen[:-1]), np.stack(recorder.done), np.asarray(recorder.given)
        )
        np.testing.assert_allclose(acted, logits, atol=1e-5)
        assert np.array_equal(recorder.done, logits.argmax(-1))
    player.stop()
