"""One cell of the probe: a model learns a task from scratch, and is tested on sequences that it has not seen."""

from __future__ import annotations

import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from rllib_recattn.models.base import SequenceModel
from rllib_recattn.probing.result import Cell
from rllib_recattn.probing.tasks import N_SYMBOLS, NOT_ASKED, Sequences, Task

LEARNING_RATE = 3e-3
MAX_GRADIENT_NORM = 1.0
WINDOW = 10
"""Updates over whose sequences the share of right answers is taken; each is of fresh ones."""

SOLVED = 0.95
ENOUGH = 0.995
"""The share of right answers at which learning ends before its budget: there is nothing left to learn.

But what holds beyond the learned length goes on to change, so that of such tasks the whole budget is used.
"""

N_TESTED = 1024
"""How many sequences a model is tested on."""

_TESTED_AT_ONCE = 128
_HELD_OUT = 1_000_003  # no seed, of which there are fewer


def learn_task(
    build: Callable[[], SequenceModel], task: Task, *, seed: int, budget: int, on_update: Callable[[], None]
) -> Cell:
    """Have a new model learn a task, with a linear layer behind it that answers.

    The same seed gives the same model, sequences and result, on one machine and with one version of PyTorch.

    Args:
        build: Makes the model from the global random numbers of PyTorch.
        task: The task.
        seed: Of the weights and of the sequences, which are the same for every model.
        budget: The most updates by Adam.
        on_update: Is called after each.

    Returns:
        How many updates it took, and how much of unseen sequences is right in the end.
    """
    start = time.process_time()
    torch.manual_seed(seed)
    model = build()
    head = nn.Linear(model.output_dim, task.n_classes)
    parameters = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE)
    generator = _generator(task, seed)
    recent: deque[float] = deque(maxlen=WINDOW)
    solved_after, n_updates = None, 0
    while n_updates < budget and (task.beyond or _mean(recent) < ENOUGH):
        logits, answers = _answer(model, head, task.draw(generator, task.n_rows, task.length))
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits, answers).backward()
        nn.utils.clip_grad_norm_(parameters, MAX_GRADIENT_NORM)
        optimizer.step()
        recent.append(_share_right(logits, answers))
        n_updates += 1
        if solved_after is None and _mean(recent) >= SOLVED:
            solved_after = n_updates
        on_update()
    return Cell(
        updates=solved_after,
        ended_after=n_updates,
        right=accuracy(model, head, task),
        beyond={times: accuracy(model, head, task, times) for times in task.beyond},
        cpu_seconds=round(time.process_time() - start, 2),
    )


def accuracy(model: SequenceModel, head: nn.Module, task: Task, times: int = 1) -> float:
    """Return the share of right answers on sequences that are `times` as long as those that were learned.

    They are the same for every model and seed.
    """
    generator = _generator(task, _HELD_OUT)
    n_right, n_asked = 0.0, 0
    with torch.no_grad():
        for _ in range(0, N_TESTED, _TESTED_AT_ONCE):
            logits, answers = _answer(model, head, task.draw(generator, _TESTED_AT_ONCE, times * task.length))
            n_right += _share_right(logits, answers) * len(answers)
            n_asked += len(answers)
    return round(n_right / n_asked, 4)


def features_of(sequences: Sequences) -> Tensor:
    """Return what a model reads [B, T, N_SYMBOLS]: 1 for the symbols that a step shows, else 0."""
    shown = torch.from_numpy(sequences.symbols) + 1
    return nn.functional.one_hot(shown, N_SYMBOLS + 1).sum(-2)[..., 1:].float()


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread, which makes results repeatable, and leave the caller's random numbers as they were."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(n_threads)


def _answer(model: SequenceModel, head: nn.Module, sequences: Sequences) -> tuple[Tensor, Tensor]:
    """Return the logits [N, C] of the N answers that are asked for, and what is right [N]."""
    answers = torch.from_numpy(sequences.answers)
    outputs, _ = model(features_of(sequences), model.initial_state(len(answers)))
    asked = answers != NOT_ASKED
    return head(outputs[asked]), answers[asked]


def _generator(task: Task, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(task.name.encode())])


def _share_right(logits: Tensor, answers: Tensor) -> float:
    return (logits.argmax(-1) == answers).double().mean().item()


def _mean(recent: deque[float]) -> float:
    """Return the mean of a whole window; 0 until there is one."""
    return sum(recent) / WINDOW if len(recent) == WINDOW else 0.0
