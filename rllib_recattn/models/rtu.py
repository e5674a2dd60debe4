"""RTU, recurrent trace units (arXiv 2409.01449, section 4): an LRU that is read through a relu.

    x ← λ ⊙ x + γ ⊙ (B h)      y = W_o relu([Re x; Im x])

This is the paper's form with a linear recurrence; the other has a relu within it. All else is as in
:mod:`rllib_recattn.models.lru`, whose setting `readout` is what tells the two apart. The paper's real-time learning
rule, which needs no rows of several steps, is none of RLlib's; here gradients flow within a row as for all models.
"""

from __future__ import annotations

from pydantic import Field

from rllib_recattn.models.lru import LRUSettings, Readout


class RTUSettings(LRUSettings):
    """Settings of RTU: the LRU's, with another default."""

    readout: Readout = Field("rectified", description=LRUSettings.model_fields["readout"].description)
