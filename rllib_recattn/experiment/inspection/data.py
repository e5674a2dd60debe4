"""The numbers behind the picture, as plain data."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from rllib_recattn.experiment.inspection.inspect import Inspection

_DIGITS = 6


def as_data(inspection: Inspection) -> dict[str, Any]:
    """Return an inspection as it is written to JSON, numbers to six digits.

    Lists run over steps, the outermost where there are several dimensions, but for `gates`, whose lists hold one for
    each head, in it one for each group of its features, from those that forget least, and in that the steps.
    `counterfactual.moved` has a row for each of `counterfactual.steps` and in it a number for each step of the episode,
    null before the one that was replaced; `sensitivity.norms` has a row for each of `sensitivity.steps` and in it a
    number for each step of the episode; `attention` has, for each layer and step, a row for each head with the
    probabilities of the step itself and of those before it, the newest first; `convolution_taps` has, for each layer
    with a short convolution, how much that reads of the step itself and of those before it, likewise.
    """
    recording, memory = inspection.recording, inspection.memory
    decoding = inspection.decoding
    return {
        "checkpoint": str(inspection.checkpoint),
        "env": inspection.env,
        "model": inspection.model,
        "seed": inspection.seed,
        "explore": inspection.explore,
        "length": len(inspection),
        "success": recording.success,
        "cue_step": inspection.cue_step,
        "replay_error": inspection.replay_error,
        "counterfactual": {
            "measure": inspection.counterfactual.measure,
            "steps": list(inspection.counterfactual.steps),
            "n_replacements": list(inspection.counterfactual.n_replacements),
            "to_cue": _numbers(inspection.counterfactual.of(inspection.cue_step)),
            "moved": _numbers(inspection.counterfactual.moved),
        },
        "sensitivity": {
            "of": inspection.of,
            "steps": list(inspection.steps),
            "to_cue": _numbers(inspection.cue_sensitivity),
            "norms": _numbers(inspection.sensitivity),
        },
        "decoding": None
        if decoding is None
        else {**asdict(decoding), "accuracy": [asdict(interval) for interval in decoding.accuracy]},
        "gates": [
            {"name": gates.name, "heads": list(gates.heads), "values": _numbers(gates.values)} for gates in memory.gates
        ],
        "attention": {layer: _numbers(probabilities) for layer, probabilities in memory.attention.items()},
        "state_norms": [
            {"layer": layer, "part": part, "norms": _numbers(norms)}
            for (layer, part), norms in memory.state_norms.items()
        ],
        "convolution_taps": {layer: _numbers(taps) for layer, taps in memory.taps.items()},
        "action_probabilities": _numbers(inspection.probabilities),
        "entropy": _numbers(inspection.entropy),
        "values": _numbers(inspection.values),
        "rewards": _numbers(recording.rewards),
    }


def _numbers(array: np.ndarray | None) -> Any:
    """Round to a number of digits that counts, and make lists."""
    if array is None:
        return None
    array = np.asarray(array, dtype=np.float64)
    magnitude = np.floor(np.log10(np.abs(array), out=np.zeros_like(array), where=array != 0))
    factor = 10.0 ** (_DIGITS - 1 - magnitude)
    rounded = (np.round(array * factor) / factor).astype(object)
    rounded[np.isnan(array)] = None
    return rounded.tolist()
