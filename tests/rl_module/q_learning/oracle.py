"""Sequences of a replay buffer, as the learner reads them, beside a replay of each episode from its initial state."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray import cloudpickle
from ray.rllib.algorithms.dqn.default_dqn_rl_module import QF_PREDS, QF_TARGET_NEXT_PREDS
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from rllib_recattn.rl_module.packing.rows import IS_FIRST
from rllib_recattn.rl_module.q_learning.learner import RecAttnDQNLearner
from rllib_recattn.rl_module.q_learning.pieces import SEQUENCE, WEIGHTS
from rllib_recattn.rl_module.q_learning.replay import SequenceEpisodeReplayBuffer
from rllib_recattn.rl_module.q_learning.sequences import SequenceShape
from tests.oracle.environments import ACTION_SPACES, Life, read_lives
from tests.oracle.harness import shake
from tests.oracle.replay import LAST_BIT
from tests.rl_module.q_learning.cases import Case
from tests.rl_module.q_learning.definitions import target_of


class SpyLearner(RecAttnDQNLearner):
    """Remembers each loss, and what it was computed of."""

    def build(self) -> None:
        self.seen: list[tuple[dict[str, Any], dict[str, Any], float]] = []
        super().build()

    def compute_loss_for_module(self, *, module_id: str, config: Any, batch: Any, fwd_out: Any) -> Any:
        loss = super().compute_loss_for_module(module_id=module_id, config=config, batch=batch, fwd_out=fwd_out)
        plain = {key: value for key, value in batch.items() if key != Columns.STATE_IN}
        state = batch[Columns.STATE_IN]["state"]
        self.seen.append(({**plain, "state": state}, dict(fwd_out), float(loss.detach())))
        return loss


class Network:
    """Steps through episodes with one encoder and its heads, in float64, without RLlib's rows and connectors."""

    def __init__(self, module: Any, target: bool = False):
        prefix = "_target_" if target else ""
        parts = [getattr(module, prefix + name, None) for name in ("encoder", "af", "vf")]
        self.encoder, self.advantage, self.value = (copy.deepcopy(part).double() if part else None for part in parts)
        self.encoder.tokenizer.float()
        self.inputs, self.dueling = module.recurrence, module.uses_dueling

    def initial(self) -> torch.Tensor:
        return self.encoder.model.initial_state(1)

    @torch.no_grad()
    def read(self, life: Life, observations: np.ndarray, start: int, stop: int, state: torch.Tensor) -> Any:
        """Read the steps from `start` to `stop`, not included; returns Q-values [L, A], and the state before each."""
        q_values, states = [], []
        for t in range(start, stop):
            states.append(state)
            x = self.encoder.tokenizer(torch.from_numpy(observations[t])[None, None])
            x = torch.cat([x, torch.from_numpy(self.previous(life, t))[None, None]], dim=-1)
            y, state = self.encoder.model(x.double(), state)
            advantages = self.advantage(y[0, 0])
            if self.dueling:
                advantages = advantages - advantages.mean() + self.value(y[0, 0])
            q_values.append(advantages)
        return torch.stack(q_values).numpy(), states

    def previous(self, life: Life, t: int) -> np.ndarray:
        parts = []
        if self.inputs.use_prev_action:
            parts.append(np.eye(int(ACTION_SPACES["discrete"].n))[life.actions[t - 1]])
        if self.inputs.use_prev_reward:
            parts.append(np.array([life.rewards[t - 1]]))
        joined = np.concatenate([*parts, []]).astype(np.float32)
        return joined if t else np.zeros_like(joined)

    def perturbed(self, generator: torch.Generator) -> Network:
        other = copy.deepcopy(self)
        for part in (other.encoder, other.advantage, other.value):
            for parameter in part.parameters() if part else ():
                with torch.no_grad():
                    parameter.mul_(1 + LAST_BIT * torch.randn(parameter.shape, generator=generator))
        return other


