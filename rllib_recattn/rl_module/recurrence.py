"""How RLlib trains a recurrent model, whichever it is. Importing this loads no RLlib."""

from __future__ import annotations

from pydantic import Field

from rllib_recattn.errors import Settings

DEFAULT_MAX_SEQ_LEN = 64


class RecurrenceSettings(Settings):
    """What a user can say of a recurrent model besides the model's own settings."""

    max_seq_len: int = Field(
        DEFAULT_MAX_SEQ_LEN,
        gt=0,
        description="steps through which a gradient flows; RLlib pads rows to this length",
    )
    vf_share_layers: bool = Field(
        True,
        description="whether value and policy read one model's output; False: the value has a model of its own",
    )
