"""The ``multi_agent`` block: which policies there are, which agents each decides for, and which of them learn."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from rllib_recattn.errors import Settings, SettingsError, suggest, validate
from rllib_recattn.experiment.definition.experiment_file import is_block
from rllib_recattn.experiment.definition.spec import ModelBlock, MultiAgentBlock
from rllib_recattn.rl_module.policy_mapping import PolicyMapping
from rllib_recattn.scope import Scope

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


def check_multi_agent(block: Mapping[str, Any], scope: Scope) -> MultiAgentBlock | None:
    """Validate the block by itself.

    Args:
        block: What the user wrote. ``mapping`` may be left out if there is only one policy.
        scope: That of the block; gets a problem for each thing that is wrong.

    Returns:
        The block; None if it is unusable.
    """
    said = {**block}
    if is_plain_mapping(said.get("mapping")):  # agents may be numbered
        said["mapping"] = {str(agent): policy for agent, policy in said["mapping"].items()}
    with scope.collect():
        file = validate(MultiAgentFile, said, scope.where)
        policies = _policies(file.policies, scope.at("policies"))
        mapping = file.mapping or ({"*": next(iter(policies))} if len(policies) == 1 else {})
        _check_mapping(mapping, policies, scope.at("mapping"))
        _check_policies_to_train(file.policies_to_train, policies, scope.at("policies_to_train"))
        return MultiAgentBlock(
            policies=policies,
            mapping=mapping,
            policies_to_train=None if file.policies_to_train is None else tuple(file.policies_to_train),
            count_steps_by=file.count_steps_by,
        )
    return None


def check_agents(block: MultiAgentBlock, agents: Sequence[Any], env: str, scope: Scope) -> None:
    """Check the block against the agents that there are.

    Args:
        block: The block.
        agents: The ids of all agents that the environment may have.
        env: The environment's name, for error messages.
        scope: That of the block; gets a problem for each agent without a policy, each policy without an agent, and each
            id or pattern without one.
    """
    mapping = PolicyMapping(block.mapping)
    known = ", ".join(repr(str(agent)) for agent in agents)
    for agent in agents:
        if mapping.find(agent) is None:
            scope.at("mapping").problem(f"no policy for the agent {str(agent)!r} of {env}; it has {known}")
    for pattern in block.mapping:
        alone = PolicyMapping({pattern: "it"})
        if not any(alone.find(agent) for agent in agents):
            scope.at("mapping").problem(f"{pattern!r} fits no agent of {env}, which has {known}")
    used = {mapping.find(agent) for agent in agents}
    for policy in block.policies.keys() - used:
        scope.at("policies").problem(f"{policy!r} decides for no agent of {env}, which has {known}")


def is_plain_mapping(value: Any) -> bool:
    """Tell whether a value is a mapping whose keys are strings or numbers."""
    return isinstance(value, dict) and all(isinstance(key, str | int) for key in value)


def _policies(said: Sequence[str] | Mapping[str, Any], scope: Scope) -> dict[str, ModelBlock | None]:
    if not said:
        raise SettingsError(f"{scope}: should name at least one policy")
    policies: dict[str, ModelBlock | None] = {}
    for name in said:
        policies[name] = None
        if not _POLICY.fullmatch(name):
            scope.problem(f"{name!r}: should consist of letters, digits, '-', '_', '+' and '.'")
        if isinstance(said, Mapping) and said[name] is not None:
            with scope.collect():
                policies[name] = _model(said[name], f"{scope}.{name}")
    if not isinstance(said, Mapping) and len(policies) < len(said):
        scope.take([f"{scope} = {list(said)!r}: should name each policy once"])
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


def _check_mapping(mapping: Mapping[str, str], policies: Collection[str], scope: Scope) -> None:
    if not mapping:
        scope.take(
            [
                f"{scope} is missing: say which policy decides for which agent, e.g. mapping: "
                f"{{'*': {next(iter(policies))}}}"
            ]
        )
    for pattern, policy in mapping.items():
        if policy not in policies:
            scope.problem(f"{pattern!r}: unknown policy {policy!r}: {suggest(policy, policies)}")
    for policy in policies:
        if mapping and policy not in mapping.values():
            scope.problem(f"no agent for the policy {policy!r}")


def _check_policies_to_train(chosen: Sequence[str] | None, policies: Collection[str], scope: Scope) -> None:
    if chosen is None:
        return
    if not chosen:
        scope.problem("should name at least one policy, or be left out to train all of them")
    for policy in chosen:
        if policy not in policies:
            scope.problem(f"unknown policy {policy!r}: {suggest(policy, policies)}")
