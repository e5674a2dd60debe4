"""Whether what learners saw agrees with the replays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from ray.rllib.core.columns import Columns
from ray.rllib.evaluation.postprocessing import Postprocessing

from tests.oracle.environments import Life
from tests.oracle.replay import Replayed, Replayer
from tests.oracle.spy import KEY
from tests.oracle.targets import generalised_advantages, vtrace

TOLERANCE = 1e-5  # of float32, against float64; relative to what is compared where that is larger than 1
_LEEWAY = 32  # sums in another order than the replay's may be off by a multiple of what the replay's are


@dataclass
class Policy:
    """What a policy's losses are compared with.

    Attributes:
        actor: Has the weights that acted.
        learner: Has those that learn; the same object if they are the same.
        max_seq_len: Steps of a row.
        burn_in: Steps of a row that continues an episode which have no loss.
        gamma: γ.
        lambda_: λ of PPO and MARWIL.
        whole_episodes: Whether rows are whole episodes, whose states are not those of who acted.
    """

    actor: Replayer
    learner: Replayer
    max_seq_len: int
    burn_in: int = 0
    gamma: float = 0.99
    lambda_: float = 1.0
    whole_episodes: bool = False


@dataclass
class Report:
    """What came out.

    Attributes:
        worst: What was compared → the largest difference.
        n_steps: Steps that were learned from.
        n_rounded: Comparisons in which float32 is further off than `TOLERANCE` in the replay as well.
        problems: Sentences on what does not agree.
    """

    worst: dict[str, float] = field(default_factory=dict)
    n_steps: int = 0
    n_rounded: int = 0
    problems: list[str] = field(default_factory=list)

    def compare(self, name: str, seen: Any, expected: Any, rounding: Callable[[], float] = lambda: 0.0) -> None:
        """Note a difference that is larger than `TOLERANCE` and than what rounding explains."""
        seen, expected = np.asarray(seen, np.float64), np.asarray(expected, np.float64)
        if seen.shape != expected.shape:
            self.problems.append(f"{name}: shape {seen.shape}, expected {expected.shape}")
            return
        difference = float(np.max(np.abs(seen - expected) / np.maximum(1, np.abs(expected)), initial=0))
        if not difference <= TOLERANCE and difference <= TOLERANCE + _LEEWAY * rounding():
            self.n_rounded += 1
            return
        self.worst[name] = max(self.worst.get(name, 0.0), difference)
        if not difference <= TOLERANCE:
            self.problems.append(f"{name}: {difference:.2e} apart, {seen.tolist()} where {expected.tolist()} is right")


class Comparison:
    """Compares the losses of learners with replays of the episodes.

    Args:
        policies: By module.
        lives: The episodes by their numbers.
        losses: What the learners wrote down.
        frames: The observations that are stacked; 1: none.
        seen: By episode and step what modules saw, where a filter changes what the environment gives.
        once: Whether each step has to come exactly once; otherwise at least once.
        complete: Whether every step of an episode has to be in one chunk, up to where sampling ended.
    """

    def __init__(
        self,
        policies: Mapping[str, Policy],
        lives: Mapping[int, Life],
        losses: list[dict[str, Any]],
        *,
        frames: int = 1,
        seen: Mapping[int, Mapping[int, np.ndarray]] | None = None,
        once: bool = True,
        complete: bool = True,
    ):
        self.report = Report()
        self._policies, self._lives, self._losses = policies, lives, losses
        self._once = once
        # A chunk that ends within its burn-in is left out of packed rows.
        self._complete = complete and not any(policy.burn_in for policy in policies.values())
        self._observations = {number: _stack(life, frames, (seen or {}).get(number)) for number, life in lives.items()}
        self._replayed: dict[tuple[str, int], Replayed] = {}

    def run(self) -> Report:
        counts: Counter[tuple[int, int]] = Counter()
        wanted: set[tuple[int, int]] = set()
        steps_of: dict[int, list[int]] = {}
        for loss in self._losses:
            keys, mask = loss["batch"][KEY], loss["batch"][Columns.LOSS_MASK].astype(bool)
            is_real = keys[..., 0] > 0
            chunks = {tuple(int(x) for x in key[[0, 2, 3]]) for key in keys[is_real]}
            for number, start, n_steps in chunks:
                steps_of.setdefault(number, []).extend(range(start, start + n_steps))
                wanted |= {
                    (number, t)
                    for t in range(start, start + n_steps)
                    if not self._is_burnt_in(self._policies[loss["module"]], start, t)
                }
            counts.update((int(key[0]), int(key[1])) for key in keys[mask & is_real])
            if (mask & ~is_real).any():
                self.report.problems.append("a padded slot has a loss")
            self._compare(loss, mask & is_real)
        self.report.n_steps += sum(counts.values())
        for number, steps in steps_of.items():
            if self._complete and sorted(steps) != list(range(len(steps))):
                self.report.problems.append(f"the chunks of episode {number} hold the steps {sorted(steps)}")
        missing = wanted - counts.keys()
        surplus = {key for key, count in counts.items() if key not in wanted or (self._once and count > 1)}
        for what, keys in (("without a loss", missing), ("with a loss too many", surplus)):
            if keys:
                self.report.problems.append(f"{len(keys)} steps {what}, such as {sorted(keys)[:3]}")
        return self.report

    def _compare(self, loss: dict[str, Any], mask: np.ndarray) -> None:
        policy, batch = self._policies[loss["module"]], loss["batch"]
        advantages, episodes = [], set()
        for slot in zip(*mask.nonzero(), strict=True):
            number, t, start, n_steps = (int(x) for x in batch[KEY][slot])
            life, replayed = self._lives[number], self._replay(loss["module"], number)
            compare = partial(self.report.compare, rounding=partial(getattr, replayed, "rounding"))
            logits, value = self._learned(policy, replayed, start, t)
            compare("logits", loss["logits"][slot], logits)
            compare("values", loss["values"][slot], value)
            compare("actions", batch[Columns.ACTIONS][slot], life.actions[t])
            compare("rewards", batch[Columns.REWARDS][slot], life.rewards[t])
            action = torch.as_tensor(batch[Columns.ACTIONS][slot])
            logp = policy.learner.distribution(logits).logp(action)
            if not policy.whole_episodes:
                acted = replayed.acted(t)
                acted_logp = policy.actor.distribution(acted).logp(action)
                compare("logits while acting", batch[Columns.ACTION_DIST_INPUTS][slot], acted)
                compare("log-probabilities while acting", batch[Columns.ACTION_LOGP][slot], acted_logp)
                if "log_rhos" in loss:
                    compare("log ρ", loss["log_rhos"][slot], logp - acted_logp)
            if "vtrace_targets" in loss:
                targets, pg_advantages = self._vtrace(policy, number, replayed, start, n_steps, t)
                compare("V-trace targets", loss["vtrace_targets"][slot], targets)
                compare("V-trace advantages", loss["vtrace_advantages"][slot], pg_advantages)
            elif Postprocessing.VALUE_TARGETS in batch:
                advantage = self._advantage(policy, number, replayed, start, n_steps, t)
                compare("value targets", batch[Postprocessing.VALUE_TARGETS][slot], advantage + value)
                advantages.append((batch[Postprocessing.ADVANTAGES][slot], advantage))
                episodes.add(replayed)
        if len(advantages) > 2:
            # RLlib standardises them over the batch of a learner.
            seen, expected = np.array(advantages, np.float64).T
            scale, offset = np.polyfit(expected, seen, 1)
            self.report.compare(
                "advantages",
                seen,
                scale * expected + offset,
                rounding=lambda: abs(scale) * max(replayed.rounding for replayed in episodes),
            )
            if scale <= 0:
                self.report.problems.append(f"advantages: standardised by {scale}")

    def _replay(self, module: str, number: int) -> Replayed:
        if (module, number) not in self._replayed:
            policy = self._policies[module]
            self._replayed[module, number] = Replayed(
                policy.actor, policy.learner, self._lives[number], self._observations[number]
            )
        return self._replayed[module, number]

    @staticmethod
    def _row_start(policy: Policy, start: int, t: int) -> int:
        return t - (t - start) % policy.max_seq_len

    def _is_burnt_in(self, policy: Policy, start: int, t: int) -> bool:
        row_start = self._row_start(policy, start, t)
        return row_start > 0 and t - row_start < policy.burn_in

    def _learned(self, policy: Policy, replayed: Replayed, start: int, t: int) -> tuple[torch.Tensor, float]:
        return replayed.learned(t, self._row_start(policy, start, t))

    def _values(self, policy: Policy, replayed: Replayed, start: int, first: int, end: int) -> np.ndarray:
        """Return the values of the steps from `first` to `end`, both included."""
        return np.array([self._learned(policy, replayed, start, t)[1] for t in range(first, end + 1)])

    def _ends_by_itself(self, number: int, end: int) -> bool:
        return bool(self._lives[number].terminated and end == len(self._lives[number]))

    def _advantage(self, policy: Policy, number: int, replayed: Replayed, start: int, n_steps: int, t: int) -> float:
        values = self._values(policy, replayed, start, start, start + n_steps)
        rewards = self._lives[number].rewards[start : start + n_steps]
        terminated = self._ends_by_itself(number, start + n_steps)
        return float(generalised_advantages(rewards, values, terminated, policy.gamma, policy.lambda_)[t - start])

    def _vtrace(
        self, policy: Policy, number: int, replayed: Replayed, start: int, n_steps: int, t: int
    ) -> tuple[float, float]:
        life, first = self._lives[number], self._row_start(policy, start, t)
        end = min(first + policy.max_seq_len, start + n_steps)
        steps = range(first, end)
        log_rhos = np.array(
            [
                float(
                    policy.learner.distribution(self._learned(policy, replayed, start, s)[0]).logp(action)
                    - policy.actor.distribution(replayed.acted(s)).logp(action)
                )
                for s in steps
                for action in [torch.as_tensor(life.actions[s])]
            ]
        )
        targets, advantages = vtrace(
            life.rewards[first:end],
            self._values(policy, replayed, start, first, end),
            log_rhos,
            self._ends_by_itself(number, end),
            policy.gamma,
        )
        return targets[t - first], advantages[t - first]


def _stack(life: Life, frames: int, seen: Mapping[int, np.ndarray] | None) -> np.ndarray:
    """Return what a module sees at each step [T + 1, …]."""
    if seen is not None:
        # Steps that no batch holds come after all that do.
        return np.stack([seen.get(t, np.full(life.observations.shape[1:], np.nan)) for t in range(len(life) + 1)])
    if frames == 1:
        return life.observations
    padded = np.concatenate([np.zeros((frames - 1, life.observations.shape[1]), np.float32), life.observations])
    windows = [padded[frames - 1 - back : len(padded) - back] for back in reversed(range(frames))]
    return np.stack(windows, axis=-1)[:, :, None, None, :]
