"""What models cost: the time of an acting step and of a row that the learner reads, taken in turns in one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from rllib_recattn.comparing.contenders import Contender
from rllib_recattn.probing.learning import one_thread

_ROUNDS = 9
_STEPS_A_ROUND = 20
_ROWS = 8


@dataclass(frozen=True)
class Cost:
    """What a model costs on one core, without the encoder of observations and the heads, which are alike for all.

    Attributes:
        acting: Microseconds of a step of one agent.
        learning: Microseconds of a row of the learner's, forward and backward.
        row: T, the steps of a row.
    """

    acting: float
    learning: float
    row: int


def measure_costs(contenders: Sequence[Contender]) -> dict[str, Cost]:
    """Measure models; all take turns within each round, so that what else the machine does slows all alike.

    Args:
        contenders: The models.

    Returns:
        By label, medians over rounds of the processor's time.
    """
    with one_thread():
        acting = {each.label: _acting(each) for each in contenders}
        learning = {each.label: _learning(each) for each in contenders}
        seconds: dict[tuple[str, str], list[float]] = {}
        for index in range(_ROUNDS + 1):
            for kind, measures in (("acting", acting), ("learning", learning)):
                for label, work in measures.items():
                    took = _timed(work)
                    if index > 0:  # the first round warms up
                        seconds.setdefault((kind, label), []).append(took)
    return {
        each.label: Cost(
            acting=round(1e6 * statistics.median(seconds["acting", each.label]) / _STEPS_A_ROUND, 1),
            learning=round(1e6 * statistics.median(seconds["learning", each.label]) / _ROWS, 1),
            row=each.model.max_seq_len,
        )
        for each in contenders
    }


def _acting(contender: Contender) -> Callable[[], None]:
    from rllib_recattn.models.registry import model_settings

    model = model_settings(contender.model.name, contender.model.settings).build(contender.input_dim)
    x, states = torch.randn(1, 1, contender.input_dim), [model.initial_state(1)]

    def steps() -> None:
        with torch.inference_mode():
            for _ in range(_STEPS_A_ROUND):
                states[0] = model(x, states[0])[1]

    return steps


def _learning(contender: Contender) -> Callable[[], None]:
    from rllib_recattn.models.registry import model_settings

    model = model_settings(contender.model.name, contender.model.settings).build(contender.input_dim)
    x = torch.randn(_ROWS, contender.model.max_seq_len, contender.input_dim)
    state = model.initial_state(_ROWS)

    def update() -> None:
        model.zero_grad()
        model(x, state)[0].square().mean().backward()

    return update


def _timed(work: Callable[[], None]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
