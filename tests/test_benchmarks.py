"""What the README says of benchmarks is what their results say."""

import json
from pathlib import Path

from benchmarks.models.cost_report import BEGIN, END, table

ROOT = Path(__file__).parents[1]


def result(path: str):
    return json.loads((ROOT / "benchmarks" / path).read_text(encoding="utf-8"))


def test_the_table_of_costs_is_that_of_the_result():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme.split(BEGIN)[1].split(END)[0].strip()
    assert shown == table(result("models/cost.json"))


def test_every_model_of_the_catalog_has_solved_t_maze():
    runs = result("tmaze/catalog.json")["runs"]
    examples = {path.stem for path in (ROOT / "tuned_examples").glob("tmaze-10-*-ppo.yaml")}
    assert {run["example"] for run in runs.values()} == examples
    assert all(run["solved"] and run["success_rate"] >= 0.95 for run in runs.values())
