"""Which model for which kind of task: four small tasks with the same settings, from benchmarks.which_model."""

from __future__ import annotations

import json
from collections import defaultdict

from benchmarks.plain import PLAIN
from benchmarks.results.labels import named
from benchmarks.results.markdown import NOTHING, made_by, not_measured, steps, table
from benchmarks.results.sources import Json, Sources
from benchmarks.which_model.plan import ABLATION_TASK, ABLATIONS, MODELS, PPO, TASKS

PLACE, COMMAND = "which_model/runs", "python -m benchmarks.which_model.learn"

TOLD = ("lr", "entropy_coeff", "vf_loss_coeff", "lambda_", "num_epochs")

_FURTHER = {"256": "`max_timescale: 256`", "plain": "plain", "conv": "short convolution", "rotary": "rotated keys"}

# Model → task → its runs, by seed.
Found = dict[str, dict[str, list[Json]]]


def which_model_table(sources: Sources) -> str:
    """The steps after which each seed has solved each task; all seeds stand there, since few of them make no median."""
    found = runs(sources)
    if not found:
        return not_measured(PLACE, COMMAND)
    rows = [["model", *(task.title for task in TASKS.values())]]
    for model in MODELS:
        if model in found:
            rows.append([_label(model), *(steps_of_seeds(found[model].get(task, [])) for task in TASKS)])
    budgets = ", ".join(f"{task.title} {steps(task.budget)}" for task in TASKS.values())
    told = ", ".join(
        f"`{key}` {PPO[key]:g}" for key in ("lr", "entropy_coeff", "vf_loss_coeff", "lambda_", "num_epochs")
    )
    return (
        f"Environment steps until solved, a number for each seed; “>” ended unsolved with the budget ({budgets}). "
        f"The same for all models and tasks: {told}, batches of {PPO['train_batch_size_per_learner']:,} steps from "
        f"{PPO['num_envs_per_env_runner']} environments; only the length of rows and gamma are the task's.\n\n"
        f"{table(rows)}\n\n{made_by(PLACE, COMMAND)}"
    )


def which_model_ablations(sources: Sources) -> str:
    """AGaLiTe with one thing changed, beside GLA, on the task on which they differed most."""
    found = runs(sources)
    shown = [
        model for model in ("agalite-plain", *ABLATIONS, "agalite", "gla") if ABLATION_TASK in found.get(model, {})
    ]
    if not set(shown) & set(ABLATIONS):
        return not_measured(PLACE, f"{COMMAND} --models {' '.join(ABLATIONS)}")
    rows = [["model", TASKS[ABLATION_TASK].title]]
    rows += [[_label(model), steps_of_seeds(found[model][ABLATION_TASK])] for model in shown]
    return f"{table(rows)}\n\n{made_by(PLACE, COMMAND)}"


def plain_settings() -> str:
    """The settings with which AGaLiTe is called plain."""
    return ", ".join(f"`{setting}: {_written(value)}`" for setting, value in PLAIN.items())


def runs(sources: Sources) -> Found:
    """Read the runs that there are."""
    found: Found = defaultdict(lambda: defaultdict(list))
    for path in sorted((sources.benchmarks / PLACE).glob("*/*.json")):
        run = json.loads(path.read_text(encoding="utf-8"))
        found[run["model"]][run["task"]].append(run)
    return found


def steps_of_seeds(task_runs: list[Json]) -> str:
    """Write the steps until solved of each seed, and behind “>” those after which one ended unsolved."""
    if not task_runs:
        return NOTHING
    ordered = sorted(task_runs, key=lambda run: (not run["solved"], run["env_steps"]))
    return ", ".join(f"{'' if run['solved'] else '> '}{steps(run['env_steps'])}" for run in ordered)


def _label(model: str) -> str:
    if model in ABLATIONS and model.startswith("agalite-"):
        (setting, value), *_ = (item for item in ABLATIONS[model].items() if MODELS["agalite"].get(item[0]) != item[1])
        return f"{named('agalite')}, `{setting}: {_written(value)}`"
    plain, _, further = model.partition("-")
    if plain == "hybrid":
        return f"{named(further)} below attention to the last 16 steps"
    return ", ".join([named(plain), *(_FURTHER[each] for each in further.split("-") if each)])


def _written(value: object) -> str:
    return json.dumps(value).strip('"')
