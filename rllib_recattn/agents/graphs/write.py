"""Writes an agent's step as a graph, once it is known to compute what the agent does."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rllib_recattn.agents.agent import Agent
from rllib_recattn.agents.graphs.comparison import largest_error
from rllib_recattn.agents.graphs.interface import INTERFACE_FILE, interface_of
from rllib_recattn.agents.graphs.onnx_file import check_packages, run_onnx, write_onnx
from rllib_recattn.agents.graphs.ports import ports_of
from rllib_recattn.agents.graphs.program import record, run_program, write_program
from rllib_recattn.errors import SettingsError

GraphFormat = Literal["onnx", "pt2"]
GRAPH_FILES: dict[GraphFormat, str] = {"onnx": "agent.onnx", "pt2": "agent.pt2"}

# A graph that computes something else is off by far more; float32 itself is off by nearly as much where a normaliser is
# close to 0.
_LARGEST_ERROR = 1e-3


@dataclass(frozen=True)
class WrittenGraph:
    """What was written.

    Attributes:
        file: The graph.
        error: How far its results are from the agent's at most, where they are greater than 1 in proportion to them.
    """

    file: Path
    error: float


def check_format(form: GraphFormat) -> None:
    """Refuse a format whose packages are missing, with how to install them."""
    if form == "onnx":
        check_packages()


def write_graph(agent: Agent, folder: Path, policy: str, form: GraphFormat) -> WrittenGraph:
    """Write an agent's step into a folder that is there and empty, read it back, and run it beside the agent.

    Args:
        agent: The agent; on a CPU.
        folder: Where to.
        policy: The policy's id.
        form: The format.

    Raises:
        SettingsError: If no graph can be made of it, or the graph does not compute what the agent does; what is in the
            folder then is of no use.
        OSError: If it cannot be written.
    """
    check_format(form)
    ports, file = ports_of(agent), folder / GRAPH_FILES[form]
    interface = interface_of(agent, ports, policy, file.name)
    text = json.dumps(interface, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    (folder / INTERFACE_FILE).write_text(text, encoding="utf-8")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # exporters warn of what is deprecated in themselves
            program = record(agent, ports)
            if form == "onnx":
                write_onnx(program, ports, interface, file)
            else:
                write_program(program, INTERFACE_FILE, text, file)
            error = largest_error(agent, ports, run_onnx(file) if form == "onnx" else run_program(file))
    except (SettingsError, OSError):
        raise
    except Exception as problem:  # whatever the exporters and their runtimes raise of operations that they lack
        raise SettingsError(_refusal(agent, form, f"{type(problem).__name__}: {_first_line(problem)}")) from problem
    if not error <= _LARGEST_ERROR:
        raise SettingsError(_refusal(agent, form, f"its results differ from the agent's by {error:.1e}"))
    return WrittenGraph(file, error)


def _refusal(agent: Agent, form: GraphFormat, why: str) -> str:
    other = "pt2, or --format safetensors" if form == "onnx" else "safetensors"
    return f"model {agent.description.model!r}: cannot be written as {form}: {why}; export it with --format {other}"


def _first_line(problem: Any) -> str:
    return next(iter(str(problem).strip().splitlines()), "")
