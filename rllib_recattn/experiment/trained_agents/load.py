"""A trained agent, from wherever it was left."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from rllib_recattn.agents.agent import Agent
from rllib_recattn.agents.stored import is_stored, read_agent
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
    folder = Path(path)
    stored = {each.name: each for each in sorted(folder.glob("*")) if is_stored(each)}
    if is_stored(folder) or stored:
        if not is_stored(folder):
            folder = stored[_only(policy, stored, path)]
        return read_agent(folder, trust=trust, device=device, seed=seed, values=values)

    from rllib_recattn.experiment.trained_agents.policies import read_policies

    policies = read_policies(folder, policy)
    trained = policies[_only(policy, policies, path)]
    return Agent(trained.description, trained.weights, device=device, seed=seed, values=values)


def _only(policy: str | None, policies: Collection[str], path: str | Path) -> str:
    """Return which of some policies is meant."""
    if policy is None and len(policies) > 1:
        raise SettingsError(f"{str(path)!r}: has several policies; choose one by policy=…: {', '.join(policies)}")
    if policy is not None and policy not in policies:
        raise SettingsError(f"{str(path)!r}: policy = {policy!r}: {suggest(policy, policies)}")
    return next(iter(policies)) if policy is None else policy
