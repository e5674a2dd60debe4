"""What a comparison says in words: a claim of a difference only where the test allows one."""

from __future__ import annotations

from collections.abc import Sequence

from rllib_recattn.comparing import INTERVALS_FROM, SIGNIFICANCE
from rllib_recattn.comparing.early_stop import PATIENCE
from rllib_recattn.comparing.permutation import smallest_p
from rllib_recattn.comparing.summary import Comparison, ModelSummary
from rllib_recattn.comparing.verdict import Pair


def recommendation(comparison: Comparison) -> str:
    """Say which model to take, and how sure that is."""
    verdict, winner = comparison.verdict, comparison.winner
    others = verdict.ranked[1:]
    if not others:
        return f"{verdict.leader} is the only model that has runs: {_seen(comparison, winner)}."
    seen = f"{_seen(comparison, winner)}, {_then(comparison, others[0])}"
    if not verdict.alike:
        return f"Take {verdict.leader}: it is better than {_listed(verdict.behind)} ({_claims(comparison)}); {seen}."
    if not verdict.behind:
        return f"{_nobody_apart(comparison)}; ahead so far is {verdict.leader}: {seen}."
    names = _listed([verdict.leader, *verdict.alike], "or")
    return (
        f"Take {names}, which cannot be told apart ({_open(comparison)}); {verdict.leader} is better than "
        f"{_listed(verdict.behind)} ({_claims(comparison)}); {seen}."
    )


def p_text(p: float) -> str:
    """Write a p: ``p = 0.008``, ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.995 else "p = 1"


def notes(comparison: Comparison) -> list[str]:
    """Say what the numbers are, and what they are not, a sentence or two each."""
    plan, models = comparison.plan, comparison.models.values()
    counts = [len(model.runs) for model in models]
    found = []
    if comparison.has_goal:
        goals = " or ".join(f"{metric} ≥ {value:g}" for metric, value in plan.goals.items())
        found.append(
            f"Solved: {goals} over a window of episodes, and over the next window as well; the steps are those of the "
            f"first. A run that ends unsolved, after {plan.settings.steps:,} steps, is censored there."
        )
    found.append(
        f"Score: the {comparison.measure} of {plan.settings.episodes:,} fresh greedy episodes of each run's last "
        "policy, the same for all; a run that has solved the task ends there."
    )
    few = [count for count in counts if count < INTERVALS_FROM]
    if few:
        found.append(
            f"With fewer than {INTERVALS_FROM} seeds every seed is shown, and no interval: it would be little more "
            "than their range."
        )
    if max(counts) >= INTERVALS_FROM:
        found.append("Scores are interquartile means, with 95 % intervals by bootstrap over the seeds.")
    stopped = sum(model.stopped_early for model in models)
    if stopped:
        found.append(
            f"{stopped} run{'s were' if stopped > 1 else ' was'} ended early, after {PATIENCE} × the steps of the "
            "slowest seed of a model that solved the task with all: censored there, its score compared with nobody's."
        )
    unequal = [
        f"{model.contender.label} {model.contender.parameters:,}" for model in models if _is_unequal(comparison, model)
    ]
    if unequal:
        found.append(f"Sizes differ by more than a tenth: {'; '.join(unequal)} parameters.")
    return found


def _nobody_apart(comparison: Comparison) -> str:
    verdict = comparison.verdict
    counts = {len(comparison.models[label].runs) for label in verdict.ranked}
    seeds = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else str(min(counts))
    seeds += " seed" + "s" * (max(counts) > 1)
    text = f"{_listed(verdict.ranked)} cannot be told apart with {seeds} ({_open(comparison)}"
    closest = min(pair.smallest_p for pair in verdict.pairs)
    if closest >= SIGNIFICANCE:
        enough = next(n for n in range(2, 100) if smallest_p(n, n) < SIGNIFICANCE)
        text += f", and {p_text(closest)} is the least that so few can show: it takes {enough} or more"
    return f"{text})"


def _open(comparison: Comparison) -> str:
    verdict = comparison.verdict
    return p_text(min(verdict.with_leader(label).adjusted_p for label in verdict.alike))


def _claims(comparison: Comparison) -> str:
    verdict = comparison.verdict
    return ", ".join(_claim(verdict.with_leader(label), len(verdict.behind) > 1) for label in verdict.behind)


def _claim(pair: Pair, named: bool) -> str:
    return f"{pair.worse}: {p_text(pair.adjusted_p)}" if named else p_text(pair.adjusted_p)


def _seen(comparison: Comparison, model: ModelSummary) -> str:
    """Say what a model's runs came to: ``solved by 5 of 5 seeds, half of them within 61,440 steps``."""
    count = len(model.runs)
    text = f"{comparison.measure} {model.score:.2f}"
    if not comparison.has_goal:
        return text
    solved = f"solved by {model.n_solved} of {count} seeds"
    median = model.survival.median
    if median is not None:
        solved += f", half of them within {median:,.0f} steps" if count > 1 else f", within {median:,.0f} steps"
    return f"{solved}, {text}"


def _then(comparison: Comparison, label: str) -> str:
    return f"then comes {label}: {_seen(comparison, comparison.models[label])}"


def _listed(labels: Sequence[str], joined_by: str = "and") -> str:
    *first, last = labels
    return f"{', '.join(first)} {joined_by} {last}" if first else last


def _is_unequal(comparison: Comparison, model: ModelSummary) -> bool:
    sizes = [each.contender.parameters for each in comparison.models.values()]
    middle = sorted(sizes)[len(sizes) // 2]
    return not 0.9 <= model.contender.parameters / middle <= 1.1