def check(case: Case, directory: Path) -> tuple[list[str], int]:
    """Sample fragments, fill a buffer, compute losses; returns what differs, and how many steps were compared."""
    directory.mkdir(exist_ok=True)
    torch.manual_seed(case.seed)
    np.random.seed(case.seed)
    config = case.build(directory)
    config.learners(learner_class=SpyLearner)
    runner = SingleAgentEnvRunner(config=config)
    try:
        shake(runner.module, 0.1)
        spaces = {key: value for key, value in runner.get_spaces().items() if not key.startswith("__")}
        learner = config.build_learner(spaces=spaces)
        module = learner.module[DEFAULT_MODULE_ID].unwrapped()
        module.load_state_dict(runner.module.state_dict(), strict=False)
        actor = Network(module)
        shake(module, 0.05)
        module.make_target_networks()
        for part in ("_target_encoder", "_target_af", "_target_vf"):
            if hasattr(module, part):
                shake(getattr(module, part), 0.05)
        buffer = SequenceEpisodeReplayBuffer(
            **{key: value for key, value in config.replay_buffer_config.items() if key != "type"}
        )
        buffer.prepare(SequenceShape(case.max_seq_len, case.burn_in, config.episode_lookback_horizon), seed=case.seed)
        fragment = max(case.fragment_length, case.n_step)
        for _ in range(case.n_fragments):
            how = {} if case.complete_episodes else {"num_timesteps": fragment * case.num_envs}
            buffer.add(pickle.loads(cloudpickle.dumps(runner.sample(**how))))
        if len(buffer):
            learner.update(episodes=buffer.sample(case.n_sampled), timesteps={})
    finally:
        runner.stop()
    learners = Network(module), Network(module, target=True)
    return Comparison(case, actor, learners, read_lives(directory), module).run(learner.seen, buffer)


