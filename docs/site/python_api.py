"""The reference of Python, from docstrings: what mkdocstrings is to write, and under which names."""

from __future__ import annotations

import ast
from pathlib import Path

import rllib_recattn

FRONT = Path(rllib_recattn.__file__)
NOT_FUNCTIONS = ("__version__", "models")  # the version, and an old name of list_models
ORDER = ("use_model", "build_model", "load_agent", "list_models", "register_model", "probe")
BESIDE = {
    "Agent": "rllib_recattn.agents.agent.Agent",
    "SequenceModel": "rllib_recattn.models.base.SequenceModel",
    "ModelSettings": "rllib_recattn.models.base.ModelSettings",
    "ModelInfo": "rllib_recattn.models.registry.ModelInfo",
    "RecurrenceSettings": "rllib_recattn.rl_module.recurrence.RecurrenceSettings",
    "RLlibFixes": "rllib_recattn.rl_module.recurrence.RLlibFixes",
    "TMazeEnv": "rllib_recattn.envs.tmaze.TMazeEnv",
    "SettingsError": "rllib_recattn.errors.SettingsError",
    "SettingsWarning": "rllib_recattn.errors.SettingsWarning",
}
"""What public functions take, return and raise: its name → where it is."""


def public_functions() -> dict[str, str]:
    """Return each public function's name → where it is defined, without importing it."""
    imports = [
        node for node in ast.walk(ast.parse(FRONT.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)
    ]
    places = {alias.asname or alias.name: f"{node.module}.{alias.name}" for node in imports for alias in node.names}
    names = [name for name in rllib_recattn.__all__ if name not in NOT_FUNCTIONS]
    names.sort(key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    return {name: places[name] for name in names}


def python_api() -> str:
    """Return the page's Markdown."""
    functions = "".join(_section(f"rllib_recattn.{name}", place) for name, place in public_functions().items())
    version = (
        "## rllib_recattn.\\_\\_version\\_\\_ {#rllib_recattn-version}\n\n"
        f'The version of the package, a string: `"{rllib_recattn.__version__}"`.\n\n'
        "`rllib_recattn.models()` is the old name of `list_models()`.\n\n"
    )
    beside = "".join(_section(name, place) for name, place in BESIDE.items())
    return f"{functions}{version}# What they take, return and raise\n\n{beside}".replace("\n# ", "\n## ")


def _section(name: str, place: str) -> str:
    return f"::: {place}\n    options:\n      heading: {name}\n      toc_label: {name}\n\n"
