"""The tasks ask for what only a memory can tell, and what they call right is right."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rllib_recattn.errors import SettingsError
from rllib_recattn.probing.learning import features_of
from rllib_recattn.probing.tasks import N_SYMBOLS, NO_SYMBOL, NOT_ASKED, TASKS, find_tasks
from tests.probing.answers import answers_by_hand

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


@every_task
@pytest.mark.parametrize("times", [1, 2])
def test_what_is_right_is_what_a_second_form_says(task, times):
    length = task.length if task.name == "pairs" else times * task.length  # of 16 keys there are not twice as many
    drawn = task.draw(np.random.default_rng(0), 20, length)
    for symbols, answers in zip(drawn.symbols, drawn.answers, strict=True):
        shown = [[symbol for symbol in step if symbol != NO_SYMBOL] for step in symbols.tolist()]
        right = [NOT_ASKED if answer is None else answer for answer in answers_by_hand(task.name, shown)]
        assert right == answers.tolist()
        assert any(answer != NOT_ASKED for answer in right)


@every_task
def test_answers_are_uniform_so_that_no_guess_beats_chance(task):
    drawn = task.draw(np.random.default_rng(1), 6000, task.length)
    answers = drawn.answers[drawn.answers != NOT_ASKED]
    shares = np.bincount(answers, minlength=task.n_classes) / len(answers)
    assert len(shares) == task.n_classes
    # Answers of one row may be one draw, as in "first"; 4 standard deviations of 6,000 draws.
    assert abs(shares - task.chance).max() < 4 * np.sqrt(task.chance * (1 - task.chance) / 6000)


@every_task
def test_a_step_shows_one_symbol_or_two(task):
    drawn = task.draw(np.random.default_rng(2), 5, task.length)
    x = features_of(drawn)
    assert x.shape == (*drawn.answers.shape, N_SYMBOLS)
    assert set(x.unique().tolist()) == {0.0, 1.0}
    n_shown = torch.from_numpy((drawn.symbols != NO_SYMBOL).sum(-1))
    assert torch.equal(x.sum(-1), n_shown.float())
    assert (n_shown == (2 if task.name == "pairs" else 1)).any()


@pytest.mark.parametrize(("name", "steps"), [("recall-40", 40), ("recall-160", 160), ("beyond", 20)])
def test_a_bit_is_asked_for_after_as_many_steps_as_the_name_says(name, steps):
    task = TASKS[name]
    drawn = task.draw(np.random.default_rng(3), 9, task.length)
    assert (drawn.symbols[:, 0, 0] < 2).all()
    assert (drawn.symbols[:, 1:, 0] >= 2).all()
    assert [np.flatnonzero(row != NOT_ASKED).tolist() for row in drawn.answers] == [[steps]] * 9


def test_pairs_are_many_and_asked_for_in_another_order():
    task = TASKS["pairs"]
    keys = task.draw(np.random.default_rng(4), 50, task.length).symbols[..., 0]
    written, asked = keys[:, :8], keys[:, 8:]
    np.testing.assert_array_equal(np.sort(written), np.sort(asked))
    assert all(len(set(row)) == 8 for row in written)
    assert (written != asked).mean() > 0.7


def test_several_cues_come_before_the_last_question():
    task = TASKS["rewrite"]
    n_cues = (task.draw(np.random.default_rng(5), 200, task.length).symbols[..., 0] < 4).sum(1)
    assert n_cues.mean() > 4


def test_tasks_are_found_by_name_in_their_usual_order():
    assert [task.name for task in find_tasks(["count", "recall-40"])] == ["recall-40", "count"]
    assert len(find_tasks(None)) == len(TASKS) == 10
    with pytest.raises(SettingsError, match="unknown task 'recal-40': did you mean 'recall-40'"):
        find_tasks(["recal-40"])
    with pytest.raises(SettingsError, match="should name at least one; valid are: recall-40, "):
        find_tasks([])
