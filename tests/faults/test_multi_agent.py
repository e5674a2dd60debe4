"""The same for several agents in an environment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rllib_recattn.rl_module.faults import FAULT_TOLERANCE, survive_faults
from rllib_recattn.rl_module.faults.env_runners import EnvironmentFault, MendingMultiAgentEnvRunner
from tests.rl_module.sparse_states.multi_agent import ALWAYS_THERE, Crowd, crowd_config


class StumblingCrowd(Crowd):
    """Fails in the seventh step of its second episode; once, if there is a file to note it."""

    def __init__(self, config):
        super().__init__(config)
        self.fault, self.once = config["fault"], config["once"]

    def step(self, actions):
        observations, rewards, *ended = super().step(actions)
        if self.episode == 2 and self.t == 7 and not (self.once and Path(self.once).exists()):
            if self.once:
                Path(self.once).touch()
            if self.fault == "raise":
                raise RuntimeError("they stumbled")
            agent = next(iter(observations))
            {"observation": observations, "reward": rewards}[self.fault][agent] *= np.float32(np.nan)
        return observations, rewards, *ended


def stumbling_runner(fault, once):
    config = crowd_config(agents=ALWAYS_THERE, length=10)
    config.environment(StumblingCrowd, env_config={"fault": fault, "once": once})
    config.fault_tolerance(**FAULT_TOLERANCE)
    assert survive_faults(config).env_runner_cls is MendingMultiAgentEnvRunner
    return MendingMultiAgentEnvRunner(config=config)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("raise", "raised RuntimeError: they stumbled"),
        ("observation", "returned an observation"),
        ("reward", "returned a reward"),
    ],
)
def test_a_fault_is_survived_and_the_learner_gets_whole_episodes(tmp_path, fault, said):
    runner = stumbling_runner(fault, str(tmp_path / "once"))
    chunks = [chunk for _ in range(8) for chunk in runner.sample(num_timesteps=10)]
    (sentence,) = runner.report_faults().survived
    assert sentence.startswith(f"The environment StumblingCrowd {said}")
    assert "step 7 of the episode" in sentence or "in the steps 7, 7 of their episodes" in sentence

    learner = runner.config.build_learner(spaces=runner.get_spaces())
    steps: dict[str, int] = {}
    for chunk in chunks:
        assert chunk.env_t_started == steps.get(chunk.id_, 0), "a chunk is missing, or belongs to another episode"
        steps[chunk.id_] = chunk.env_t
        batch = learner._learner_connector(rl_module=learner.module, batch={}, episodes=[chunk], shared_data={})
        for columns in batch.values():
            assert np.isfinite(columns["obs"].numpy()).all()
    assert any(length < 10 for length in list(steps.values())[:-2]), "no episode was cut by the fault"
    runner.stop()


def test_one_that_always_comes_is_fatal():
    runner = stumbling_runner("observation", None)
    with pytest.raises(
        EnvironmentFault, match=r"StumblingCrowd returned an observation that is nan .*environment 0 of 2"
    ):
        runner.sample(num_timesteps=100)
    runner.stop()
