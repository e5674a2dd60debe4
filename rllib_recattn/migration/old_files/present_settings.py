"""RLlib's settings under ``config``, as files of older versions have them, under their present names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rllib_recattn.algorithms import abilities_of
from rllib_recattn.migration.old_files import gone_names, old_names
from rllib_recattn.migration.old_files.api_stack import (
    without_half_switches,
)
from rllib_recattn.scope import Scope

_GPUS = ("num_accs", "num_gpus")


def present_settings(block: Mapping[str, Any], run: Any, scope: Scope) -> dict[str, Any]:
    """Translate what older versions of Ray called otherwise, or have no more.

    Args:
        block: ``config``, or what overrides it in evaluation, as the user wrote it.
        run: The name of the algorithm, if that is right.
        scope: That of the block; gets a problem for each setting that is gone and meant something and for each that is
            given twice, and a note on each that is translated or left out.

    Returns:
        The settings that there are.
    """
    names = old_names.config_names(scope.stack)
    if not abilities_of(run).samples:
        block = _with_paths(block, scope)
    block = {key: value for key, value in block.items() if value is not None or not _is_nothing(key, names)}
    block = gone_names.without_gone(block, gone_names.config_gone(scope.stack, run), scope)
    if "multiagent" in block:
        scope.at("multiagent").problem(f"{_as_block(block.pop('multiagent'))}")
    if scope.stack == "new":
        block = _with_learners(without_half_switches(block), scope)
    return old_names.translate(block, names, scope)


def _is_nothing(key: str, names: Mapping[str, str]) -> bool:
    """Whether old files have a setting as null, as if it was not there."""
    return key in gone_names.NOTHING_IF_NULL or names.get(key, key) != key


def _as_block(said: Any) -> str:
    """Say what to write in the place of ``config.multiagent``, whose mapping is a function."""
    advice = "belongs one level up, into the 'multi_agent' block beside 'config'"
    policies = said.get("policies") if isinstance(said, Mapping) else None
    if not isinstance(policies, Mapping | list) or not policies:
        return f"{advice}: multi_agent: {{policies: [one], mapping: {{'*': one}}}}"
    names = [str(name) for name in policies]
    mapping = [f"{agent}: {name}" for agent, name in enumerate(names)] if len(names) > 1 else [f"'*': {names[0]}"]
    trained = said.get("policies_to_train")
    more = f", policies_to_train: [{', '.join(map(str, trained))}]" if isinstance(trained, list) and trained else ""
    return (
        f"{advice}: multi_agent: {{policies: [{', '.join(names)}], mapping: {{{', '.join(mapping)}}}{more}}}, where "
        "mapping says which agent has which policy"
    )


def _with_paths(block: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
    """Let the data set that ``input: dataset`` describes beside it be named by its paths."""
    config = block.get("input_config")
    found = [config[key] for key in ("paths", "path") if config.get(key)] if isinstance(config, Mapping) else []
    if block.get("input") != "dataset" or not found:
        return block
    scope.note(f"'input' = dataset with 'input_config': is written input_: {found[0]} now")
    rest = {key: value for key, value in block.items() if key not in ("input", "input_config")}
    return {**rest, "input_": found[0]}


def _with_learners(block: dict[str, Any], scope: Scope) -> dict[str, Any]:
    """Let several GPUs be those of as many learners, each of which uses one."""
    several = [key for key in _GPUS if isinstance(block.get(key), int) and block[key] > 1]
    if not several or {"num_learners", "num_learner_workers"} & block.keys():
        return block
    count = block[several[0]]
    scope.note(f"{several[0]} = {count}: is called num_learners now, with num_gpus_per_learner = 1")
    rest = {key: value for key, value in block.items() if key not in several}
    return {**rest, "num_learners": count, "num_gpus_per_learner": 1}
