"""What a comparison leaves beside its runs: a page in Markdown, JSON, the figure, and the winner's experiment file."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rllib_recattn.comparing.figure import save_figure
from rllib_recattn.comparing.rates import rate_text
from rllib_recattn.comparing.result import RunResult, write_atomically
from rllib_recattn.comparing.sentences import notes, p_text, recommendation
from rllib_recattn.comparing.summary import Comparison, ModelSummary
from rllib_recattn.comparing.table import markdown_table
from rllib_recattn.experiment.definition.yaml_file import dump_yaml

PAGE, DATA, FIGURE, WINNER = "comparison.md", "comparison.json", "comparison.png", "winner.yaml"


def write_report(comparison: Comparison) -> list[Path]:
    """Write all of it into the comparison's directory; returns the files."""
    directory = comparison.plan.directory
    write_atomically(directory / DATA, json.dumps(data_of(comparison), indent=1, ensure_ascii=False) + "\n")
    save_figure(comparison, directory / FIGURE)
    write_atomically(directory / PAGE, page(comparison))
    write_atomically(directory / WINNER, winner_yaml(comparison))
    return [directory / name for name in (PAGE, FIGURE, DATA, WINNER)]


def page(comparison: Comparison) -> str:
    """Write the page."""
    plan = comparison.plan
    how = (
        f"Each model had {plan.settings.steps:,} environment steps (budget {plan.budget.text}) and the settings of "
        f"`{plan.experiment.path.name}`, but for the learning rate."
    )
    parts = [
        f"# Which memory for {plan.experiment.name}",
        recommendation(comparison),
        markdown_table(comparison),
        f"![Learning curves, and the share of seeds that solved the task]({FIGURE})",
        "\n".join(f"- {note}" for note in [how, _search_note(comparison), *notes(comparison)]),
    ]
    if comparison.verdict.pairs:
        parts += ["## All pairs", _pairs_table(comparison), _P_NOTE]
    if comparison.failed:
        parts += ["## Runs that failed", "\n".join(f"- {run}: {error}" for run, error in comparison.failed.items())]
    return "\n\n".join(parts) + "\n"


_P_NOTE = (
    "p is of a permutation test of the two by themselves; p of all allows for how many pairs there are: with equal "
    "models at most one comparison in twenty has any pair below 0.05."
)


def data_of(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as plain data."""
    verdict = comparison.verdict
    return {
        "version": 1,
        "recommendation": recommendation(comparison),
        "notes": notes(comparison),
        "ranked": list(verdict.ranked),
        "cannot be told from the first": list(verdict.alike),
        "settings": comparison.plan.settings.model_dump(mode="json"),
        "models": {model.contender.label: _model_data(model, comparison) for model in comparison.ranked},
        "pairs": [{**asdict(pair), "differ": pair.differ} for pair in verdict.pairs],
        "failed": dict(comparison.failed),
        "runs still to be trained": comparison.left,
    }


def winner_yaml(comparison: Comparison) -> str:
    """Write the experiment of the model that was seen to be ahead, as a file that `rllib train file` takes."""
    experiment, winner = comparison.plan.experiment, comparison.winner
    content: dict[str, Any] = copy.deepcopy(experiment.content)
    content["model"] = winner.contender.content
    config = {**content.get("config", {}), "lr": _plain_rate(winner.runs[0])}
    config.pop("model", None)  # of the old API stack, which stands for a model as well
    content["config"] = config
    text = recommendation(comparison)
    return f"# {text}\n" + dump_yaml({f"{experiment.name}-{winner.contender.model.name.rpartition(':')[2]}": content})


def _plain_rate(run: RunResult) -> Any:
    rate = run.learning_rate
    return [[int(step), value] for step, value in rate] if isinstance(rate, list) else rate


def _model_data(model: ModelSummary, comparison: Comparison) -> dict[str, Any]:
    contender, bounds = model.contender, model.score_bounds
    return {
        "model": contender.content,
        "parameters": contender.parameters,
        "size was searched": contender.searched,
        "state size": contender.state_size,
        "learning rates searched": dict(model.searched),
        "solved": model.n_solved,
        "median steps until solved": model.survival.median,
        "mean steps until solved or end": model.survival.mean_within(comparison.plan.settings.steps),
        "share solved by steps": list(zip(model.survival.steps, model.survival.shares, strict=True)),
        "censored at": list(model.survival.censored),
        "median seconds until solved": model.median_seconds,
        "score": model.score,
        "score interval": None if bounds is None else [bounds.low, bounds.high],
        "microseconds per acting step": model.cost.acting,
        "microseconds per learner row": model.cost.learning,
        "steps of a row": model.cost.row,
        "seconds per 100,000 steps": model.seconds_per_100k,
        "runs": [{**run.model_dump(mode="json", exclude={"curve"}), "steps": run.steps} for run in model.runs],
    }


def _search_note(comparison: Comparison) -> str:
    settings = comparison.plan.settings
    if not comparison.plan.searches:
        return f"The learning rate was {rate_text(settings.rates[0])} for all, and not searched."
    tried = ", ".join(map(rate_text, settings.rates))
    return (
        f"Learning rates {tried} were searched alike for all, {settings.search_seeds} seed"
        f"{'s' * (settings.search_seeds > 1)} each of {settings.search_steps:,} steps, on seeds that were not used "
        "again; the one whose whole curve is highest was taken."
    )


def _pairs_table(comparison: Comparison) -> str:
    lines = ["| ahead | behind | a run of the first is better | p | p of all |", "|---|---|---:|---:|---:|"]
    for pair in comparison.verdict.pairs:
        interval = "" if pair.bounds is None else f" [{100 * pair.bounds.low:.0f}, {100 * pair.bounds.high:.0f}]"
        mark = "**" * pair.differ
        lines.append(
            f"| {pair.better} | {pair.worse} | {100 * pair.probability:.0f} %{interval} | {_bare(pair.p)} "
            f"| {mark}{_bare(pair.adjusted_p)}{mark} |"
        )
    return "\n".join(lines)


def _bare(p: float) -> str:
    return p_text(p).removeprefix("p = ").removeprefix("p ")
