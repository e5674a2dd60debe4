"""A trained agent, from wherever it was left."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rllib_recattn.agents.agent import Agent
from rllib_recattn.agents.graphs.interface import read_interface
from rllib_recattn.agents.stored import SETTINGS_FILE, WEIGHTS_FILE, is_stored, read_agent
from rllib_recattn.agents.stored_policies import stored_policies
from rllib_recattn.checkpoint_files import is_of_rllib
from rllib_recattn.errors import SettingsError, suggest

if TYPE_CHECKING:
    import torch


def load_agent(
    path: str | Path,
    *,
    policy: str | None = None,
    device: str | torch.device = "cpu",
    seed: int | None = None,
    values: bool = False,
    trust: bool = False,
) -> Agent:
    """Load a trained agent, with its memory, to act outside of RLlib; no Ray cluster is started.

    Checkpoints are pickles, which can run any code: load none that you do not trust. What ``rllib export`` writes runs
    none, and is loaded without Ray.

    Args:
        path: A run's directory, whose newest checkpoint is taken; a checkpoint; an RLModule's folder; or what
            ``rllib export`` wrote.
        policy: Which policy, of several.
        device: Where it computes, as PyTorch names it.
        seed: Of the actions that are drawn with ``explore=True``; None: they follow PyTorch's own random state.
        values: Whether the agent computes values as well, as :attr:`Agent.values`.
        trust: Whether an exported agent may name a model or an encoder to be imported that is not of this package.

    Returns:
        The agent, at the beginning of an episode.

    Raises:
        SettingsError: If there is no agent, or none that computes without RLlib what it computed with it.

    Example:
        An agent that nobody trained, for two steps of an episode:

        >>> import tempfile
        >>> import rllib_recattn as ra
        >>> from ray.rllib.algorithms.ppo import PPOConfig
        >>> config = PPOConfig().environment("CartPole-v1").env_runners(num_env_runners=0)
        >>> algorithm = ra.use_model(config, "gru", max_seq_len=8, d_model=8).build_algo()
        >>> checkpoint = algorithm.save_to_path(tempfile.mkdtemp())
        >>> agent = ra.load_agent(checkpoint)
        >>> actions = [agent.act([0.0, 0.1, 0.0, 0.1]), agent.act([0.0, 0.1, 0.1, 0.1])]
        >>> all(action in agent.action_space for action in actions)
        True
        >>> agent.reset()  # the next episode begins
    """
    if policy is not None and not isinstance(policy, str):
        raise SettingsError(f"policy = {policy!r}: should be the id of a policy, a string")
    folder = _folder(path)
    options: dict[str, Any] = {"device": device, "seed": seed, "values": values}
    if not is_of_rllib(folder):
        if is_stored(folder):
            return read_agent(folder, policy=policy, trust=trust, **options)
        stored = stored_policies(folder)
        if stored:
            chosen = _only(policy, stored, path)
            return read_agent(stored[chosen], policy=chosen, trust=trust, **options)
        _refuse_graphs(folder)
        if (folder / WEIGHTS_FILE).is_file():
            raise SettingsError(f"agent {str(folder)!r}: {SETTINGS_FILE} is missing")

    from rllib_recattn.experiment.trained_agents.policies import read_policies

    policies = read_policies(folder, policy)
    trained = policies[_only(policy, policies, path)]
    return Agent(trained.description, trained.weights, **options)


def _folder(path: Any) -> Path:
    """Return a path that a user gave, which a folder may lie at."""
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str) or not text or "\0" in text:
        raise SettingsError(
            f"path = {path!r}: should be the path of a run's directory, a checkpoint, or what `rllib export` wrote"
        )
    try:
        folder = Path(text).expanduser()
        folder.exists()
    except (OSError, RuntimeError) as error:  # a user that there is not, a name that is too long
        raise SettingsError(f"path = {path!r}: {error}") from error
    return folder


def _refuse_graphs(folder: Path) -> None:
    """Refuse what was exported for other programs, and say how it is used."""
    for each in (folder, *sorted(folder.glob("*"))):
        interface = read_interface(each)
        if interface is not None:
            raise SettingsError(
                f"{str(each)!r}: holds the graph of a step, {interface.get('file')}, for programs without "
                "rllib_recattn; docs/agents.md shows how to run it. For load_agent export the checkpoint with --format "
                "safetensors"
            )


def _only(policy: str | None, policies: Collection[str], path: str | Path) -> str:
    """Return which of some policies is meant."""
    if not policies:
        raise SettingsError(f"{str(path)!r}: has no policy")
    if policy is None and len(policies) > 1:
        raise SettingsError(f"{str(path)!r}: has several policies; choose one by policy=…: {', '.join(policies)}")
    if policy is not None and policy not in policies:
        raise SettingsError(f"{str(path)!r}: policy = {policy!r}: {suggest(policy, policies)}")
    return next(iter(policies)) if policy is None else policy
