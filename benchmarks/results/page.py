"""The page: the template, with tables, verdicts and figures in their places."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.measures import DEFINITIONS
from benchmarks.memory.plan import ABLATION_LENGTH
from benchmarks.results import comparisons, cost, memory, tmaze, whole_runs
from benchmarks.results.context import CONTEXT, context_table
from benchmarks.results.environments import environments
from benchmarks.results.phrases import phrases
from benchmarks.results.probe import catalog_probe_table
from benchmarks.results.ranking import ranking_table
from benchmarks.results.recall import probe_table
from benchmarks.results.sources import Sources
from benchmarks.results.travels import plumbing_table
from benchmarks.results.verdicts import MET, MIN_SEEDS, Verdict, verdict_table
from benchmarks.results.which_model import plain_settings, which_model_ablations, which_model_table

TEMPLATE = Path(__file__).with_name("template.md")
WHY_MISSED = Path(__file__).with_name("why_missed.md")
FIGURES = {
    "cost-by-agents": "Time of an acting step by the number of agents",
    "cost-by-context": "Time of an acting step, and size of the state, by context",
    "loop": "Where the seconds of an iteration of training go",
    "whole-runs": "Steps per second and peak memory of whole runs of RLlib by context",
    "success-by-corridor": "Success by the length of the corridor",
    "learning-curves": "Learning curves on each corridor",
    "probe": "Models by tasks: updates until 95 % of the answers are right, or the share that is right",
}


def page(sources: Sources, drawn: Sequence[str]) -> str:
    """Write the page.

    Args:
        sources: What has been measured.
        drawn: The names of the figures that there are in images/results/ beside the page.
    """
    missed = [v for v in cost.target_verdicts(sources.read(cost.BESIDE_LSTM)) if v.verdict != MET]
    fields = {
        "min_seeds": MIN_SEEDS,
        "definitions": "\n".join(f"- {text}" for text in DEFINITIONS.values()),
        "paper_claims": verdict_table(paper_verdicts(sources), "the paper's claims"),
        "targets": verdict_table(target_verdicts(sources), "targets"),
        "ranking": ranking_table(sources),
        "which_model_table": which_model_table(sources),
        "plain_settings": plain_settings(),
        "which_model_ablations": which_model_ablations(sources),
        "cost_table": cost.cost_table(sources),
        "context_table": context_table(sources),
        "growth_table": cost.growth_table(sources),
        "beside_lstm_table": cost.beside_lstm_table(sources),
        "why_missed": WHY_MISSED.read_text(encoding="utf-8").strip() if missed else "",
        "loop_table": cost.loop_table(sources),
        "whole_runs_table": whole_runs.whole_runs_table(sources),
        "wall_clock_table": whole_runs.wall_clock_table(sources),
        "grid_tables": memory.grid_tables(sources),
        "comparison_table": comparisons.comparison_table(sources),
        "search_table": memory.search_table(sources),
        "rate_table": memory.rate_table(sources),
        "beside_rllib_table": tmaze.beside_rllib_table(sources),
        "catalog_table": tmaze.catalog_table(sources),
        "ablation_length": ABLATION_LENGTH,
        "ablation_table": memory.ablation_table(sources),
        "probe_table": probe_table(sources),
        "catalog_probe_table": catalog_probe_table(sources),
        "environments": environments(sources),
        "plumbing_table": plumbing_table(sources),
        **phrases(sources),
        **{f"figure_{name.replace('-', '_')}": figure(name) if name in drawn else "" for name in FIGURES},
    }
    text = TEMPLATE.read_text(encoding="utf-8").format_map(fields)
    while "\n\n\n" in text:  # where something is left out
        text = text.replace("\n\n\n", "\n\n")
    return text


def figure(name: str, images: str = "images/results") -> str:
    """Write the link to a figure."""
    return f"![{FIGURES[name]}]({images}/{name}.png)"


def paper_verdicts(sources: Sources) -> list[Verdict]:
    """What becomes of the paper's claims."""
    of_cost = cost.paper_verdicts(sources.read(cost.COST), sources.read(CONTEXT))
    of_memory = whole_runs.memory_verdicts(sources.read(whole_runs.WHOLE_RUNS))
    return [*of_cost, *of_memory, *comparisons.better_verdicts(sources)]


def target_verdicts(sources: Sources) -> list[Verdict]:
    """What becomes of this package's own targets."""
    of_speed = cost.target_verdicts(sources.read(cost.BESIDE_LSTM))
    return [*of_speed, whole_runs.wall_clock_verdict(sources.read(whole_runs.WALL_CLOCK))]
