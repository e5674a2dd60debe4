"""Ways in which GTrXL can take a step, of which the package has the cheapest: what "cheaper than GTrXL" is against.

    MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=4000000000 python -m benchmarks.models.gtrxl_acting

The variables let glibc keep freed memory. Without them the system hands out every large state again and clears it,
which takes a good part of a step with large batches and hits the larger states harder.

- inputs (the package's): the memory holds the inputs of W_k and W_v, which are multiplied into the query and behind the
  softmax instead.
- keys and values: the memory holds those, which are four times as many numbers at this size.
- recomputed: the memory holds the inputs, and every step makes keys and values of them all.

All three run the same weights, and are checked to give the same outputs before they take turns on one thread. The
result goes to gtrxl_acting.json beside this file: medians, and ratios of medians to the package's.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.machine import machine
from rllib_recattn.models.gtrxl import GTrXL, GTrXLSettings, LoneStep, WindowAttention
from rllib_recattn.models.parts.relative_attention import step_mask, steps_in_reach

RESULT = Path(__file__).with_suffix(".json")
INPUT_DIM = 128
MEMORY_LENGTHS = (64, 128, 256)
BATCHES = (1, 8, 32, 128)
ROUNDS, SECONDS_PER_TURN = 9, 0.05
PACKAGE = "inputs"


class Recompute(WindowAttention):
    """Makes keys and values of the whole window in every step."""

    def _attend_alone(self, query: Tensor, window: Tensor, context: LoneStep) -> Tensor:
        _, *key_value = self.project.weight.chunk(3)
        keys, values = (nn.functional.linear(window, weight) for weight in key_value)
        return attend(self, query, keys, values, context)


class CachedAttention(WindowAttention):
    """Writes the step's key and value into windows of them [B, M + 1, H·d]."""

    def step(self, h: Tensor, state: Any, new_state: Any, context: LoneStep) -> Tensor:
        _, *key_value = self.project.weight.chunk(3)
        for window, weight in zip(new_state["windows"], key_value, strict=True):
            window[:, 0] = nn.functional.linear(h[:, 0], weight)
        return self.output(attend(self, self._query(h)[:, 0], *new_state["windows"], context).unsqueeze(1))


class KeyValueCache(GTrXL):
    """Holds keys and values, newest first and layer after layer, [B, L·M·H·d] each, and shifts them as GTrXL does."""

    def __init__(self, input_dim: int, settings: GTrXLSettings):
        super().__init__(input_dim, settings)
        self.width = settings.n_heads * settings.d_head
        for layer in self.layers:
            layer.mixer = CachedAttention(settings)

    def initial_state(self, batch_size: int) -> Any:
        cache = torch.zeros(batch_size, len(self.layers) * self.memory_length * self.width)
        return torch.zeros(batch_size, 1), cache, cache

    def forward(self, x: Tensor, state: Any, is_first: Tensor | None = None) -> Any:
        count, *caches = state
        copies = [cache.new_empty(len(x), cache.shape[1] + self.width) for cache in caches]
        for copy, cache in zip(copies, caches, strict=True):
            copy[:, self.width :] = cache
        reach = steps_in_reach(count, 1, None, self.memory_length)
        context = LoneStep(self._biases(), self.sinusoids, step_mask(reach, self.memory_length))
        y, length = self._embed(x), self.memory_length * self.width
        for index, layer in enumerate(self.layers):
            windows = [copy[:, index * length :][:, : length + self.width] for copy in copies]
            y = layer.step(y, {}, {"windows": [window.unflatten(-1, (-1, self.width)) for window in windows]}, context)
        return y, (self._count_after(reach), *(copy[:, : -self.width] for copy in copies))


def attend(mixer: WindowAttention, query: Tensor, keys: Tensor, values: Tensor, context: LoneStep) -> Tensor:
    """Let the query of one step [B, H, d] read keys and values [B, M + 1, H·d]."""
    queries = torch.add(context.biases.unsqueeze(2), query.transpose(0, 1), alpha=mixer.d_head**-0.5)
    w_position = mixer.project.weight.chunk(3)[0].view(mixer.n_heads, mixer.d_head, -1)
    position = torch.bmm(queries[0], w_position) @ context.sinusoids.mT
    bias = position.transpose(0, 1) + context.mask
    keys, values = (x.unflatten(-1, (mixer.n_heads, mixer.d_head)).transpose(1, 2) for x in (keys, values))
    content = queries[1].transpose(0, 1).unsqueeze(2)
    attended = nn.functional.scaled_dot_product_attention(content, keys, values, bias.unsqueeze(2), scale=1.0)
    return attended.flatten(1)


