"""Settings that Ray has taken away: which values of them nothing is lost with, and what to write for the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rllib_recattn.experiment.definition.problems import Problems


class Gone(NamedTuple):
    """A setting that there is no more.

    Attributes:
        harmless: The values that ask for what happens anyway; None: all of them do.
        advice: What to write for another value.
        note: What to say of a harmless one.
    """

    harmless: tuple[Any, ...] | None = None
    advice: str = ""
    note: str = "is not needed any more"


# Half of the new API stack, beside the old one's `model`: which of the two an experiment is for is told by that.
_NEW_STACK = Gone(note="has no counterpart any more; `api_stack` says which of RLlib's API stacks runs")

TOP_LEVEL = {
    "pass_criteria": Gone(note="said when a test of RLlib passed; 'stop' alone ends training"),
    "resources_per_trial": Gone(),
    "reuse_actors": Gone((False,), "RLlib's trials cannot share actors"),
    "verbose": Gone(),
}

CONFIG = {
    "_disable_execution_plan_api": Gone(),
    "_enable_learner_api": _NEW_STACK,
    "_enable_new_api_stack": _NEW_STACK,
    "_enable_rl_module_api": _NEW_STACK,
    "_use_trajectory_view_api": Gone(),
    "always_attach_evaluation_results": Gone(),
    "enable_connectors": Gone(),
    "horizon": Gone((None,), "write env_config: {max_episode_steps: …}"),
    "monitor": Gone((False, None), "film the agent with rllib evaluate --video"),
    "no_done_at_end": Gone((False,), "let the environment truncate its episodes"),
    "num_data_loader_buffers": Gone(),
    "record_env": Gone((False, None), "film the agent with rllib evaluate --video"),
    "sample_async": Gone((False,), "leave it out"),
    "shuffle_sequences": Gone((True,), "leave it out"),
    "simple_optimizer": Gone(),
    "soft_horizon": Gone((False,), "reset the environment at the end of an episode"),
    "sync_filters_on_rollout_workers_timeout_s": Gone(),
    "synchronize_filters": Gone((True,), "write update_worker_filter_stats"),
    "vf_share_layers": Gone((False,), "write it into the model's settings"),
}


NOTHING_IF_NULL = ("callbacks", "exploration_config", "model", "preprocessor_pref")
"""Settings of ``config`` that old files have as null, as if they were not there."""


def without_gone(
    block: Mapping[str, Any], gone: Mapping[str, Gone], where: str, problems: Problems, notes: list[str]
) -> dict[str, Any]:
    """Leave out the settings that there are no more.

    Args:
        block: What the user wrote.
        gone: Those settings.
        where: File and key path of the block.
        problems: Gets a line for each value that meant something.
        notes: Gets a sentence for each other setting that is left out.

    Returns:
        The rest of the block.
    """
    for key in sorted(block.keys() & gone.keys()):
        harmless, advice, note = gone[key]
        if harmless is None or block[key] in harmless:
            notes.append(f"{where}: {key!r} {note}")
        else:
            problems.add(f"{where}: {key} = {block[key]!r}: there is no such setting any more: {advice}")
    nothing = NOTHING_IF_NULL if gone is CONFIG else ()
    return {key: value for key, value in block.items() if key not in gone and (value is not None or key not in nothing)}
