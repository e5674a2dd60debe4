"""Train tuned examples, each in a process of its own with one thread, and draw their learning curves."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.machine import where_it_runs

if TYPE_CHECKING:
    from rllib_recattn.experiment.definition.spec import Experiment

EXAMPLES = Path(__file__).parents[1] / "tuned_examples"
BUDGET = "num_env_steps_sampled_lifetime"
# An example's name with this in the place of "agalite" is that example, with the model that does not remember.
MEMORYLESS = "memoryless"

Runs = Mapping[str, Sequence[Mapping[str, Any]]]
# Settings of "env_config" and of "model" that an example does not have, or has otherwise.
Changes = Mapping[str, Mapping[str, Any]]


def train(example: str, seed: int, changes: Changes | None = None) -> dict[str, Any]:
    """Train an agent on a tuned example, as it is or with changes; see :func:`train_experiment`."""
    changes = changes or {}
    return {"example": example, **changes, **train_experiment(experiment_of(example, changes), seed)}


def train_experiment(experiment: Experiment, seed: int) -> dict[str, Any]:
    """Train one agent until it has solved the task or used up its steps; returns its learning curve."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    from rllib_recattn.experiment.algorithm.build import build_config

    torch.set_num_threads(1)
    algorithm = build_config(experiment).debugging(seed=seed, log_level="ERROR").build_algo()
    curve, solved = [], False
    start, cpu_start = time.perf_counter(), time.process_time()
    try:
        while not solved and (not curve or curve[-1]["env_steps"] < experiment.stop[BUDGET]):
            result = algorithm.train()
            episodes = result["env_runners"]
            curve.append(
                {
                    "env_steps": int(result[BUDGET]),
                    "seconds": round(time.perf_counter() - start, 2),
                    "cpu_seconds": round(time.process_time() - cpu_start, 2),
                    "return": _rounded(episodes.get("episode_return_mean")),
                    "success_rate": _rounded(episodes.get("success_rate")),
                }
            )
            solved = any(
                episodes.get(metric.removeprefix("env_runners/"), float("-inf")) >= value
                for metric, value in experiment.stop.items()
                if metric.startswith("env_runners/")
            )
    finally:
        algorithm.stop()
    return {"seed": seed, "machine": where_it_runs(), "solved": solved, **curve[-1], "curve": curve}


def train_side_by_side(
    examples: Mapping[str, str], seed: int, changes: Mapping[str, Changes] | None = None
) -> dict[str, dict[str, Any]]:
    """Train all examples at the same time, so that whatever else the machine does slows all; returns each one's run.

    Args:
        examples: The tuned example of each model.
        seed: The seed of all.
        changes: What is changed in a model's example; models that are missing take theirs as it is.
    """
    changes = changes or {}
    with ProcessPoolExecutor(len(examples), mp_context=get_context("spawn")) as pool:
        futures = {model: pool.submit(train, example, seed, changes.get(model)) for model, example in examples.items()}
        return {model: future.result() for model, future in futures.items()}


def report(model: str, run: Mapping[str, Any]) -> str:
    """Say in one line how a run ended."""
    outcome = "solved" if run["solved"] else "unsolved"
    reached = " ".join(f"{key} {run[key]}," for key in ("return", "success_rate") if run[key] is not None)
    return (
        f"seed {run['seed']}, {model}: {outcome} after {run['env_steps']:,} steps, {reached} {run['seconds']:.0f} s, "
        f"{run['cpu_seconds']:.0f} CPU s"
    )


def draw(runs: Runs, colours: Mapping[str, str], title: str, out: Path, chance: float | None = 0.5) -> None:
    """Draw learning curves over steps and over time: of success where it is known, else of the return.

    Over time only if all runs were on one kind of processor.

    Args:
        runs: The runs of each model.
        colours: The colour of each model.
        title: What the figure shows.
        out: The file to write.
        chance: What an agent without memory reaches, for a line; None: no line.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    from rllib_recattn.experiment.figures.figure_style import tidy
    from rllib_recattn.experiment.records.metrics import metric_label

    points = [point for model_runs in runs.values() for run in model_runs for point in run["curve"]]
    measure = "success_rate" if any(point["success_rate"] is not None for point in points) else "return"
    panels = [("env_steps", "environment steps (thousands)", 1e-3)]
    if len({run.get("machine", {}).get("cpu") for model_runs in runs.values() for run in model_runs}) == 1:
        panels.append(("seconds", "seconds of training", 1))
    figure, (axes,) = pyplot.subplots(
        1, len(panels), figsize=(5 * len(panels), 3.6), sharey=True, layout="constrained", squeeze=False
    )
    for axis, (key, label, scale) in zip(axes, panels, strict=True):
        for model, model_runs in runs.items():
            for index, run in enumerate(model_runs):
                shown = [point for point in run["curve"] if point[measure] is not None]
                axis.plot(
                    [point[key] * scale for point in shown],
                    [point[measure] for point in shown],
                    color=colours[model],
                    linewidth=1.4,
                    alpha=0.9,
                    label=model if index == 0 else None,
                )
                if run["solved"]:
                    axis.plot(run[key] * scale, run[measure], "o", color=colours[model], markersize=5)
        if chance is not None:
            axis.axhline(chance, color="#64748b", linewidth=1, linestyle=":", label="without memory")
        axis.set_xlabel(label)
        tidy(axis, measure)
        axis.set_xlim(left=0)
    axes[0].set_ylabel(metric_label(measure))
    axes[-1].legend(frameon=False, loc="lower right")
    figure.suptitle(title)
    figure.savefig(out, dpi=150)
    pyplot.close(figure)


def has_example(example: str) -> bool:
    """Say whether there is an example of that name, or one that it is made of."""
    return (EXAMPLES / f"{example.replace(MEMORYLESS, 'agalite')}.yaml").exists()


def experiment_of(example: str, changes: Changes | None = None) -> Experiment:
    """Load a tuned example, with a model that does not remember if the name says so, and with changes if there are."""
    from rllib_recattn.experiment.definition.load import load_experiment
    from rllib_recattn.experiment.definition.model_block import check_model
    from rllib_recattn.models.registry import settings_of

    if changes:
        experiment = experiment_of(example)
        assert experiment.model is not None
        block = experiment.model.model_dump(exclude={"settings"}) | experiment.model.settings
        model = check_model(block | changes.get("model", {}), example)
        env_config = experiment.config.get("env_config", {}) | changes.get("env_config", {})
        return experiment.model_copy(update={"model": model, "config": experiment.config | {"env_config": env_config}})
    if MEMORYLESS not in example:
        return load_experiment(EXAMPLES / f"{example}.yaml")
    experiment = load_experiment(EXAMPLES / f"{example.replace(MEMORYLESS, 'agalite')}.yaml")
    assert experiment.model is not None
    rest = experiment.model.model_dump(exclude={"name", "settings"})
    known = settings_of(MEMORYLESS).model_fields
    sizes = {key: value for key, value in experiment.model.settings.items() if key in known}
    model = check_model({"name": MEMORYLESS, **sizes, **rest}, example)
    return experiment.model_copy(update={"model": model})


def _rounded(value: float | None) -> float | None:
    return None if value is None or value != value else round(float(value), 4)
