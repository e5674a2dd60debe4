"""Reference vectors of the models with GTrXL's gated block; reference_vectors/README.md says whose they are."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from rllib_recattn.models.base import SequenceModel

# What AGaLiTe's and GaLiTe's attention join, in the order of the package's expanded_attention.py.
EXPANDED_ATTENTION = {
    "project": ("key", "query", "key_expand", "query_expand", "gamma", "beta", "gamma_expand", "value"),
    "output": ("out",),
}
DIRECTORY = Path(__file__).parent / "reference_vectors"


def files(model: str) -> list[Path]:
    """The files of a model's vectors."""
    return sorted(DIRECTORY.glob(f"{model}_*.npz"))


class ReferenceVectors:
    """One file of reference vectors."""

    def __init__(self, path: Path):
        with np.load(path) as arrays:
            self.arrays = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        self.n_layers = int(self["cfg/n_layers"])

    def __getitem__(self, name: str) -> torch.Tensor:
        return self.arrays[name]

    def sizes(self, *names: str) -> dict[str, int]:
        """The settings that the file was made with, by this package's names, which most of its own are."""
        theirs = {"d_ff": "d_ffn", "memory_length": "memory"}
        return {name: int(self[f"cfg/{theirs.get(name, name)}"]) for name in names}

    def joined(self, *names: str) -> torch.Tensor:
        return torch.cat([self[name] for name in names])

    def block_weights(self, kind: str, mixer: Mapping[str, Sequence[str]]) -> dict[str, torch.Tensor]:
        """The weights ("param") or their gradients ("grad") under this package's names.

        Args:
            kind: "param" or "grad".
            mixer: For each of the mixer's Linear layers, the names of the file's projections that it joins.
        """
        named = {f"embedding.{w}": self[f"{kind}/embed.{w}"] for w in ("weight", "bias")}
        for layer in range(self.n_layers):
            theirs, ours = f"{kind}/layers.{layer}.", f"layers.{layer}."
            for gate, name in (("gate1", "mixer_gate"), ("gate2", "feedforward_gate")):
                for part, matrices in (
                    ("from_sublayer", ("Wr", "Wz", "Wg")),
                    ("from_skip", ("Ur", "Uz")),
                    ("from_reset_skip", ("Ug",)),
                ):
                    named[f"{ours}{name}.{part}.weight"] = self.joined(
                        *(f"{theirs}{gate}.{matrix}.weight" for matrix in matrices)
                    )
                named[f"{ours}{name}.bias"] = self[f"{theirs}{gate}.bias"]
            linears = {f"mixer.{name}": tuple(f"attn.{part}" for part in parts) for name, parts in mixer.items()}
            linears |= {"mixer_norm": ("norm1",), "feedforward.0": ("norm2",)}
            linears |= {"feedforward.1": ("ffn.0",), "feedforward.3": ("ffn.1",)}
            for name, parts in linears.items():
                for w in ("weight", "bias"):
                    named[f"{ours}{name}.{w}"] = self.joined(*(f"{theirs}{part}.{w}" for part in parts))
        return named

    def run(self, model: SequenceModel, chunk: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Read the file's sequence in chunks of so many steps; return the outputs [T, D] and the final state [1, S]."""
        state, outputs = model.initial_state(1), []
        pieces = zip(self["x"][None].split(chunk, dim=1), self["is_first"][None].split(chunk, dim=1), strict=True)
        for x, is_first in pieces:
            y, state = model(x, state, is_first)
            outputs.append(y[0])
        return torch.cat(outputs), state
