"""The RLModule specs that `use_model` writes: for all policies, or for some beside what the others have."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.appo.torch.default_appo_torch_rl_module import DefaultAPPOTorchRLModule
from ray.rllib.algorithms.ppo.torch.default_ppo_torch_rl_module import DefaultPPOTorchRLModule
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.policy.sample_batch import DEFAULT_POLICY_ID

from rllib_recattn.errors import SettingsError, suggest
from rllib_recattn.rl_module.algorithms import Algorithm
from rllib_recattn.rl_module.catalog import RecAttnEncoders, is_stock_catalog
from rllib_recattn.rl_module.given_settings import given_settings, model_config_of
from rllib_recattn.rl_module.recurrence import settings_in
from rllib_recattn.rl_module.rllib_internals.configs import given_model_config, given_spec

# RLlib's own, which a user may have named; of an algorithm's others its default is asked.
_STOCK_MODULES = (DefaultPPOTorchRLModule, DefaultAPPOTorchRLModule)


def policies_meant(config: AlgorithmConfig, policies: Collection[str] | None) -> Collection[str] | None:
    """Return the policies that `use_model` writes specs for, None if one spec is for all.

    RLlib lets a single agent's spec stand in a MultiRLModuleSpec, under the name that the only policy has there.

    Args:
        config: The config.
        policies: What `use_model` was told.
    """
    existing = given_spec(config)
    if config.is_multi_agent:
        only_one = policies is None and isinstance(existing, MultiRLModuleSpec) and len(config.policies) == 1
        return list(config.policies) if only_one else policies
    is_default = isinstance(policies, Collection) and list(policies) == [DEFAULT_POLICY_ID]
    if policies is not None and not is_default:
        return policies
    return [DEFAULT_POLICY_ID] if isinstance(existing, MultiRLModuleSpec) and not _is_of_one(existing) else None


def spec_for_all(config: AlgorithmConfig, algorithm: Algorithm) -> tuple[RLModuleSpec, dict[str, Any]]:
    """Return the spec of all policies, and what a user has set in its ``model_config``, which goes to the config's.

    Args:
        config: The config, with the spec so far, if any.
        algorithm: Its algorithm.

    Raises:
        SettingsError: If there are specs for several policies, or one has a module or a catalog of the user's own.
    """
    existing = given_spec(config)
    if isinstance(existing, MultiRLModuleSpec) and not config.is_multi_agent:
        existing = existing.rl_module_specs.get(DEFAULT_POLICY_ID)
    if isinstance(existing, MultiRLModuleSpec):
        raise SettingsError(
            f"use_model: config has RLModule specs for the policies {sorted(existing.rl_module_specs)}; say which "
            "policies the model is for: policies=[…]"
        )
    spec = existing or RLModuleSpec()
    classes = _classes(spec, config, algorithm, "config.rl_module(rl_module_spec=…)")
    return dataclasses.replace(spec, **classes, model_config=None), given_settings(spec.model_config)


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
    existing = given_spec(config)
    if isinstance(existing, MultiRLModuleSpec):
        multi_spec = copy.deepcopy(existing)
    else:
        for_each = {} if existing is None else {policy: copy.deepcopy(existing) for policy in known}
        multi_spec = MultiRLModuleSpec(rl_module_specs=for_each)
    specs = multi_spec.rl_module_specs
    for policy in policies:
        spec = specs.get(policy, RLModuleSpec())
        classes = _classes(spec, config, algorithm, f"policies = {list(policies)}: the RLModule spec of {policy!r}")
        own = given_settings(spec.model_config)
        model_config = model_config_beside(own, given_settings(given_model_config(config)))
        specs[policy] = dataclasses.replace(
            spec,
            **classes,
            model_config={**own, **model_config},
        )
    _check_sparse_states(config, specs, policies)
    for policy in config.policies:  # RLlib's AgentToModuleMapping finds the spaces only of policies that have a spec
        specs.setdefault(policy, RLModuleSpec())
    return multi_spec


def _is_of_one(multi_spec: MultiRLModuleSpec) -> bool:
    """Whether a spec of several modules says nothing that a spec of the only policy cannot say."""
    plain = MultiRLModuleSpec(rl_module_specs=multi_spec.rl_module_specs)
    rest = ("multi_rl_module_class", "load_state_path", "modules_to_load", "model_config")
    return multi_spec.rl_module_specs.keys() <= {DEFAULT_POLICY_ID} and all(
        getattr(multi_spec, name, None) == getattr(plain, name, None) for name in rest
    )


def _classes(spec: RLModuleSpec, config: AlgorithmConfig, algorithm: Algorithm, where: str) -> dict[str, type]:
    """Return the module's and the catalog's class: ours in the place of RLlib's defaults, or what inherits from them.

    Raises:
        SettingsError: If there is another of the user's own.
    """
    default = config.get_default_rl_module_spec().module_class
    chosen = {}
    for name, ours in (("module_class", algorithm.module), ("catalog_class", algorithm.catalog)):
        own = getattr(spec, name)
        if own in (None, default, *_STOCK_MODULES) or (name == "catalog_class" and is_stock_catalog(own)):
            chosen[name] = ours
        elif isinstance(own, type) and issubclass(own, ours):
            chosen[name] = own
        else:
            raise SettingsError(
                f"use_model: {where}: {name} = {getattr(own, '__name__', own)}: should be left out, or inherit from "
                f"{ours.__module__}.{ours.__name__}, which brings the memory"
            )
    return chosen


def _check_policies(policies: Collection[str], known: set[str], is_multi_agent: bool) -> None:
    is_list = isinstance(policies, Collection) and not isinstance(policies, str)
    if not is_multi_agent and not (is_list and list(policies) == [DEFAULT_POLICY_ID]):
        raise SettingsError(
            f"use_model: policies = {policies!r}: config has no policies yet; call config.multi_agent(policies=…) "
            "before, and leave policies out if there is only one agent"
        )
    if not is_list or not policies:
        raise SettingsError(f"use_model: policies = {policies!r}: should be a list of {sorted(known)}")
    for policy in policies:
        if policy not in known:
            raise SettingsError(f"use_model: policies: unknown policy {policy!r}: {suggest(str(policy), known)}")


def _check_sparse_states(config: AlgorithmConfig, specs: Mapping[str, RLModuleSpec], policies: Collection[str]) -> None:
    """Refuse what the connectors, which all policies share, cannot do."""
    sparse = {
        policy: settings_in({**config.model_config, **model_config_of(spec)}).sparse_states
        for policy, spec in specs.items()
        if spec.catalog_class is not None and issubclass(spec.catalog_class, RecAttnEncoders)
    }
    wanted = sparse[next(iter(policies))]
    others = [policy for policy in sparse if sparse[policy] != wanted]
    if others:
        raise SettingsError(
            f"use_model: sparse_states = {wanted}: should be the same for all policies; it is {not wanted} for "
            f"{sorted(others)}"
        )
