"""The table of trials: it fits the room that there is."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from rllib_recattn.experiment.records.measure import Measure
from rllib_recattn.experiment.reports.trial_table import TrialRow, trial_table

SUCCESS = "env_runners/success_rate"


def row(index, value=math.nan, status="running", **changes):
    return TrialRow(
        name=f"trial_{index:05d}",
        choices={"model.name": "agalite", "config.lr": 0.00012345},
        statuses=(status,),
        iteration=3,
        env_steps=12_345,
        seconds=60,
        last=value,
        value=value,
        episode_return=1.5,
        success_rate=value,
        **changes,
    )


def printed_width(rows, width, metric=SUCCESS):
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    console.print(trial_table(rows, Measure(metric), console))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [200, 100, 80, 60, 30])
def test_the_table_fits_the_width(width):
    text = printed_width([row(0, 0.5), row(1)], width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "trial_0000" in text or width == 30


def test_columns_give_way_in_turn():
    headings = {width: printed_width([row(0, 0.5)], width).splitlines()[1].split() for width in (120, 60)}
    assert {"elapsed", "iterations", "success"} <= set(headings[120])
    assert "elapsed" not in headings[60]
    assert {"trial", "model", "lr", "success"} <= set(headings[60])
    assert "return" not in headings[60]
    assert "return" in printed_width([row(0, 0.5)], 66, "env_runners/episode_return_mean").splitlines()[1].split()


def test_where_there_is_no_room_for_all_the_best_and_the_running_ones_are_shown():
    rows = [row(index, index / 10, "finished", is_best=index == 7) for index in range(8)]
    rows += [row(8, 0.05), row(9, math.nan, "pending")]
    console = Console(file=io.StringIO(), width=100)
    table = trial_table(rows, Measure(SUCCESS), console, max_rows=3)
    console.print(table)
    names = [word for word in console.file.getvalue().split() if word.startswith("trial_")]
    assert names == ["trial_00006", "trial_00007", "trial_00008"]
    assert table.caption == "10 trials: 8 finished, 1 running, 1 pending; 7 not shown"
    rows = [replace(each, is_best=each.name == "trial_00000") for each in rows]
    lowest = trial_table(rows, Measure(SUCCESS, "min"), console, max_rows=2)
    console.print(lowest)
    names = [word for word in console.file.getvalue().split() if word.startswith("trial_")][3:]
    assert names == ["trial_00000", "trial_00008"]


def test_seeds_are_a_count_and_a_spread():
    alone = row(0, 0.5, "finished")
    of_three = replace(alone, statuses=("finished", "finished", "failed"), seeds="2 of 3", spread=0.0123, is_best=True)
    heading, _, line = printed_width([of_three], 200).splitlines()[1:4]
    expected = ["model", "lr", "seeds", "status", "iterations", "env", "steps", "return", "success", "±", "elapsed"]
    assert heading.split() == ["trial", *expected]
    assert "2 of 3" in line
    assert "2 finished, 1 failed" in line
    assert line.split()[-6:] == ["1.50", "0.500", "0.012", "1", "min", "00", "s"][-6:]
    assert not {"seeds", "±"} & set(printed_width([alone], 200).split())


@pytest.mark.parametrize(("rank_by", "heading"), [("mean_of_last_10", "mean of 10"), ("best", "best")])
def test_what_trials_are_ranked_by_has_a_column_of_its_own(rank_by, heading):
    console = Console(file=io.StringIO(), width=200)
    console.print(trial_table([replace(row(0, 0.5), value=0.75)], Measure(SUCCESS, "max", rank_by), console))
    assert heading in console.file.getvalue()
    assert "0.500" in console.file.getvalue()
    assert "0.750" in console.file.getvalue()
