"""Memory for RLlib agents: recurrent-attention models whose state has a constant size.

The front door:

- :func:`use_model` gives any RLlib config of PPO, APPO or IMPALA a model with memory;
- :func:`build_model` builds the same model as a plain PyTorch module;
- :func:`list_models` lists the catalog;
- :func:`kernels` says which instruction set its kernels are made for;
- :func:`register_model` adds a model to it;
- :func:`probe` finds out what models can remember, in a minute each;
- :func:`compare` finds out which of them a task asks for;
- :func:`load_agent` loads a trained agent, to act outside of RLlib;
- :func:`register_model_v2` gives the models names in RLlib's old API stack;
- :func:`convert_checkpoint` moves trained agents from one API stack to the other.

Importing the package registers its Gymnasium environments and loads neither Ray nor PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rllib_recattn._version import __version__
from rllib_recattn.envs import register_envs
from rllib_recattn.old_paths import find_moved_modules

if TYPE_CHECKING:
    from rllib_recattn.comparing.compare import compare
    from rllib_recattn.experiment.trained_agents.load import load_agent
    from rllib_recattn.migration.checkpoints import convert_checkpoint
    from rllib_recattn.model_v2 import register_model_v2
    from rllib_recattn.models.kernels.library import instruction_set as kernels
    from rllib_recattn.models.registry import build_model, list_models, models, register_model
    from rllib_recattn.probing.probe import probe
    from rllib_recattn.rl_module.use_model import use_model

__all__ = [
    "__version__",
    "build_model",
    "compare",
    "convert_checkpoint",
    "kernels",
    "list_models",
    "load_agent",
    "models",  # the old name of list_models
    "probe",
    "register_model",
    "register_model_v2",
    "use_model",
]

_LAZY = {
    "build_model": "rllib_recattn.models.registry",
    "compare": "rllib_recattn.comparing.compare",
    "convert_checkpoint": "rllib_recattn.migration.checkpoints",
    "kernels": "rllib_recattn.models.kernels.library:instruction_set",
    "list_models": "rllib_recattn.models.registry",
    "load_agent": "rllib_recattn.experiment.trained_agents.load",
    "probe": "rllib_recattn.probing.probe",
    "register_model": "rllib_recattn.models.registry",
    "register_model_v2": "rllib_recattn.model_v2",
    "use_model": "rllib_recattn.rl_module.use_model",
}

register_envs()
find_moved_modules()


def __getattr__(name: str) -> Any:
    # `models` is the subpackage, and the old name of the listing; see rllib_recattn/models/__init__.py.
    if name == "models":
        return import_module("rllib_recattn.models")
    if name in _LAZY:
        module, _, attribute = _LAZY[name].partition(":")
        return getattr(import_module(module), attribute or name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
