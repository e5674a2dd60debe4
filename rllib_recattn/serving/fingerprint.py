"""What tells an agent from all others."""

from __future__ import annotations

import hashlib
import json

from rllib_recattn.agents.agent import Agent


def fingerprint(agent: Agent) -> str:
    """Compute a checksum of an agent's model and weights: a state means something to this agent alone."""
    digest = hashlib.sha256()
    description = agent.description
    digest.update(json.dumps([description.model, description.settings.model_dump()], sort_keys=True).encode())
    for name, tensor in sorted(agent.network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
