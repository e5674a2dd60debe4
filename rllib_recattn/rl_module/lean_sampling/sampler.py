"""Sampling steps of all environments at once."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
import tree
from ray.rllib.core.columns import Columns
from ray.rllib.env.env_runner import ENV_STEP_FAILURE
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.utils.metrics import RLMODULE_INFERENCE_TIMER
from ray.rllib.utils.numpy import convert_to_numpy
from ray.rllib.utils.torch_utils import convert_to_torch_tensor
from torch import Tensor

from rllib_recattn.inputs.masks import ActionMask
from rllib_recattn.inputs.previous import PREVIOUS
from rllib_recattn.rl_module.inputs.mask_check import at_step, mask_of, name_of_env
from rllib_recattn.rl_module.inputs.pieces import keep_row, previous_inputs_of
from rllib_recattn.rl_module.lean_sampling.acting import Actor
from rllib_recattn.rl_module.lean_sampling.carried_states import CarriedStates
from rllib_recattn.rl_module.lean_sampling.fragment import Fragment
from rllib_recattn.rl_module.recurrent_module import state_interval_of
from rllib_recattn.rl_module.rllib_internals.env_runners import module_to_env
from rllib_recattn.rl_module.rllib_internals.sampling import Sampling
from rllib_recattn.rl_module.sparse_states.kept_states import INITIAL, KEY, kept_states, start_keeping

_ROOM = 128
_TIMED_EACH = 16
_NOT_TIMED = nullcontext()


class LeanSampler:
    """Does what ``SingleAgentEnvRunner.sample`` does between its beginning and its end, in one call of it.

    Args:
        env_runner: The EnvRunner, to which :func:`~rllib_recattn.rl_module.lean_sampling.reasons.why_not` has no
            objection.
        explore: Whether the module explores.
        starts_may_change: Whether ``on_episode_start`` may change the observation with which an episode begins.
        episodes_as_lists: Whether ``on_episode_end`` is to find the lists that RLlib's episodes have there.
    """

    def __init__(self, env_runner: Any, *, explore: bool, starts_may_change: bool, episodes_as_lists: bool):
        self._runner = env_runner
        self._inside = Sampling(env_runner)
        self._rl_module = env_runner.module
        self._explore = explore
        self._starts_may_change, self._as_lists = starts_may_change, episodes_as_lists
        self._stateful = self._rl_module.is_stateful()
        self._resets: list[int] = []
        self._episode_ids: list[str] = []
        self._previous = previous_inputs_of(self._rl_module)
        self._mask = mask_of(self._rl_module)
        self._actor = Actor(
            self._rl_module, explore, module_to_env(env_runner).connectors, env_runner.env.single_action_space
        )

    def sample(
        self, *, num_timesteps: int | None = None, num_episodes: int | None = None, force_reset: bool = False
    ) -> list[SingleAgentEpisode]:
        """Sample steps or episodes.

        Args:
            num_timesteps: How many steps, at least.
            num_episodes: How many episodes, at least; one of the two.
            force_reset: Whether to begin with new episodes.

        Returns:
            Episodes that ended, and, for steps, chunks of those that go on.
        """
        inside = self._inside
        if force_reset or num_episodes is not None or inside.needs_reset:
            inside.reset_all(self._explore)
        if num_episodes is not None:
            inside.needs_reset = True
        try:
            return self._gather(num_timesteps, num_episodes)
        except BaseException:  # an environment's, a callback's, or Ctrl-C
            inside.needs_reset = True  # the steps of this call are lost, and episodes cannot go on without them
            raise

    def _gather(self, num_timesteps: int | None, num_episodes: int | None) -> list[SingleAgentEpisode]:
        inside, n_envs = self._inside, self._runner.num_envs
        # Environments are reset now and then, which takes a step that does not count.
        room = _ROOM if num_timesteps is None else num_timesteps // n_envs * 5 // 4 + 8
        env_steps = 0
        done: list[SingleAgentEpisode] = []
        self._begin(room)
        while env_steps < num_timesteps if num_timesteps is not None else len(done) < (num_episodes or 0):
            resets = self._resets
            ended = self._step(env_steps)
            if ended is None:  # the environments have failed; what they did not end is lost
                env_steps = 0
                inside.reset_all(self._explore)
                self._begin(room)
                continue
            env_steps += n_envs - len(resets)
            self._resets = []
            for env in sorted([*resets, *ended]):
                if env in resets:
                    inside.call_back("on_episode_start", env, self._episodes)
                    if self._starts_may_change:
                        self._fragment.take_over_start(env)
                    continue
                done.append(self._end(env))
                if len(done) == num_episodes:
                    break
        chunks = self._cut() if num_timesteps is not None else self._leave()
        # Copies: of what environments or this call write again.
        inside.put_batch(tree.map_structure(torch.clone, self._batch), self._episode_ids)
        inside.count(env_steps, done)
        return done + chunks

    def _begin(self, room: int) -> None:
        """Go on, or begin, with the episodes and the batch that the EnvRunner has."""
        self._episodes = self._inside.episodes
        self._batch = self._inside.take_batch()
        self._resets = [env for env, episode in enumerate(self._episodes) if not episode.is_reset]
        self._fragment = Fragment(self._episodes, room, self._inside.weights_seq_no, stateful=self._stateful)
        if not self._stateful:
            return
        initial = convert_to_numpy(self._rl_module.get_initial_state())
        self._states = CarriedStates(self._batch[Columns.STATE_IN], initial, state_interval_of(self._rl_module))
        self._batch[Columns.STATE_IN] = self._states.state_in
        for env, episode in enumerate(self._episodes):
            states = kept_states(episode, episode)
            if states is not None:
                self._states.start_chunk(env, 0, states["newest"])

    def _step(self, env_steps: int) -> list[int] | None:
        """Take a step in all environments; returns those whose episodes ended, None if the environments have failed."""
        episodes, resets, fragment = self._episodes, self._resets, self._fragment
        if self._stateful:
            self._states.keep(fragment.length)
        if self._mask is not None:
            self._check_masks(self._mask)
        with self._timer():
            outputs = self._actor.forward(self._batch, **self._time(env_steps))
        acted = self._actor.act(outputs, episodes)
        results = self._inside.step_envs(acted.actions_for_env)
        if results == ENV_STEP_FAILURE:
            return None
        observations, rewards, terminateds, truncateds, infos = results
        fragment.add(observations, acted.actions, rewards, infos, acted.outputs, time.perf_counter())
        for env, episode in enumerate(episodes):
            if not resets or env not in resets:
                episode.t += 1
        self._batch = self._next_batch(observations, acted.actions, rewards)
        if self._stateful:
            self._states.advance(acted.state_out)
        for env in resets:
            self._start(env, infos[env])
        if self._stateful:
            self._batch[Columns.STATE_IN] = self._states.state_in
        self._episode_ids = [episode.id_ for episode in episodes]
        self._ends = terminateds, truncateds
        return [env for env in np.flatnonzero(np.logical_or(terminateds, truncateds)).tolist() if env not in resets]

    def _check_masks(self, mask: ActionMask) -> None:
        """Refuse to act where nothing is allowed; environments that are about to be reset get no action."""
        for env in np.flatnonzero(mask.dead_ends(self._batch[Columns.OBS])).tolist():
            if env not in self._resets:
                raise mask.no_action(at_step(name_of_env(self._runner.config), self._episodes[env]))

    def _timer(self) -> AbstractContextManager[Any]:
        """Time some of the forward passes, for a metric that is their mean: to time a small one takes a tenth of it."""
        is_timed = self._fragment.length % _TIMED_EACH == 0
        return self._runner.metrics.log_time(RLMODULE_INFERENCE_TIMER) if is_timed else _NOT_TIMED

    def _time(self, env_steps: int) -> dict[str, int]:
        """Return what RLlib tells modules that explore: about how many steps all EnvRunners have sampled."""
        if not self._explore:
            return {}
        n_runners = self._runner.config.num_env_runners or 1
        return {"t": (self._runner.num_env_steps_sampled_lifetime // n_runners + env_steps) * n_runners}

    def _next_batch(self, observations: Any, actions: Any, rewards: Any) -> dict[str, Any]:
        batch = {Columns.OBS: self._as_inputs(observations)}
        if self._previous is not None:
            self._rows = self._previous.encode(actions, rewards, len(self._episodes))
            self._rows[self._resets] = 0
            batch[PREVIOUS] = self._as_inputs(self._rows)
        return batch

    def _as_inputs(self, values: Any) -> Any:
        if isinstance(values, np.ndarray) and values.dtype == np.float32 and values.flags.carray:
            tensors = torch.from_numpy(values)  # which is what becomes of most of them
        else:
            # Dense, as RLlib's batches are: products of others may be rounded otherwise.
            tensors = convert_to_torch_tensor(tree.map_structure(np.ascontiguousarray, values))
        if not self._stateful:
            return tensors
        return _with_time(tensors) if isinstance(tensors, Tensor) else tree.map_structure(_with_time, tensors)

    def _start(self, env: int, info: dict[str, Any]) -> None:
        """Begin an episode with what an environment gave out that was reset."""
        episode = self._episodes[env]
        episode.add_env_reset(observation=self._fragment.newest_observation(env), infos=info)
        self._fragment.start(env, episode)
        if self._previous is not None:
            keep_row(episode, episode, self._rows[env])
        if self._stateful:
            self._states.restart(env)
            self._states.start_chunk(env, self._fragment.length, INITIAL)
            start_keeping(episode, episode)

    def _end(self, env: int) -> SingleAgentEpisode:
        """Return the episode of an environment that has ended, and put a new one in its place."""
        episode = self._episodes[env]
        self._note_in(env, ended=True)
        self._fragment.finish(env, as_lists=self._as_lists)
        self._inside.call_back("on_episode_end", env, self._episodes)
        if self._as_lists:
            episode.to_numpy()
        self._inside.start_new_episode(env, self._episodes)
        self._resets.append(env)
        return episode

    def _cut(self) -> list[SingleAgentEpisode]:
        """Return the chunks of the episodes that go on, and have these go on."""
        chunks, continuations = [], []
        horizon = self._runner.config.episode_lookback_horizon
        for env, episode in enumerate(self._episodes):
            if env in self._resets or not self._fragment.n_steps(env):
                continuations.append(episode.cut(len_lookback_buffer=horizon))
                continue
            self._note_in(env, ended=False)
            continuations.append(self._fragment.cut(env, horizon))
            self._inside.chunks_for_metrics[episode.id_].append(episode)
            chunks.append(episode)
        self._inside.episodes = continuations
        return chunks

    def _leave(self) -> list[SingleAgentEpisode]:
        """Leave the episodes that go on as RLlib would have them; no chunk of them is returned.

        Nobody sees them, unless a fault of the environments made RLlib forget that it is to begin again.
        """
        if not self._inside.needs_reset:
            for env in range(len(self._episodes)):
                if env not in self._resets and self._fragment.n_steps(env):
                    self._note_in(env, ended=False)
                    self._fragment.finish(env, as_lists=True)
        return []

    def _note_in(self, env: int, *, ended: bool) -> None:
        """Write into a chunk what it has beside columns."""
        episode = self._episodes[env]
        episode.is_terminated, episode.is_truncated = (ends[env] for ends in self._ends)
        if self._previous is not None:
            keep_row(episode, episode, self._rows[env])
        if self._stateful:
            n_steps = self._fragment.n_steps(env)
            episode.custom_data[KEY] = self._states.kept(env, episode.t_started, n_steps, ended=ended)


def _with_time(tensor: Tensor) -> Tensor:
    return tensor.unsqueeze(1)
