"""Writing the agents of a checkpoint into folders, from which they act without Ray."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from rllib_recattn.agents.agent import Agent
from rllib_recattn.agents.graphs.write import GraphFormat, check_format, write_graph
from rllib_recattn.agents.stored import names_code, read_agent, write_agent
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.trained_agents.out_folder import check_none_is_lost, check_out
from rllib_recattn.experiment.trained_agents.policies import TrainedPolicy, read_policies

ExportFormat = Literal["safetensors"] | GraphFormat


@dataclass(frozen=True)
class ExportedAgent:
    """What was written.

    Attributes:
        policy: The policy's id.
        folder: Where it is.
        model: The model's name.
        parameters: How many numbers its weights are, those of a value function included.
        names_code: Whether it names a model or an encoder to be imported, and loads with ``trust=True`` only.
        error: How far a graph's results are from the agent's; None of what is no graph.
    """

    policy: str
    folder: Path
    model: str
    parameters: int
    names_code: bool
    error: float | None = None


def export_agents(
    checkpoint: Path,
    out: Path,
    *,
    policy: str | None = None,
    force: bool = False,
    form: ExportFormat = "safetensors",
    values: bool = False,
) -> list[ExportedAgent]:
    """Write the agents of a checkpoint, which is a pickle: export none that you do not trust.

    A single agent lies in the folder itself, several in folders in it that have the names of their policies. All of it
    is written beside the folder, read back, and put in its place at once. A graph is run beside its agent before that.

    Args:
        checkpoint: A run's directory, a checkpoint, or an RLModule's folder.
        out: The folder to write.
        policy: Which policy, of several; None: all of them.
        force: Whether to replace agents that are there already.
        form: Weights and settings, for :func:`~rllib_recattn.load_agent`; or a graph of a step, for other programs.
        values: Whether a graph returns values as well; weights of a value function are written anyway.

    Raises:
        SettingsError: If there is something already, also agents of other policies, which none of these replaces; or
            an agent cannot act without RLlib, or not as a graph.
        OSError: If it cannot be written.
    """
    if form != "safetensors":
        check_format(form)
    elif values:
        raise SettingsError("--values: is of graphs; safetensors hold the value function anyway: should be left out")
    check_out(out, force)
    policies = read_policies(checkpoint, policy)
    check_none_is_lost(out, policies.keys())
    for name in policies:
        if len(policies) > 1 and not re.fullmatch(r"\w[\w.-]*", name):
            raise SettingsError(
                f"policy {name!r}: cannot be the name of a folder; export it alone, with its id as policy"
            )
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh, old = (out.with_name(f".{out.name}-{os.getpid()}-{kind}") for kind in ("new", "old"))
    fresh.mkdir()
    try:
        exported = []
        for name, trained in policies.items():
            within = fresh / name if len(policies) > 1 else fresh
            within.mkdir(exist_ok=True)
            exported.append(_export(name, trained, within, out / within.relative_to(fresh), form, values))
        if out.exists():
            check_out(out, force)  # somebody may have put something there in the meantime
            out.rename(old)
        fresh.rename(out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        if old.exists() and not out.exists():
            old.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    return exported


def _export(
    policy: str, trained: TrainedPolicy, folder: Path, place: Path, form: ExportFormat, values: bool
) -> ExportedAgent:
    """Write a policy's agent into a folder that is there and empty, and will be in another place."""
    description, size = trained.description, sum(map(Tensor.numel, trained.weights.values()))
    if form == "safetensors":
        write_agent(description, trained.weights, folder, policy)
        read_agent(folder, trust=True, values=description.has_values)
        return ExportedAgent(policy, place, description.model, size, names_code(folder))
    written = write_graph(Agent(description, trained.weights, values=values), folder, policy, form)
    return ExportedAgent(policy, place, description.model, size, False, written.error)
