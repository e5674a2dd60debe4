"""The table of trials: it fits the room that there is."""

from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from rllib_recattn.experiment.reports.trial_table import TrialRow, trial_table

SUCCESS = "env_runners/success_rate"


def row(index, best=math.nan, status="running"):
    return TrialRow(
        name=f"trial_{index:05d}",
        choices={"model.name": "agalite", "config.lr": 0.00012345},
        status=status,
        iteration=3,
        env_steps=12_345,
        seconds=60,
        last=best,
        best=best,
        episode_return=1.5,
        success_rate=best,
    )


def printed_width(rows, width, metric=SUCCESS):
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    console.print(trial_table(rows, metric, "max", console))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [200, 100, 80, 60, 30])
def test_the_table_fits_the_width(width):
    text = printed_width([row(0, 0.5), row(1)], width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "trial_0000" in text or width == 30


def test_columns_give_way_in_turn():
    headings = {width: printed_width([row(0, 0.5)], width).splitlines()[1].split() for width in (120, 70)}
    assert {"elapsed", "iterations", "best"} <= set(headings[120])
    assert "elapsed" not in headings[70]
    assert {"trial", "model", "lr", "success", "best"} <= set(headings[70])
    assert "return" not in headings[70]
    assert "return" in printed_width([row(0, 0.5)], 70, "env_runners/episode_return_mean").splitlines()[1].split()


def test_where_there_is_no_room_for_all_the_best_and_the_running_ones_are_shown():
    rows = [row(index, index / 10, "finished") for index in range(8)] + [row(8, 0.05), row(9, math.nan, "pending")]
    console = Console(file=io.StringIO(), width=100)
    table = trial_table(rows, SUCCESS, "max", console, max_rows=3)
    console.print(table)
    names = [word for word in console.file.getvalue().split() if word.startswith("trial_")]
    assert names == ["trial_00006", "trial_00007", "trial_00008"]
    assert table.caption == "10 trials: 8 finished, 1 running, 1 pending; 7 not shown"
    lowest = trial_table(rows, SUCCESS, "min", console, max_rows=2)
    console.print(lowest)
    names = [word for word in console.file.getvalue().split() if word.startswith("trial_")][3:]
    assert names == ["trial_00000", "trial_00008"]
