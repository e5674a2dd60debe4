"""The models of this package, under the names by which they are asked for."""

from __future__ import annotations

from rllib_recattn.models.agalite import AGaLiTeSettings
from rllib_recattn.models.delta_net import DeltaNetSettings
from rllib_recattn.models.ffm import FFMSettings
from rllib_recattn.models.frame_stack import FrameStackSettings
from rllib_recattn.models.galite import GaLiTeSettings
from rllib_recattn.models.gated_delta_net import GatedDeltaNetSettings
from rllib_recattn.models.gla import GLASettings
from rllib_recattn.models.gru import GRUSettings
from rllib_recattn.models.gtrxl import GTrXLSettings
from rllib_recattn.models.hgrn2 import HGRN2Settings
from rllib_recattn.models.hybrid import HybridSettings
from rllib_recattn.models.kda import KDASettings
from rllib_recattn.models.linear_attention import LinearTransformerSettings
from rllib_recattn.models.lru import LRUSettings
from rllib_recattn.models.lstm import LSTMSettings
from rllib_recattn.models.mamba2 import Mamba2Settings
from rllib_recattn.models.memoryless import MemorylessSettings
from rllib_recattn.models.min_gru import MinGRUSettings
from rllib_recattn.models.mlstm import MLSTMSettings
from rllib_recattn.models.rate import RATESettings
from rllib_recattn.models.registry import register_model
from rllib_recattn.models.retnet import RetNetSettings
from rllib_recattn.models.rtu import RTUSettings
from rllib_recattn.models.slstm import SLSTMSettings

register_model(
    "agalite",
    AGaLiTeSettings,
    description="approximate gated linear transformer: oscillating key and value memories",
    source="arXiv 2310.15719",
)
register_model(
    "galite",
    GaLiTeSettings,
    description="gated linear transformer: an exact outer-product memory, for small widths",
    source="arXiv 2310.15719",
)
register_model(
    "gtrxl",
    GTrXLSettings,
    description="gated Transformer-XL: attention over a sliding window of the last steps",
    source="arXiv 1910.06764",
)
register_model(
    "linear_attention",
    LinearTransformerSettings,
    description="linear transformer: an outer-product memory that forgets nothing within an episode",
    source="arXiv 2006.16236",
)
register_model(
    "retnet",
    RetNetSettings,
    description="RetNet: an outer-product memory with fixed decays that tells how old its keys are",
    source="arXiv 2307.08621",
)
register_model(
    "gla",
    GLASettings,
    description="gated linear attention: an outer-product memory with learned decays",
    source="arXiv 2312.06635",
)
register_model(
    "hgrn2",
    HGRN2Settings,
    description="gated linear recurrence with an expanded state and lower bounds that grow by layer",
    source="arXiv 2404.07904",
)
register_model(
    "delta_net",
    DeltaNetSettings,
    description="DeltaNet: an outer-product memory that overwrites a key in the place of adding to it",
    source="arXiv 2406.06484",
)
register_model(
    "gated_delta_net",
    GatedDeltaNetSettings,
    description="Gated DeltaNet: the delta rule with a learned decay for each head",
    source="arXiv 2412.06464",
)
register_model(
    "kda",
    KDASettings,
    description="Kimi delta attention: the delta rule with a learned decay for each feature of the keys",
    source="arXiv 2510.26692",
)
register_model(
    "mamba2",
    Mamba2Settings,
    description="Mamba-2: a state space whose steps decide what they write and how much is kept",
    source="arXiv 2405.21060",
)
register_model(
    "mlstm",
    MLSTMSettings,
    description="mLSTM of the xLSTM: an outer-product memory with exponential gates",
    source="arXiv 2405.04517",
)
register_model(
    "rate",
    RATESettings,
    description="recurrent action transformer: attention within segments, memory tokens between them",
    source="arXiv 2306.09459",
)
register_model(
    "lstm",
    LSTMSettings,
    description="long short-term memory, PyTorch's: the usual baseline",
    source="Neural Computation, 1997",
)
register_model(
    "gru",
    GRUSettings,
    description="gated recurrent unit, PyTorch's: a smaller LSTM",
    source="arXiv 1406.1078",
)
register_model(
    "min_gru",
    MinGRUSettings,
    description="minGRU: a GRU whose gates look at the input alone, so that it is a linear recurrence",
    source="arXiv 2410.01201",
)
register_model(
    "lru",
    LRUSettings,
    description="linear recurrent unit: complex numbers that fade and turn at paces of their own",
    source="arXiv 2303.06349",
)
register_model(
    "rtu",
    RTUSettings,
    description="recurrent trace units: an LRU that is read through a relu",
    source="arXiv 2409.01449",
)
register_model(
    "ffm",
    FFMSettings,
    description="fast and forgetful memory: features that turn at several frequencies as they fade",
    source="arXiv 2310.04128",
)
register_model(
    "slstm",
    SLSTMSettings,
    description="sLSTM of xLSTM: an LSTM with exponential gates, in heads",
    source="arXiv 2405.04517",
)
register_model(
    "frame_stack",
    FrameStackSettings,
    description="feed-forward blocks over the last few inputs side by side, which are its state",
    source="Nature, 2015",
)
register_model(
    "memoryless",
    MemorylessSettings,
    description="feed-forward blocks without memory: what a task needs none for",
    source="arXiv 2303.01859",
)
register_model(
    "hybrid",
    HybridSettings,
    description="models of the catalog on top of one another",
    source="e.g. arXiv 2406.07522",
)
