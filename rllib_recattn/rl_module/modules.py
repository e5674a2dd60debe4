"""RLlib's default modules for the models of this package."""

from __future__ import annotations

from typing import Any

from ray.rllib.algorithms.appo.torch.default_appo_torch_rl_module import DefaultAPPOTorchRLModule
from ray.rllib.algorithms.ppo.torch.default_ppo_torch_rl_module import DefaultPPOTorchRLModule

from rllib_recattn.rl_module.acting_mode import ActingModeMixin
from rllib_recattn.rl_module.catalog import RecAttnCatalog, is_stock_catalog
from rllib_recattn.rl_module.fixes.critic_encoder import SyncCriticEncoderMixin
from rllib_recattn.rl_module.fixes.float32_state import Float32StateMixin
from rllib_recattn.rl_module.masked_actions import MaskedActionsMixin, MaskedTargetMixin
from rllib_recattn.rl_module.packing.values import PackedValuesMixin


class RecurrentActorCriticMixin(
    MaskedActionsMixin, ActingModeMixin, PackedValuesMixin, SyncCriticEncoderMixin, Float32StateMixin
):
    """Mends RLlib's actor-critic modules where they hurt recurrent agents; stands before them as a base class.

    It builds what ``use_model`` wrote, whichever of RLlib's catalogs a later spec that names a module alone leads to:
    with them it would have no memory, and nothing would say so.
    """

    def __init__(self, *args: Any, catalog_class: type | None = None, **kwargs: Any) -> None:
        if is_stock_catalog(catalog_class):
            catalog_class = RecAttnCatalog
        super().__init__(*args, catalog_class=catalog_class, **kwargs)


class RecAttnPPOModule(RecurrentActorCriticMixin, DefaultPPOTorchRLModule):
    """PPO's and IMPALA's module for the models of the catalog."""


class RecAttnAPPOModule(MaskedTargetMixin, RecurrentActorCriticMixin, DefaultAPPOTorchRLModule):
    """APPO's module for the models of the catalog."""
