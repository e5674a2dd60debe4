"""The ``multi_agent`` block: which policies there are, which agents each decides for, and which of them learn."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from rllib_recattn.errors import Settings, SettingsError, suggest, validate
from rllib_recattn.experiment.definition.experiment_file import is_block
from rllib_recattn.experiment.definition.problems import Problems
from rllib_recattn.experiment.definition.spec import ModelBlock, MultiAgentBlock
from rllib_recattn.rl_module.policy_mapping import PolicyMapping

# Policies name directories of checkpoints, and parts of metrics.
_POLICY = re.compile(r"\w[\w.+-]*")


class MultiAgentFile(Settings):
    """The block as it stands in a file."""

    policies: list[str] | dict[str, Any]
    mapping: dict[str, str] = Field(default_factory=dict)
    policies_to_train: list[str] | None = None
    count_steps_by: Literal["env_steps", "agent_steps"] = "env_steps"


class PolicyFile(Settings):
    """What a file says of one policy."""

    model: dict[str, Any] | None = None


def check_multi_agent(block: Mapping[str, Any], where: str, problems: Problems) -> MultiAgentBlock | None:
    """Validate the block by itself.

    Args:
        block: What the user wrote. ``mapping`` may be left out if there is only one policy.
        where: File and key path of it.
        problems: Gets a line for each thing that is wrong.

    Returns:
        The block; None if it is unusable.
    """
    said = {**block}
    if is_plain_mapping(said.get("mapping")):  # agents may be numbered
        said["mapping"] = {str(agent): policy for agent, policy in said["mapping"].items()}
    with problems.collect():
        file = validate(MultiAgentFile, said, where)
        policies = _policies(file.policies, f"{where}.policies", problems)
        mapping = file.mapping or ({"*": next(iter(policies))} if len(policies) == 1 else {})
        _check_mapping(mapping, policies, f"{where}.mapping", problems)
        _check_policies_to_train(file.policies_to_train, policies, f"{where}.policies_to_train", problems)
        return MultiAgentBlock(
            policies=policies,
            mapping=mapping,
            policies_to_train=None if file.policies_to_train is None else tuple(file.policies_to_train),
            count_steps_by=file.count_steps_by,
        )
    return None


def check_agents(block: MultiAgentBlock, agents: Sequence[Any], env: str, where: str, problems: Problems) -> None:
    """Check the block against the agents that there are.

    Args:
        block: The block.
        agents: The ids of all agents that the environment may have.
        env: The environment's name, for error messages.
        where: File and key path of the block.
        problems: Gets a line for each agent without a policy, each policy without an agent, and each id or pattern
            without one.
    """
    mapping = PolicyMapping(block.mapping)
    known = ", ".join(repr(str(agent)) for agent in agents)
    for agent in agents:
        if mapping.find(agent) is None:
            problems.add(f"{where}.mapping: no policy for the agent {str(agent)!r} of {env}; it has {known}")
    for pattern in block.mapping:
        alone = PolicyMapping({pattern: "it"})
        if not any(alone.find(agent) for agent in agents):
            problems.add(f"{where}.mapping: {pattern!r} fits no agent of {env}, which has {known}")
    used = {mapping.find(agent) for agent in agents}
    for policy in block.policies.keys() - used:
        problems.add(f"{where}.policies: {policy!r} decides for no agent of {env}, which has {known}")


def is_plain_mapping(value: Any) -> bool:
    """Tell whether a value is a mapping whose keys are texts or numbers."""
    return isinstance(value, dict) and all(isinstance(key, str | int) for key in value)


def _policies(said: Sequence[str] | Mapping[str, Any], where: str, problems: Problems) -> dict[str, ModelBlock | None]:
    if not said:
        raise SettingsError(f"{where}: should name at least one policy")
    policies: dict[str, ModelBlock | None] = {}
    for name in said:
        policies[name] = None
        if not _POLICY.fullmatch(name):
            problems.add(f"{where}: {name!r}: should consist of letters, digits, '-', '_', '+' and '.'")
        if isinstance(said, Mapping) and said[name] is not None:
            with problems.collect():
                policies[name] = _model(said[name], f"{where}.{name}")
    if not isinstance(said, Mapping) and len(policies) < len(said):
        problems.add(f"{where} = {list(said)!r}: should name each policy once")
    return policies


def _model(said: Any, where: str) -> ModelBlock | None:
    if not is_block(said):
        raise SettingsError(f"{where} = {said!r}: should be a mapping, such as {{model: {{name: agalite}}}}, or empty")
    model = validate(PolicyFile, said, where).model
    if model is None:
        return None
    # The models' settings come with PyTorch, which takes a second or two to import.
    from rllib_recattn.experiment.definition.model_block import check_model

    return check_model(model, f"{where}.model")


def _check_mapping(mapping: Mapping[str, str], policies: Collection[str], where: str, problems: Problems) -> None:
    if not mapping:
        problems.add(
            f"{where} is missing: say which policy decides for which agent, e.g. mapping: "
            f"{{'*': {next(iter(policies))}}}"
        )
    for pattern, policy in mapping.items():
        if policy not in policies:
            problems.add(f"{where}: {pattern!r}: unknown policy {policy!r}: {suggest(policy, policies)}")
    for policy in policies:
        if mapping and policy not in mapping.values():
            problems.add(f"{where}: no agent for the policy {policy!r}")


def _check_policies_to_train(
    chosen: Sequence[str] | None, policies: Collection[str], where: str, problems: Problems
) -> None:
    if chosen is None:
        return
    if not chosen:
        problems.add(f"{where}: should name at least one policy, or be left out to train all of them")
    for policy in chosen:
        if policy not in policies:
            problems.add(f"{where}: unknown policy {policy!r}: {suggest(policy, policies)}")
