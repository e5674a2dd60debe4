"""The states that an episode carries in its ``custom_data``."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import tree
from ray.rllib.core.columns import Columns
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_recattn.rl_module.episodes import Episode

# What a module hands out as STATE_OUT for one agent: nested dicts of float32 arrays, without a batch dimension.
State: TypeAlias = Any

KEY = "recattn_states"
INITIAL = "initial"  # in the place of a state: whatever the module that reads it starts episodes with

# In the episode's column of states, one for each step whose state is kept. Slices of an episode, which lose
# custom_data, still have it, so that states that got lost can be told from states that never were. RLlib's own
# learner piece, which would take the initial state wherever there is no column, cannot read it and says so.
KEPT_APART = "these states are kept apart: AddKeptStatesToTrainBatch should be in the learner connector"
MARK = {KEPT_APART: np.zeros(0, np.float32)}


class KeptStates(dict[str, Any]):
    """The states of one agent in one chunk of an episode.

    A dict of plain data, since RLlib writes the ``custom_data`` of recorded episodes with msgpack. It holds

    - ``t_started``: the agent's step with which the chunk begins;
    - ``rows``: the states before the steps 0, m, 2m, … of the chunk, so far;
    - ``n_steps``: the steps of the chunk for which the agent has chosen its action;
    - ``max_seq_len``: m, None before the first of them;
    - ``newest``: the state after the newest action, ``INITIAL`` before the first one of the episode;
    - ``previous``: the state before the newest action;
    - ``ended``: whether the agent's part in the episode is over.

    ``newest`` and ``previous`` become None once they cannot be asked for any more.
    """

    def __init__(self, states: dict[str, Any] | None = None):
        super().__init__(states or {**_EMPTY_CHUNK, "rows": [], "newest": INITIAL, "previous": INITIAL, "ended": False})

    @property
    def has_acted(self) -> bool:
        """Whether an action of this agent was recorded in this chunk or one before it."""
        return not isinstance(self["newest"], str)

    def enter_chunk(self, t_started: int) -> None:
        """Note that the episode goes on in the chunk that begins with the agent's step `t_started`.

        RLlib's ``cut()`` copies what the chunk before had. If the agent has not completed a step there, both begin
        with the same one, and what is kept holds for both.
        """
        if self["t_started"] != t_started:
            self.update(_EMPTY_CHUNK, rows=[], t_started=t_started)

    def record(self, t_started: int, step: int, max_seq_len: int, state_out: State) -> None:
        """Note that the agent chose its action for a step.

        Args:
            t_started: The agent's step with which the chunk begins.
            step: The step, counted from there.
            max_seq_len: m, the length of the learner's rows.
            state_out: The state after it. Not copied, unless it is to be kept for long: RLlib makes it a view into
                the states of all environments of the EnvRunner.
        """
        self.enter_chunk(t_started)
        rows = self["rows"]
        if step < self["n_steps"]:  # RLlib has lost the step that was waiting for its outcome: another takes its place
            del rows[-(-step // max_seq_len) :]
        if step == 1 and not rows:
            # The action for step 0 was chosen in the chunk before, and waited for its outcome when that was cut.
            rows.append(_own(self["previous"]))
        if step % max_seq_len == 0:
            rows.append(self["newest"])
        if len(rows) != step // max_seq_len + 1:
            raise ValueError(
                f"recurrent states: the state before step {step} of the chunk is the {len(rows)}. one kept, with "
                f"max_seq_len = {max_seq_len}: actions were added to the episode that did not come from the module"
            )
        starts_a_row = (step + 1) % max_seq_len == 0
        self["previous"] = self["newest"]
        self["newest"] = _own(state_out) if starts_a_row else state_out
        self["n_steps"], self["max_seq_len"] = step + 1, max_seq_len

    def before(self, t_started: int, step: int, max_seq_len: int) -> State:
        """Return the state before a step, a multiple of `max_seq_len`; ``INITIAL`` at the start of an episode.

        Raises:
            ValueError: If it is not among those kept.
        """
        state = None
        if self["t_started"] == t_started and self["max_seq_len"] in (None, max_seq_len):
            if step // max_seq_len < len(self["rows"]):
                state = self["rows"][step // max_seq_len]
            elif step == 0:
                state = self["previous"]  # the chunk has but one step, whose action was chosen in the chunk before
            elif step == max(self["n_steps"], 1):
                state = self["newest"]  # a step that the learner appends, to bootstrap from its value
        if state is None:
            raise ValueError(
                f"recurrent states: the learner asks for the state before step {step} of a chunk that begins with "
                f"{t_started}, in rows of {max_seq_len}; kept are {len(self['rows'])} in rows of "
                f"{self['max_seq_len']}, for {self['n_steps']} steps from {self['t_started']} on"
            )
        return state

    def end(self) -> None:
        """Drop what the learner does not ask for, since the agent will not act any more."""
        self.update(self._trimmed(), ended=True)

    def split(self, step: int) -> tuple[KeptStates, KeptStates]:
        """Return the states of the chunk's steps before `step`, a multiple of `max_seq_len`, and of the others."""
        row = step // self["max_seq_len"]
        head = {"rows": self["rows"][:row], "n_steps": step, "newest": self["rows"][row]}
        tail = {
            "rows": self["rows"][row:],
            "n_steps": self["n_steps"] - step,
            "t_started": self["t_started"] + step,
        }
        return KeptStates({**self, **head}), KeptStates({**self, **tail})

    def _trimmed(self) -> dict[str, Any]:
        n_steps, max_seq_len = self["n_steps"], self["max_seq_len"]
        newest_starts_a_row = max_seq_len is None or n_steps % max_seq_len == 0
        return {
            **self,
            "newest": self["newest"] if newest_starts_a_row else None,
            "previous": self["previous"] if not self["rows"] else None,
        }

    def __deepcopy__(self, memo: dict[int, Any]) -> KeptStates:
        return KeptStates({**self, "rows": list(self["rows"])})  # nobody writes into states: copies can share them

    def __reduce__(self) -> tuple[Any, ...]:
        return KeptStates, (self._trimmed(),)  # what leaves the process is on its way to the learner


