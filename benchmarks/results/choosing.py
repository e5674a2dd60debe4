"""Which model for which task, in five rows: for the README, with the figures that each row rests on."""

from __future__ import annotations

from benchmarks.measures import n_solved
from benchmarks.results.markdown import NOTHING, table
from benchmarks.results.probe import read_catalog_probe
from benchmarks.results.sources import Sources
from benchmarks.results.which_model import runs, steps_of_seeds
from benchmarks.which_model.plan import TASKS
from rllib_recattn.probing.table import score_text

MARKS = ("<!-- which model: written by python -m benchmarks.results -->", "<!-- end of which model -->")
RECOMMENDED, SMALL, FARTHEST = "gated_delta_net", "agalite", ("gla (conv_size 0)", "gated_delta_net")
WINDOWS = ("repeat-8", "repeat-32")


def choosing_table(sources: Sources) -> str:
    """Write the rows; what was not measured is left out of their figures."""
    rows = [
        ["your task", "model", "because", "figures", "seeds"],
        [
            "you do not know yet what it asks for",
            f"`{RECOMMENDED}`",
            "learns soon both what came when and what came first; its state is of a constant size",
            *_of_four_tasks(sources, RECOMMENDED),
        ],
        [
            "what came exactly k steps ago, within a window that you know",
            "`gtrxl`",
            "it alone sees each of the last steps; its state and its cost grow with the window",
            *_of_probe(sources, ("gtrxl",), WINDOWS),
        ],
        [
            "a cue from far back, further than the rows that it is trained on",
            f"`gla` or `{RECOMMENDED}`",
            "what was learned over 20 steps still holds over 160",
            *_of_probe(sources, FARTHEST, ("beyond 8×",)),
        ],
        [
            "many agents at once, or little memory for states",
            "`agalite`",
            "a small state, and kernels for whole steps ([what they cost](#what-they-cost))",
            *_of_four_tasks(sources, SMALL),
        ],
        [
            "acting has to be as cheap as can be",
            "`gru` or `lstm` with `max_timescale`",
            "the cheapest steps; with `max_timescale` they recall what lies far back as well, after more training",
            *_of_long_corridor(sources),
        ],
    ]
    return table(rows)


def _of_four_tasks(sources: Sources, model: str) -> list[str]:
    found = runs(sources).get(model, {})
    texts, counts = [], []
    for name, task in TASKS.items():
        task_runs = found.get(name, [])
        if task_runs:
            each = steps_of_seeds(task_runs)
            texts.append(f"{task.title.removeprefix('POPGym ').removeprefix('MiniGrid-').split(', 3')[0]}: {each}")
            counts.append(len(task_runs))
    if not texts:
        return [NOTHING, NOTHING]
    seen = f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else str(max(counts))
    link = "[beside others](docs/results.md#four-small-tasks-the-same-settings)"
    return [f"steps until solved (“>”: not solved): {'; '.join(texts)} ({link})", seen]


def _of_probe(sources: Sources, labels: tuple[str, ...], headings: tuple[str, ...]) -> list[str]:
    result = read_catalog_probe(sources)
    if result is None or not set(labels) <= set(result.models):
        return [NOTHING, NOTHING]
    columns = [column for column in result.columns if column.heading in headings]
    told = [
        f"{column.heading}: {', '.join(score_text(result.score(label, column)) for label in labels)}"
        for column in columns
    ]
    link = "[the probe](docs/results.md#what-each-memory-can-learn-supervised)"
    return [f"{'; '.join(told)} ({link}: updates, or the share that is right)", "1"]


def _of_long_corridor(sources: Sources) -> list[str]:
    cells = sources.memory("grid").get("lstm-chrono", {}).get(80, [])
    if not cells:
        return [NOTHING, NOTHING]
    return [f"T-Maze with 80 cells: {n_solved(cells)} of {len(cells)} solved", str(len(cells))]
