"""Gated DeltaNet (arXiv 2412.06464, section 3): DeltaNet that forgets, a share of all that a head remembers.

    α = exp(−e^a softplus(w_α · h + b))      S ← α S      S ← S + β k (v − Sᵀ k)ᵀ      o = Sᵀ q / √d_k

with a scalar a, a vector w_α and a scalar b for each head. All else is as in :mod:`rllib_recattn.models.delta_net`,
whose setting `decay` is what tells the two apart.
"""

from __future__ import annotations

from pydantic import Field

from rllib_recattn.models.delta_net import Decay, DeltaNetSettings


class GatedDeltaNetSettings(DeltaNetSettings):
    """Settings of Gated DeltaNet: DeltaNet's, with another default."""

    decay: Decay = Field("head", description=DeltaNetSettings.model_fields["decay"].description)
