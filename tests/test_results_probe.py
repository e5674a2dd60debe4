"""The page's table of the probe, and the committed result that it is of."""

from __future__ import annotations

import statistics

import pytest

from benchmarks.probe.catalog import models
from benchmarks.results.figures import draw_all
from benchmarks.results.page import page
from benchmarks.results.probe import CATALOG, COMMAND, catalog_probe_table, read_catalog_probe
from benchmarks.results.sources import ROOT, Sources
from rllib_recattn.probing.labels import label_of
from rllib_recattn.probing.result import (
    Cell,
    Column,
    ProbedModel,
    ProbeResult,
    ProbeSettings,
    read_result,
    write_result,
)


def model(**cells):
    kept = {task: {seed: Cell.model_validate(cell) for seed, cell in enumerate(each)} for task, each in cells.items()}
    size = {"parameters": 1234, "searched": True, "state_size": 1, "fingerprint": (0.0, 0.0, 0.0, 0.0)}
    return ProbedModel(block={"name": "x"}, cells=kept, **size)


def cell(updates, right, beyond=None):
    return {"updates": updates, "ended_after": 300, "right": right, "beyond": beyond or {}, "cpu_seconds": 1.0}


def test_a_row_is_a_model_and_the_best_comes_first(tmp_path):
    (tmp_path / "probe").mkdir()
    columns = [
        Column(task="pairs", description="…", chance=0.125),
        Column(task="beyond", description="…", times=8, chance=0.5),
    ]
    found = {
        "gru": model(pairs=[cell(None, 0.3), cell(None, 0.5)], beyond=[cell(20, 1.0, {8: 0.5})]),
        "gla (conv_size 4)": model(pairs=[cell(100, 0.99), cell(130, 0.99)], beyond=[cell(30, 1.0, {8: 0.994})]),
        "half": model(pairs=[cell(100, 0.99), cell(None, 0.5)]),
    }
    settings = ProbeSettings(budget=300, parameters=1000)
    machines = [{"cpu": "abacus"}, {"cpu": "slide rule"}, {"cpu": "abacus"}]
    result = ProbeResult(settings=settings, machines=machines, columns=columns, models=found)
    write_result(result, tmp_path / CATALOG)
    sources = Sources(tmp_path)
    rows = catalog_probe_table(sources).splitlines()
    assert rows[0] == "| model | parameters | pairs | beyond 8× |"
    assert rows[2:6] == [
        "| gla (conv_size 4) | 1,234 | 115 | 99 % |",
        "| half | 1,234 | 74 % 1/2 | – |",
        "| gru | 1,234 | 40 % | 50 % |",
        "| chance |  | 12 % | 50 % |",
    ]
    assert rows[-1].endswith("at most 300 updates · 1 to 2 seeds · abacus · slide rule</sub>")
    assert draw_all(sources, tmp_path / "images") == ["probe"]
    assert "![Models by tasks" in page(sources, ["probe"])


def test_what_was_not_probed_is_said(tmp_path):
    assert COMMAND in catalog_probe_table(Sources(tmp_path))


def test_the_committed_result_is_whole():
    """Every model of it has learned every task, and what the page says of it is what its cells say."""
    result = read_catalog_probe(Sources())
    text = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    tasks = {column.task for column in result.columns}
    assert len(tasks) == 10
    for label, probed in result.models.items():
        assert {task: len(cells) for task, cells in probed.cells.items()}.keys() == tasks, label
        solved = [seed.updates for seed in probed.cells["repeat-3"].values()]
        (row,) = [line for line in text.splitlines() if line.startswith(f"| {label} | {probed.parameters:,} |")]
        said = row.split(" | ")[2:][[column.task for column in result.columns].index("repeat-3")]
        if None in solved:
            right = statistics.median(seed.right for seed in probed.cells["repeat-3"].values())
            assert said.startswith(f"{100 * right:.0f} %")
        else:
            assert said == f"{statistics.median(solved):.0f}"


def test_the_models_are_those_of_the_catalog_each_once():
    labels = [label_of({"name": each} if isinstance(each, str) else each) for each in models()]
    assert len(set(labels)) == len(labels)
    assert {"gla (conv_size 0)", "gla (conv_size 4)", "lstm"} <= set(labels)
    assert labels[-1].startswith("galite")


def test_a_result_is_read_as_it_was_written(tmp_path):
    result = read_catalog_probe(Sources())
    write_result(result, tmp_path / "copy.json")
    assert read_result(tmp_path / "copy.json") == result
    assert (tmp_path / "copy.json").read_bytes() == (ROOT / "benchmarks" / CATALOG).read_bytes()


def test_models_of_one_size_have_one_size():
    result = read_catalog_probe(Sources())
    for probed in result.models.values():
        if probed.searched:
            assert probed.parameters == pytest.approx(result.settings.parameters, rel=0.15)
