"""A trained agent, from wherever it was left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rllib_recattn.agents.agent import Agent
from rllib_recattn.errors import SettingsError

if TYPE_CHECKING:
    import torch


def load_agent(
    path: str | Path,
    *,
    policy: str | None = None,
    device: str | torch.device = "cpu",
    seed: int | None = None,
    values: bool = False,
) -> Agent:
    """Load a trained agent, with its memory, to act outside of RLlib; no Ray cluster is started.

    Checkpoints are pickles, which can run any code: load none that you do not trust.

    Args:
        path: A run's directory, whose newest checkpoint is taken; a checkpoint; or an RLModule's folder.
        policy: Which policy, of several.
        device: Where it computes, as PyTorch names it.
        seed: Of the actions that are drawn with ``explore=True``; None: they follow PyTorch's own random state.
        values: Whether the agent computes values as well, as :attr:`Agent.values`.

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
    from rllib_recattn.experiment.trained_agents.policies import read_policies

    policies = read_policies(Path(path), policy)
    if len(policies) > 1:
        raise SettingsError(f"{str(path)!r}: has several policies; choose one by policy=…: {', '.join(policies)}")
    (trained,) = policies.values()
    return Agent(trained.description, trained.weights, device=device, seed=seed, values=values)