_EMPTY_CHUNK = {"t_started": 0, "n_steps": 0, "max_seq_len": None}


def _own(state: State) -> State:
    return state if isinstance(state, str) else tree.map_structure(np.copy, state)


def kept_states(episode: Episode, agent_episode: SingleAgentEpisode) -> KeptStates | None:
    """Return what `episode` carries of the states of the agent of `agent_episode`, its part or itself, if anything."""
    states = episode.custom_data.get(KEY)
    if states is not None and isinstance(episode, MultiAgentEpisode):
        states = states.get(agent_episode.agent_id)
    return states if states is None or isinstance(states, KeptStates) else KeptStates(states)  # recorded by msgpack


def start_keeping(episode: Episode, agent_episode: SingleAgentEpisode) -> KeptStates:
    """Make a place in `episode` for the states of an agent, and return it."""
    states = KeptStates()
    if isinstance(episode, MultiAgentEpisode):
        episode.custom_data.setdefault(KEY, {})[agent_episode.agent_id] = states
    else:
        episode.custom_data[KEY] = states
    return states


def let_go_of_states(episode: Episode) -> None:
    """Drop what nobody asks for: states of chunks before, and those of the dead, or an endless episode gathers them."""
    if not isinstance(episode, MultiAgentEpisode):
        _update(episode.custom_data[KEY], episode)
        return
    states_of_agents = episode.custom_data.get(KEY, {})
    for agent, states in list(states_of_agents.items()):
        if agent in episode.agent_episodes:
            _update(states, episode.agent_episodes[agent])
        elif states["ended"]:  # without lookback, RLlib loses sight of agents that wait as well
            del states_of_agents[agent]


def _update(states: KeptStates, agent_episode: SingleAgentEpisode) -> None:
    states.enter_chunk(agent_episode.t_started)
    if agent_episode.is_done and not states["ended"]:
        states.end()


def are_kept_apart(agent_episode: SingleAgentEpisode) -> bool:
    """Whether the states of an agent are kept in ``custom_data``, going by the marks that its column has instead."""
    column = agent_episode.extra_model_outputs.get(Columns.STATE_OUT)
    if column is None:
        return False
    data = column.data  # a list of states, or one nested dict of arrays with all of them
    first = (data[0] if data else None) if isinstance(data, list) else data
    return isinstance(first, dict) and KEPT_APART in first
