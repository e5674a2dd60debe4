"""The RLModule specs that `use_model` writes: for all policies, or for some beside what the others have."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from rllib_recattn.errors import SettingsError, suggest
from rllib_recattn.rl_module.algorithms import Algorithm
from rllib_recattn.rl_module.catalog import RecAttnCatalog
from rllib_recattn.rl_module.given_settings import given_settings
from rllib_recattn.rl_module.recurrence import settings_in


def spec_for_all(existing: RLModuleSpec | MultiRLModuleSpec | None, algorithm: Algorithm) -> RLModuleSpec:
    """Return the spec of all policies; ``model_config`` is the config's.

    Args:
        existing: The config's spec so far.
        algorithm: The config's algorithm.

    Raises:
        SettingsError: If there is a spec that is not from an earlier call.
    """
    if isinstance(existing, MultiRLModuleSpec):
        raise SettingsError(
            f"use_model: config has RLModule specs for the policies {sorted(existing.rl_module_specs)}; say which "
            "policies the model is for: policies=[…]"
        )
    if existing is not None and existing.module_class is not algorithm.module:
        raise SettingsError(
            f"use_model: config.rl_module(rl_module_spec={existing!r}): should be left to use_model; settings "
            "of the heads go into config.rl_module(model_config=…)"
        )
    return RLModuleSpec(module_class=algorithm.module, catalog_class=RecAttnCatalog)


def spec_for_policies(
    config: AlgorithmConfig,
    algorithm: Algorithm,
    policies: Collection[str],
    model_config_beside: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]],
) -> MultiRLModuleSpec:
    """Return the config's spec, in which some policies have the model and the others what they had.

    Args:
        config: A multi-agent config.
        algorithm: Its algorithm.
        policies: The policies that get the model.
        model_config_beside: From what a user has set for a policy, and for all, to what `model_config` has to say of
            the model.

    Raises:
        SettingsError: If `policies` are not the config's, or one of them has a module of the user's own.
    """
    known = set(config.policies)
    _check_policies(policies, known, config.is_multi_agent)
    existing = config._rl_module_spec
    if isinstance(existing, MultiRLModuleSpec):
        multi_spec = copy.deepcopy(existing)
    else:
        for_each = {} if existing is None else {policy: copy.deepcopy(existing) for policy in known}
        multi_spec = MultiRLModuleSpec(rl_module_specs=for_each)
    specs = multi_spec.rl_module_specs
    for policy in policies:
        spec = specs.get(policy, RLModuleSpec())
        if spec.module_class not in (None, algorithm.module) or spec.catalog_class not in (None, RecAttnCatalog):
            raise SettingsError(
                f"use_model: policies = {list(policies)}: the RLModule spec of {policy!r} has a module or a catalog of "
                f"its own: {spec!r}; should be left to use_model"
            )
        own = given_settings(spec.model_config)
        model_config = model_config_beside(own, given_settings(config._model_config))
        specs[policy] = dataclasses.replace(
            spec,
            module_class=algorithm.module,
            catalog_class=RecAttnCatalog,
            model_config={**own, **model_config},
        )
    _check_sparse_states(config, specs, policies)
    for policy in config.policies:  # RLlib's AgentToModuleMapping finds the spaces only of policies that have a spec
        specs.setdefault(policy, RLModuleSpec())
    return multi_spec


def _check_policies(policies: Collection[str], known: set[str], is_multi_agent: bool) -> None:
    if not is_multi_agent:
        raise SettingsError(
            f"use_model: policies = {policies!r}: config has no policies yet; call config.multi_agent(policies=…) "
            "before, and leave policies out if there is only one agent"
        )
    if isinstance(policies, str) or not policies:
        raise SettingsError(f"use_model: policies = {policies!r}: should be a list of {sorted(known)}")
    for policy in policies:
        if policy not in known:
            raise SettingsError(f"use_model: policies: unknown policy {policy!r}: {suggest(str(policy), known)}")


def _check_sparse_states(config: AlgorithmConfig, specs: Mapping[str, RLModuleSpec], policies: Collection[str]) -> None:
    """Refuse what the connectors, which all policies share, cannot do."""
    sparse = {
        policy: settings_in({**config.model_config, **spec._get_model_config()}).sparse_states
        for policy, spec in specs.items()
        if spec.catalog_class is RecAttnCatalog
    }
    wanted = sparse[next(iter(policies))]
    others = [policy for policy in sparse if sparse[policy] != wanted]
    if others:
        raise SettingsError(
            f"use_model: sparse_states = {wanted}: should be the same for all policies; it is {not wanted} for "
            f"{sorted(others)}"
        )
