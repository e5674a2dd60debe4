"""A step's graph as an ONNX file, for onnxruntime."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rllib_recattn.agents.graphs.ports import Ports
from rllib_recattn.errors import SettingsError

METADATA = "rllib_recattn"
"""The key of an ONNX file's metadata under which the interface stands as JSON."""

_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def check_packages() -> None:
    """Refuse to begin where a package is missing.

    Raises:
        SettingsError: With how to install it.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise SettingsError(
            f"--format onnx needs {', '.join(missing)}: pip install 'rllib-recattn[onnx]'; "
            "--format pt2 needs PyTorch only"
        )


def write_onnx(program: Any, ports: Ports, interface: Mapping[str, Any], file: Path) -> None:
    """Write a program of torch.export as ONNX.

    Args:
        program: The program, a dict of tensors in and out.
        ports: Their names.
        interface: What is kept as metadata.
        file: Where to.

    Raises:
        Exception: Whatever PyTorch's exporter raises.
        OSError: If it cannot be written.
    """
    with _quiet():
        exported: Any = torch.onnx.export(
            program,
            dynamo=True,
            input_names=[port.name for port in ports.inputs],
            output_names=[port.name for port in ports.outputs],
            verbose=False,
        )
    model = exported.model_proto
    for node in [*model.graph.node, *(node for function in model.functions for node in function.node)]:
        del node.metadata_props[:]  # where in whose folders the code stands
        node.doc_string = ""
    graph = model.graph
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        del value.metadata_props[:]
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = "batch"
    model.metadata_props.add(key=METADATA, value=json.dumps(interface, allow_nan=False))
    file.write_bytes(model.SerializeToString(deterministic=True))


def run_onnx(file: Path) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """Return what runs the steps of an ONNX file, by onnxruntime on a CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(names, inputs), strict=True))

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter's libraries tell of their optimisations to themselves."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
