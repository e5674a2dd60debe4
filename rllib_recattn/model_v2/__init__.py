"""The models in RLlib's old API stack: one ModelV2 over the catalog, its views, and its registration.

``rllib_recattn.model_v2.RecAttnModelV2`` is a class path that RLlib's ``model={"custom_model": …}`` takes as it is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rllib_recattn.errors import SettingsError
from rllib_recattn.tested_versions import warn_of_newer_ray

if TYPE_CHECKING:
    from rllib_recattn.model_v2.model import RecAttnModelV2
    from rllib_recattn.model_v2.register import register_model_v2

__all__ = ["RecAttnModelV2", "register_model_v2"]

_LAZY = {"RecAttnModelV2": "rllib_recattn.model_v2.model", "register_model_v2": "rllib_recattn.model_v2.register"}

warn_of_newer_ray()


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    check_old_stack(f"rllib_recattn.model_v2.{name}")
    import_module("rllib_recattn.model_v2.early_check").check_models_early()
    return getattr(import_module(_LAZY[name]), name)


def check_old_stack(where: str) -> None:
    """Make sure that the installed Ray still has the old API stack.

    Args:
        where: What needs it, for the error message.

    Raises:
        SettingsError: If it does not.
    """
    try:
        import_module("ray.rllib.models.torch.torch_modelv2")
        import_module("ray.rllib.policy.view_requirement")
    except ImportError as error:
        import ray

        raise SettingsError(
            f"{where}: Ray {ray.__version__} has no old API stack any more (no module {error.name!r}); should be an "
            "older Ray, or the new API stack with rllib_recattn.use_model: `rllib convert` translates YAML files, and "
            "rllib_recattn.convert_checkpoint weights"
        ) from error
