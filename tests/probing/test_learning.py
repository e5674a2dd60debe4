"""What learns a task is a memory: a perfect one gets all right, and none stays at chance."""

from __future__ import annotations

import pytest
import torch

import rllib_recattn as ra
from rllib_recattn.probing import learning
from rllib_recattn.probing.learning import WINDOW, learn_task, one_thread
from rllib_recattn.probing.tasks import N_SYMBOLS, TASKS
from tests.probing.models import NoMemorySettings, PerfectMemory

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


def learn(build, task, seed=0, budget=10):
    with one_thread():
        return learn_task(build, task, seed=seed, budget=budget, on_update=lambda: None)


@every_task
def test_a_perfect_memory_gets_all_right(task, monkeypatch):
    monkeypatch.setattr(learning, "N_TESTED", 128)
    cell = learn(lambda: PerfectMemory(task), task, budget=40)
    assert cell.right == 1.0
    assert cell.beyond == dict.fromkeys(task.beyond, 1.0)
    assert WINDOW <= cell.updates <= cell.ended_after <= 40


@every_task
def test_no_memory_stays_at_chance(task):
    cell = learn(lambda: NoMemorySettings().build(N_SYMBOLS), task, budget=100)
    assert cell.updates is None
    assert cell.ended_after == 100
    # 4 standard deviations of 1,024 answers.
    assert all(share == pytest.approx(task.chance, abs=0.065) for share in (cell.right, *cell.beyond.values()))


def test_a_model_learns_what_it_can():
    def build():
        return ra.build_model("gru", input_dim=N_SYMBOLS, d_model=24)

    cell = learn(build, TASKS["repeat-3"], budget=12)
    assert (cell.updates, cell.ended_after) == (None, 12)
    assert 0.3 < cell.right < 0.95


def test_the_seed_decides_all():
    starts = []

    def build():
        model = ra.build_model("gru", input_dim=N_SYMBOLS, d_model=16)
        starts.append(next(model.parameters())[0, 0].item())
        return model

    cells = [learn(build, TASKS["repeat-3"], seed, budget=4) for seed in (0, 0, 1)]
    first, again, other = (cell.model_copy(update={"cpu_seconds": 0.0}) for cell in cells)
    assert first == again != other
    assert starts[0] == starts[1] != starts[2]


def test_nobodys_random_numbers_or_threads_change():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        torch.manual_seed(5)
        expected = torch.rand(1)
        torch.manual_seed(5)
        learn(lambda: NoMemorySettings().build(N_SYMBOLS), TASKS["repeat-3"], budget=1)
        assert torch.get_num_threads() == 2
        assert torch.equal(torch.rand(1), expected)
    finally:
        torch.set_num_threads(n_threads)