def recomputing(settings: GTrXLSettings, input_dim: int) -> GTrXL:
    """Build a GTrXL that makes keys and values of its window again in every step, as is usual."""
    model = settings.build(input_dim)
    for layer in model.layers:
        layer.mixer = Recompute(settings)
    return model


def variants(memory_length: int) -> dict[str, GTrXL]:
    """Build the three with the same weights."""
    torch.manual_seed(0)
    settings = GTrXLSettings(memory_length=memory_length)
    models = {PACKAGE: settings.build(INPUT_DIM), "keys and values": KeyValueCache(INPUT_DIM, settings)}
    models["recomputed"] = recomputing(settings, INPUT_DIM)
    with torch.no_grad():
        models[PACKAGE].content_bias.normal_()
        models[PACKAGE].position_bias.normal_()
    for model in models.values():
        model.load_state_dict(models[PACKAGE].state_dict())
    return models


def live(models: dict[str, GTrXL], batch: int) -> tuple[dict[str, Any], float]:
    """Let the models live until their memories are full; return their states and how far their outputs differ."""
    states = {name: model.initial_state(batch) for name, model in models.items()}
    difference = 0.0
    for _ in range(models[PACKAGE].memory_length + 4):
        x, outputs = torch.randn(batch, 1, INPUT_DIM), {}
        for name, model in models.items():
            outputs[name], states[name] = model(x, states[name])
        for y in outputs.values():
            difference = max(difference, (y - outputs[PACKAGE]).abs().max().item())
    assert difference < 1e-4, f"the outputs differ by {difference}"
    return states, difference


def turn(model: GTrXL, state: Any, x: Tensor) -> Callable[[], float]:
    """Return a measure of the seconds of one step."""

    def measure() -> float:
        now, steps, start = state, 0, time.perf_counter()
        while steps < 2 or time.perf_counter() - start < SECONDS_PER_TURN:
            _, now = model(x, now)
            steps += 1
        return (time.perf_counter() - start) / steps

    return measure


def numbers(state: Any) -> int:
    return sum(part.numel() for part in (state if isinstance(state, tuple) else (state,)))


def compare(models: dict[str, GTrXL], batch: int) -> dict[str, Any]:
    states, difference = live(models, batch)
    x = torch.randn(batch, 1, INPUT_DIM)
    measures = {name: turn(model, states[name], x) for name, model in models.items()}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for measure in measures.values():
        measure()
    for _ in range(ROUNDS):
        for name, measure in measures.items():
            seconds[name].append(measure())
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "step_ms": {name: round(1e3 * median, 3) for name, median in medians.items()},
        "ratio": {name: round(median / medians[PACKAGE], 2) for name, median in medians.items()},
        "largest_difference": difference,
    }


def main() -> None:
    torch.set_num_threads(1)
    results: dict[str, Any] = {}
    sizes: dict[str, dict[str, int]] = {}
    with torch.inference_mode():
        for memory_length in MEMORY_LENGTHS:
            models = variants(memory_length)
            sizes[f"M={memory_length}"] = {name: numbers(model.initial_state(1)) for name, model in models.items()}
            for batch in BATCHES:
                key = f"M={memory_length}, B={batch}"
                results[key] = compare(models, batch)
                print(key, results[key]["ratio"], flush=True)
    allocator = [f"{key}={value}" for key, value in os.environ.items() if key.startswith("MALLOC_")]
    result = {
        "command": " ".join([*allocator, "python -m benchmarks.models.gtrxl_acting"]),
        "settings": {**GTrXLSettings().model_dump(exclude={"memory_length"}), "rounds": ROUNDS, "threads": 1},
        "numbers_in_a_state": sizes,
        "results": results,
        "machine": machine("torch"),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
