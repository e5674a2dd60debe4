"""A module hears once a sample, and not at each step, that it does not train."""

from __future__ import annotations

import pytest
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.examples.envs.classes.multi_agent import MultiAgentCartPole

from rllib_recattn.rl_module.acting_mode import acting
from tests.rl_module.lean_sampling.both_ways import config_of
from tests.rl_module.lean_sampling.test_reasons import two_agents

CROWD = {"env": MultiAgentCartPole, "env_config": {"num_agents": 2}, "before": two_agents}


@pytest.mark.parametrize("explore", [True, False])
@pytest.mark.parametrize(
    "settings", [{}, {"lean_sampling": False}, CROWD], ids=["in one batch", "RLlib's way", "crowd"]
)
def test_parts_of_a_module_are_told_their_mode_once_a_sample(settings, explore, monkeypatch):
    runner = (MultiAgentEnvRunner if settings is CROWD else SingleAgentEnvRunner)(config=config_of("gru", **settings))
    module = runner.module["a"] if settings is CROWD else runner.module
    told, seen = [], []
    train, forward = module.encoder.train, module.encoder.forward
    monkeypatch.setattr(module.encoder, "train", lambda mode=True: told.append(mode) or train(mode))
    monkeypatch.setattr(module.encoder, "forward", lambda *args: seen.append(module.pi.training) or forward(*args))
    runner.sample(num_timesteps=12, explore=explore)
    runner.stop()
    assert told == [False, True]
    assert len(seen) >= 4
    assert not any(seen)
    assert all(part.training for part in module.modules())


def test_modes_that_an_error_interrupts_are_put_back():
    runner = SingleAgentEnvRunner(config=config_of("gru"))
    runner.stop()
    module = runner.module

    def fail():
        with acting(module):
            assert not module.encoder.training
            raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        fail()
    assert module.encoder.training
    module.eval()
    with acting(module):
        pass
    assert not module.encoder.training
    with acting(None):
        pass
