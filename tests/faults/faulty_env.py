"""An environment with a fault of one's choice; ``tests.faults.faulty_env:Faulty-v0``."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

FAULTY = "tests.faults.faulty_env:Faulty-v0"
LENGTH = 12


class FaultyEnv(gymnasium.Env[np.ndarray, int]):
    """Shows random numbers, and fails in a step of its second episode, say.

    Args:
        fault: ``raise``, ``hang`` (as code that waits does), ``deaf`` (hangs, and no signal interrupts it), ``kill``
            (ends the process with SIGKILL), ``nan_observation``, ``infinite_reward``, ``raise_in_reset`` or
            ``hang_in_reset``; None or ``none``: it works.
        at_step: The step that fails, from 1 on.
        in_episode: The episode, counted from 1, from which on it fails; a reset fails in this one only.
        once: The path of a file, which the first fault creates: there is no other after it. None: it always fails.
        back_after_s: Seconds that it takes to be made once there was a fault.
    """

    observation_space = gymnasium.spaces.Box(-1, 1, (3,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(
        self,
        fault: str | None = None,
        at_step: int = 5,
        in_episode: int = 2,
        once: str | None = None,
        back_after_s: float = 0,
    ):
        if once is not None and Path(once).exists():
            time.sleep(back_after_s)
        self._fault = None if fault == "none" else fault
        self._at_step = at_step
        self._in_episode = in_episode
        self._once = once
        self._episodes = 0
        self._step = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self._episodes += 1
        self._step = 0
        if self._episodes == self._in_episode and (self._fault or "").endswith("_in_reset") and self._is_time():
            _fail(self._fault)
        return self._observation(), {}

    def step(self, action: int):
        self._step += 1
        observation, reward = self._observation(), float(action)
        if self._episodes >= self._in_episode and self._step == self._at_step and self._fault and self._is_time():
            if self._fault == "nan_observation":
                observation[1] = np.nan
            elif self._fault == "infinite_reward":
                reward = float("inf")
            else:
                _fail(self._fault)
        return observation, reward, self._step == LENGTH, False, {}

    def _observation(self) -> np.ndarray:
        return self.np_random.uniform(-1, 1, 3).astype(np.float32)

    def _is_time(self) -> bool:
        if self._once is None:
            return True
        try:
            Path(self._once).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def _fail(fault: str | None) -> None:
    if fault in ("raise", "raise_in_reset"):
        raise RuntimeError("the motor is broken")
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "deaf":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    if fault in ("hang", "hang_in_reset", "deaf"):
        time.sleep(3600)


gymnasium.register("Faulty-v0", FaultyEnv)
