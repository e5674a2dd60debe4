"""KDA, Kimi delta attention (arXiv 2510.26692, section 3): DeltaNet that forgets by features of the keys.

    α = exp(−e^a softplus(W_2 W_1 h + b))      S ← Diag(α) S      S ← S + β k (v − Sᵀ k)ᵀ      o = Sᵀ q / √d_k

with a scalar a for each head and a W_1 of d_head rows, which all heads share. All else is as in
:mod:`rllib_recattn.models.delta_net`, whose setting `decay` is what tells the two apart; the published layer's output
gate is a sigmoid of low rank, and this one a swish.
"""

from __future__ import annotations

from pydantic import Field

from rllib_recattn.models.delta_net import Decay, DeltaNetSettings


class KDASettings(DeltaNetSettings):
    """Settings of KDA: DeltaNet's, with another default."""

    decay: Decay = Field("feature", description=DeltaNetSettings.model_fields["decay"].description)
