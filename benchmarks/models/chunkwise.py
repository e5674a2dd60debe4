"""What reading sequences in chunks brings GLA and HGRN2 on a CPU over a loop over the steps, forward and backward.

    python -m benchmarks.models.chunkwise

The loop is as good as PyTorch makes it: preallocated memories, operations in place, a hand-written backward pass and
for every product of the memory with a vector the fastest of PyTorch's. It keeps the memory of every step, which the
chunks do not. Both sides take turns within one run, on one thread, and are measured in CPU time, which other load
disturbs little. The result goes to chunkwise.json beside this file.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.machine import machine
from rllib_recattn.models.parts.gated_linear_attention import CHUNK_SIZE, chunkwise

HEADS, D_HEAD = 4, 64
KEY_WIDTHS = {"gla": 32, "hgrn2": 64}
BATCHES = [(8, 128), (32, 64), (32, 20)]  # rows, steps
CHUNK_SIZES = (8, 16, 32, 64)
REPEATS = 15


class Loop(torch.autograd.Function):
    """The recurrence step by step. With g_t = α_{t+1} ⊙ g_{t+1} + q_t ∂o_tᵀ the gradient of the memory S_t:
    ∂q_t = S_t ∂o_t, ∂k_t = g_t v_t, ∂v_t = g_tᵀ k_t, ∂α_t = rowsum(g_t ⊙ S_{t−1}).
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, decay: Tensor, initial: Tensor
    ) -> tuple[Tensor, Tensor]:
        memories = initial.new_empty(query.shape[1], *initial.shape)
        output = torch.empty_like(value)
        memory = initial
        for t, after in enumerate(memories):
            torch.mul(decay[:, t].unsqueeze(-1), memory, out=after)
            memory = after.addcmul_(key[:, t].unsqueeze(-1), value[:, t].unsqueeze(-2))
            output[:, t] = (query[:, t].unsqueeze(-2) @ memory).squeeze(-2)
        ctx.save_for_backward(query, key, value, decay, initial, memories)
        return output, memory.clone()

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor, grad_memory: Tensor) -> tuple[Tensor, ...]:
        query, key, value, decay, initial, memories = ctx.saved_tensors
        grad_query, grad_key, grad_value, grad_decay = (torch.empty_like(x) for x in (query, key, value, decay))
        grad = grad_memory.clone()
        for t in range(query.shape[1] - 1, -1, -1):
            grad_o = grad_output[:, t].unsqueeze(-2)
            grad.addcmul_(query[:, t].unsqueeze(-1), grad_o)
            grad_query[:, t] = torch.linalg.vecdot(memories[t], grad_o)
            grad_key[:, t] = torch.linalg.vecdot(grad, value[:, t].unsqueeze(-2))
            grad_value[:, t] = (key[:, t].unsqueeze(-2) @ grad).squeeze(-2)
            grad_decay[:, t] = torch.linalg.vecdot(grad, memories[t - 1] if t else initial)
            grad.mul_(decay[:, t].unsqueeze(-1))
        return grad_query, grad_key, grad_value, grad_decay, grad


def operands(rows: int, steps: int, d_key: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    query, key, gate = torch.randn(3, rows, steps, HEADS, d_key, generator=generator)
    value = torch.randn(rows, steps, HEADS, D_HEAD, generator=generator)
    initial = torch.randn(rows, HEADS, d_key, D_HEAD, generator=generator)
    return [x.requires_grad_() for x in (query, key, value, torch.sigmoid(2 + gate), initial)]


def cpu_seconds(form: Callable[..., tuple[Tensor, Tensor]], tensors: list[Tensor]) -> tuple[float, list[Tensor]]:
    start = time.process_time()
    output, memory = form(*tensors)
    gradients = torch.autograd.grad(output.sum() + memory.sum(), tensors)
    return time.process_time() - start, [output, memory, *gradients]


def compare(rows: int, steps: int, d_key: int) -> dict[str, object]:
    tensors = operands(rows, steps, d_key)
    forms = {f"chunks of {size}": partial(chunkwise, chunk_size=size) for size in CHUNK_SIZES}
    forms["loop"] = Loop.apply
    _, expected = cpu_seconds(forms["loop"], tensors)
    for form in forms.values():
        for actual, wanted in zip(cpu_seconds(form, tensors)[1], expected, strict=True):
            torch.testing.assert_close(actual, wanted, rtol=1e-3, atol=1e-3)
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(REPEATS):
        for name, form in forms.items():
            seconds[name].append(cpu_seconds(form, tensors)[0])
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "cpu_milliseconds_median": {name: round(1e3 * value, 2) for name, value in medians.items()},
        "loop_over_default_chunks": round(medians["loop"] / medians[f"chunks of {CHUNK_SIZE}"], 2),
        "cpu_milliseconds": {name: [round(1e3 * value, 2) for value in values] for name, values in seconds.items()},
    }


def main() -> None:
    torch.set_num_threads(1)
    result = {
        "command": "python -m benchmarks.models.chunkwise",
        "settings": {"heads": HEADS, "d_head": D_HEAD, "d_key": KEY_WIDTHS, "repeats": REPEATS, "threads": 1},
        "forward_and_backward": {
            f"{name}, {rows} x {steps} steps": compare(rows, steps, d_key)
            for name, d_key in KEY_WIDTHS.items()
            for rows, steps in BATCHES
        },
        "machine": machine("torch"),
    }
    text = json.dumps(result, indent=2)
    Path(__file__).with_suffix(".json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