class Comparison:
    """Of what the learner saw with what it should have seen."""

    def __init__(self, case: Case, actor: Network, learners: tuple[Network, Network], lives: dict[int, Life], module):
        self.case, self.actor, self.learners, self.lives = case, actor, learners, lives
        remembers = any(state.numel() for state in module.get_initial_state().values())
        self.burn_in = case.burn_in if remembers else 0
        self.places = {
            observation.tobytes(): (number, t)
            for number, life in lives.items()
            for t, observation in enumerate(life.observations)
        }
        self.problems: list[str] = []
        self.n_steps = 0
        self._read: dict[Any, Any] = {}
        self._states: dict[int, list[torch.Tensor]] = {}
        self._rounding: dict[int, float] = {}

    def run(self, seen: list[Any], buffer: SequenceEpisodeReplayBuffer) -> tuple[list[str], int]:
        self._check_buffer(buffer)
        for batch, outputs, loss in seen:
            batch = {key: value.numpy() for key, value in batch.items()}
            q_values, target = (outputs[key].detach().numpy() for key in (QF_PREDS, QF_TARGET_NEXT_PREDS))
            losses, weights = [], []
            for row in range(len(batch[Columns.LOSS_MASK])):
                for segment in self._segments(batch, row):
                    self._check_segment(batch, q_values, target, row, segment, losses, weights)
            expected = np.mean(np.multiply(losses, weights)) if losses else 0.0
            if not np.isclose(loss, expected, rtol=1e-4, atol=1e-5):
                self.problems.append(f"loss: {loss} is {expected}")
        return self.problems, self.n_steps

    def _check_buffer(self, buffer: SequenceEpisodeReplayBuffer) -> None:
        """Each step of what ended is learnt in some sequence, and those that are new add up."""
        learnt: dict[int, list[int]] = {}
        for sequence in buffer._sequences:
            number, t = self.places[_newest_frame(sequence.observations[sequence.lookback], 1).tobytes()]
            assert t == sequence.t_started
            burnt = 0 if t == 0 else self.case.burn_in
            learnt.setdefault(number, []).extend(range(t + burnt, t + len(sequence)))
        for number, steps in learnt.items():
            if sorted(set(steps)) != list(range(max(steps) + 1)):
                self.problems.append(f"episode {number}: learnt are {sorted(steps)}")
        if sum(len(set(steps)) for steps in learnt.values()) != len(buffer):
            self.problems.append(f"the buffer says {len(buffer)} steps")
        waiting = {id_: episode for id_, (_, episode) in buffer._open.items()}
        if len(waiting) > self.case.num_envs:
            self.problems.append(f"{len(waiting)} episodes wait")

    def _segments(self, batch: dict[str, np.ndarray], row: int) -> list[range]:
        length = int(batch[Columns.SEQ_LENS][row])
        firsts = [0, *(np.flatnonzero(batch[IS_FIRST][row]).tolist() if IS_FIRST in batch else [])]
        firsts = sorted(set(firsts))
        return [range(a, b) for a, b in zip(firsts, [*firsts[1:], length], strict=True)]

    def _check_segment(self, batch, q_values, target, row, segment, losses, weights) -> None:
        slots = [(row, slot) for slot in segment]
        frames = [_newest_frame(batch[Columns.OBS][slot], self.case.frames) for slot in slots]
        number, start = self.places[frames[0].tobytes()]
        life, n = self.lives[number], len(segment) - 1
        if [self.places[frame.tobytes()] for frame in frames] != [(number, start + i) for i in range(n + 1)]:
            self.problems.append(f"row {row}: steps do not follow one another")
            return
        if len({int(batch[SEQUENCE][slot]) for slot in slots}) != 1:
            self.problems.append(f"row {row}: two sequences in one")
        self._check_state(batch, row, segment, number, start)
        burnt = 0 if start == 0 else self.burn_in
        mask = [bool(batch[Columns.LOSS_MASK][slot]) for slot in slots]
        if mask != [i >= burnt and i < n for i in range(n + 1)]:
            self.problems.append(f"row {row}: the loss mask is {mask}, from step {start} on")
        expected = [self._q_values(which, number, start, n + 1) for which in (0, 1)]
        terminated = bool(life.terminated and start + n == len(life))
        own, other = (np.stack([values[slot] for slot in slots]).astype(np.float64) for values in (q_values, target))
        self._compare("Q-values", number, own, expected[0])
        self._compare("Q-values of the target network", number, other, expected[1])
        rewards = np.array([batch[Columns.REWARDS][slot] for slot in slots[:n]])
        actions = np.array([batch[Columns.ACTIONS][slot] for slot in slots[:n]])
        if not np.array_equal(rewards, life.rewards[start : start + n]):
            self.problems.append(f"row {row}: rewards")
        if not np.array_equal(actions, life.actions[start : start + n]):
            self.problems.append(f"row {row}: actions")
        for i in range(burnt, n):
            y = target_of(i, rewards, own, other, terminated, self.case)
            error = own[i, actions[i]] - y
            huber = self.case.td_error_loss_fn == "huber"
            losses.append(0.5 * error**2 if huber and abs(error) < 1 else abs(error) - 0.5 if huber else error**2)
            weights.append(batch[WEIGHTS][slots[i]])
            self.n_steps += 1

    def _check_state(self, batch, row, segment, number, start) -> None:
        if segment.start > 0:
            if start != 0:
                self.problems.append(f"row {row}: step {start} stands behind another sequence")
            return
        expected = self._acted(number)[start][0].numpy()
        self._compare("state", number, batch["state"][row], expected)

    def _acted(self, number: int) -> list[torch.Tensor]:
        if number not in self._states:
            life = self.lives[number]
            self._states[number] = self.actor.read(
                life, self._observations(number), 0, len(life) + 1, self.actor.initial()
            )[1]
        return self._states[number]

    def _q_values(self, which: int, number: int, start: int, n: int) -> np.ndarray:
        key = which, number, start, n
        if key not in self._read:
            network = self.learners[which]
            state = network.initial() if start == 0 else self._acted(number)[start]
            self._read[key] = network.read(self.lives[number], self._observations(number), start, start + n, state)[0]
        return self._read[key]

    def _observations(self, number: int) -> np.ndarray:
        seen = self.lives[number].observations
        if self.case.frames == 1:
            return seen
        padded = np.concatenate([np.zeros((self.case.frames - 1, seen.shape[1]), np.float32), seen])
        windows = [padded[self.case.frames - 1 - k : len(padded) - k] for k in reversed(range(self.case.frames))]
        return np.stack(windows, axis=-1)[:, :, None, None, :]

    def _compare(self, what: str, number: int, seen: np.ndarray, expected: np.ndarray) -> None:
        difference = float(np.abs(seen - expected).max(initial=0.0))
        size = float(np.abs(expected).max(initial=1.0))
        if not difference <= 1e-4 * size and not difference <= 10 * self._rounding_of(number) + 1e-4 * size:
            self.problems.append(f"{what}: {difference} off, of {size}")

    def _rounding_of(self, number: int) -> float:
        """How far off float32 may be: what weights do that differ in their last bit."""
        if number not in self._rounding:
            generator, life = torch.Generator().manual_seed(0), self.lives[number]
            largest = 0.0
            for network in (self.actor, *self.learners):
                both = [
                    each.read(life, self._observations(number), 0, len(life) + 1, each.initial())
                    for each in (network, network.perturbed(generator), network.perturbed(generator))
                ]
                for q_values, states in both[1:]:
                    largest = max(largest, float(np.abs(q_values - both[0][0]).max()))
                    if states[0].numel():
                        gaps = [float((a - b).abs().max()) for a, b in zip(states, both[0][1], strict=True)]
                        largest = max(largest, *gaps)
            self._rounding[number] = largest
        return self._rounding[number]


def _newest_frame(observation: np.ndarray, frames: int) -> np.ndarray:
    newest = observation[..., -1] if frames > 1 else observation
    return np.ascontiguousarray(newest, np.float32).ravel()
