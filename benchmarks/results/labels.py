"""What the page calls models and tasks."""

from __future__ import annotations

LABELS = {
    "agalite": "AGaLiTe",
    "agalite-256": "AGaLiTe (max_timescale 256)",
    "hybrid": "Hybrid (AGaLiTe, GTrXL M = 32)",
    "gtrxl-128": "GTrXL (M = 128)",
    "gtrxl-32": "GTrXL (M = 32)",
    "lstm": "LSTM",
    "lstm-chrono": "LSTM (max_timescale 64)",
    "gru": "GRU",
    "gru-chrono": "GRU (max_timescale 64)",
    "gla": "GLA",
    "hgrn2": "HGRN2",
    "galite": "GaLiTe",
}
"""The models of benchmarks.memory, in the order in which they are shown."""

TITLES = {
    "minigrid-memory-s7": "MiniGrid-MemoryS7, seen three cells wide",
    "minigrid-memory-s13": "MiniGrid-MemoryS13",
    "miniworld-memory-tmaze": "MiniWorld MemoryTMaze",
    "miniworld-memory-tmaze-long": "MiniWorld MemoryTMaze, twice as long",
    "mystery-path-grid": "Mystery Path",
    "popgym-repeat-first-easy": "POPGym RepeatFirstEasy",
    "popgym-repeat-first-easy-appo": "POPGym RepeatFirstEasy, APPO",
    "popgym-repeat-previous-easy": "POPGym RepeatPreviousEasy",
}
"""The tasks of benchmarks.envs.learning, in the order in which they are shown."""

_OTHERS = {
    "gtrxl": "GTrXL",
    "rate": "RATE",
    "mamba2": "Mamba-2",
    "mlstm": "mLSTM",
    "retnet": "RetNet",
    "linear_attention": "Linear transformer",
    "delta_net": "DeltaNet",
    "gated_delta_net": "Gated DeltaNet",
    "kda": "KDA",
    "min_gru": "minGRU",
    "lru": "LRU",
    "rtu": "RTU",
    "ffm": "FFM",
    "slstm": "sLSTM",
    "frame_stack": "frame stack",
    "memoryless": "no memory",
}


def named(model: str) -> str:
    """Write a model's name for people."""
    if model in LABELS or model in _OTHERS:
        return LABELS.get(model) or _OTHERS[model]
    family, _, memory_length = model.partition("-")
    return f"GTrXL (M = {memory_length})" if family == "gtrxl" and memory_length.isdigit() else model
