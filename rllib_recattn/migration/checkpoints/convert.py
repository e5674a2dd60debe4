"""Trained agents from one of RLlib's API stacks to the other, as checkpoints."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from rllib_recattn.algorithms import ABILITIES
from rllib_recattn.errors import SettingsError, suggest
from rllib_recattn.migration.checkpoints.configs import is_on_new_stack, on_new_stack, on_old_stack
from rllib_recattn.migration.checkpoints.reading import Checkpoint, TrainedPolicy, read_checkpoint
from rllib_recattn.migration.checkpoints.target import target
from rllib_recattn.rl_module.algorithms import ALGORITHMS


def convert_checkpoint(
    checkpoint: str | Path,
    out: str | Path,
    config: AlgorithmConfig | None = None,
    *,
    policies: Collection[str] | None = None,
) -> Path:
    """Write the agents of a checkpoint as a checkpoint of RLlib's other API stack.

    An old-stack checkpoint becomes one of the new stack, and the other way round. The weights stay the same to the
    bit, and so do logits and values up to rounding. Optimizers, counters and schedules begin again.

    What is written is the checkpoint of an Algorithm: ``Algorithm.from_checkpoint(out)`` goes on with training;
    ``RLModule.from_checkpoint(out / "learner_group" / "learner" / "rl_module")`` or, on the old stack,
    ``Policy.from_checkpoint(out)`` take the agents out of it. The environment has to be importable or registered, as
    for these.

    Args:
        checkpoint: The directory of a checkpoint of an Algorithm, or of an old-stack Policy or a new-stack RLModule by
            itself. Checkpoints are pickles, which can run any code: take those only that you trust.
        out: The directory to write; it must not exist yet.
        config: The config to go on with, on the other API stack, for the same environment and the same model. None:
            that of the checkpoint, translated; a lone Policy or RLModule has none.
        policies: Which of the checkpoint's policies are converted; the others begin again. None: all of them.

    Returns:
        `out`, as an absolute path.

    Raises:
        SettingsError: If the checkpoint cannot be read, something in it has no counterpart, or `config` means other
            networks, with what differs. Nothing is written then.

    Example:
        A checkpoint of the new API stack becomes one of the old, with the same weights:

        >>> import tempfile
        >>> import rllib_recattn as ra
        >>> from ray.rllib.algorithms.ppo import PPOConfig
        >>> config = PPOConfig().environment("CartPole-v1").env_runners(num_env_runners=0)
        >>> algorithm = ra.use_model(config, "gru", max_seq_len=8, d_model=8).build_algo()
        >>> folder = Path(tempfile.mkdtemp())
        >>> trained = algorithm.save_to_path(folder / "new")
        >>> ra.convert_checkpoint(trained, folder / "old").name
        'old'
    """
    out = Path(out).expanduser().absolute()
    if out.exists():
        raise SettingsError(f"convert_checkpoint: out = {str(out)!r}: should not exist yet")
    source = read_checkpoint(Path(checkpoint).expanduser())
    chosen = _chosen(source, policies)
    with target(_config(source, chosen, config)) as algorithm:
        for policy_id, trained in chosen.items():
            algorithm.load(policy_id, trained)
        algorithm.save(out)
    return out


def _chosen(source: Checkpoint, policies: Collection[str] | None) -> dict[str, TrainedPolicy]:
    where = f"checkpoint {str(source.path)!r}"
    if isinstance(policies, str) or (policies is not None and not policies):
        raise SettingsError(
            f"convert_checkpoint: policies = {policies!r}: should be a list of {sorted(source.policies)}"
        )
    for policy_id in policies or ():
        if policy_id not in source.policies:
            raise SettingsError(f"{where}: has no policy {policy_id!r}: {suggest(policy_id, source.policies)}")
    chosen = {policy_id: source.policies[policy_id] for policy_id in policies or source.policies}
    foreign = [policy_id for policy_id, trained in chosen.items() if trained.agent is None]
    if foreign:
        raise SettingsError(
            f"{where}: {', '.join(foreign)}: has no model of this package, only whose weights can be converted"
            + ("" if len(foreign) == len(source.policies) else "; name the others in policies=[…]")
        )
    return chosen


def _config(source: Checkpoint, chosen: dict[str, TrainedPolicy], config: AlgorithmConfig | None) -> AlgorithmConfig:
    stacks = ("old", "new") if source.is_new_stack else ("new", "old")
    if config is not None:
        if is_on_new_stack(config) == source.is_new_stack:
            raise SettingsError(
                f"convert_checkpoint: config is on the {stacks[1]} API stack, as the checkpoint is; should be on the "
                f"{stacks[0]} one (config.api_stack(…))"
            )
        return config
    if source.config is None:
        raise SettingsError(
            f"checkpoint {str(source.path)!r}: holds no algorithm's config; pass one on the {stacks[0]} API stack as "
            "config=…"
        )
    on_both = [algorithm for algorithm in ALGORITHMS if ABILITIES[algorithm.name].has_old_stack]
    if not isinstance(source.config, tuple(algorithm.config for algorithm in on_both)):
        names = ", ".join(algorithm.name for algorithm in on_both)
        raise SettingsError(
            f"checkpoint {str(source.path)!r}: is one of {type(source.config).__name__}; should be one of {names}"
        )
    agents = {policy_id: trained.agent for policy_id, trained in chosen.items() if trained.agent is not None}
    return (on_old_stack if source.is_new_stack else on_new_stack)(source.config, agents)
