"""Registering the catalog's models under names that RLlib's ``model={"custom_model": …}`` takes."""

from __future__ import annotations

from ray.rllib.models import ModelCatalog

from rllib_recattn.model_v2.model import RecAttnModelV2
from rllib_recattn.model_v2.settings import PREFIX
from rllib_recattn.models.registry import model_names, qualified_name


def register_model_v2() -> list[str]:
    """Register every model of the catalog as a custom model of RLlib's old API stack.

    Afterwards ``model={"custom_model": "recattn_agalite", "custom_model_config": {"d_model": 64}, "max_seq_len": 64}``
    works in any config of PPO, APPO or IMPALA, in every process of this Ray session. To call it again, as after
    :func:`rllib_recattn.register_model`, is harmless. ``"recattn"`` is the one that ``custom_model_config`` names.

    Returns:
        The registered names.

    Example:
        >>> import rllib_recattn as ra
        >>> "recattn_agalite" in ra.register_model_v2()
        True
    """
    classes = {PREFIX + name: model_class(name) for name in model_names()}
    classes[PREFIX.rstrip("_")] = RecAttnModelV2
    for name, model in classes.items():
        ModelCatalog.register_custom_model(name, model)
    return list(classes)


def model_class(model: str) -> type[RecAttnModelV2]:
    """Return the ModelV2 of one model of the catalog, which need not be named in ``custom_model_config``."""
    # Other processes have not imported what registers a model of somebody else's.
    found_by = qualified_name(model)
    return type(f"RecAttnModelV2_{model}", (RecAttnModelV2,), {"model_name": found_by, "__module__": __name__})
