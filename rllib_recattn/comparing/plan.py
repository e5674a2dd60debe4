"""What a comparison is going to train: everything is checked here, before anything starts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from rllib_recattn.algorithms import abilities_of
from rllib_recattn.comparing import EPISODES, RATES, SEARCH_SHARE, SEEDS
from rllib_recattn.comparing.budget import Budget, read_budget
from rllib_recattn.comparing.contenders import Contender, ModelLike, find_contenders
from rllib_recattn.comparing.rates import FIRST_SEED, MOST_SEEDS, Rate, rate_text, rates_to_try
from rllib_recattn.comparing.result import RunResult, read_run
from rllib_recattn.comparing.settings import ComparisonSettings, joined, read_settings
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.spec import Experiment
from rllib_recattn.experiment.definition.stop import counts_effort
from rllib_recattn.experiment.records.metrics import ENV_STEPS

Kind = Literal["search", "compared"]
_IN_EPISODES = ("env_runners/", "evaluation/env_runners/")


@dataclass(frozen=True)
class PlannedRun:
    """A run: of the search, or one that is compared. Its file tells it from others.

    Attributes:
        contender: The model.
        kind: What it is for.
        seed: With which seed.
        rate: The learning rate.
        steps: Environment steps after which it ends.
        path: Where its result belongs.
    """

    contender: Contender = field(compare=False)
    kind: Kind
    seed: int
    rate: Rate = field(compare=False)
    steps: int
    path: Path

    @property
    def label(self) -> str:
        """What it is called: ``gla, seed 0``."""
        rate = f", learning rate {rate_text(self.rate)}" if self.kind == "search" else ""
        return f"{self.contender.label}{rate}, seed {self.seed}"

    def result(self) -> RunResult | None:
        """Return what it left, if it has ended."""
        return read_run(self.path)


@dataclass(frozen=True)
class Plan:
    """What a comparison is going to do.

    Attributes:
        experiment: The experiment.
        contenders: The models that are compared.
        settings: What all runs have in common; with a budget of time, before it is known what fits, of no steps.
        seeds: How many runs each model is to have.
        directory: Where results go.
        early_stop: Whether runs that cannot win any more are ended.
        budget: What the user gave.
    """

    experiment: Experiment
    contenders: tuple[Contender, ...]
    settings: ComparisonSettings
    seeds: int
    directory: Path
    early_stop: bool
    budget: Budget

    @property
    def goals(self) -> dict[str, float]:
        """The metrics that say that the task is solved, and from which value on."""
        return goals_of(self.experiment)

    @property
    def searches(self) -> bool:
        """Whether learning rates are searched."""
        return len(self.settings.rates) > 1

    def search_runs(self, contender: Contender) -> list[PlannedRun]:
        """Return the runs of a model's search, none if there is no search."""
        folder = self.directory / "search" / folder_name(contender.label)
        return [
            PlannedRun(
                contender,
                "search",
                FIRST_SEED + index,
                rate,
                self.settings.search_steps,
                folder / f"lr-{rate_text(rate)}-seed-{FIRST_SEED + index}.json",
            )
            for rate in self.settings.rates * self.searches
            for index in range(self.settings.search_seeds)
        ]

    def compared_run(self, contender: Contender, seed: int, rate: Rate) -> PlannedRun:
        """Return one of the runs that are compared."""
        path = self.directory / "runs" / folder_name(contender.label) / f"seed-{seed}.json"
        return PlannedRun(contender, "compared", seed, rate, self.settings.steps, path)

    def experiment_of(self, run: PlannedRun) -> Experiment:
        """Return what a run trains: the experiment with another model, learning rate and seed."""
        return variant_of(self.experiment, run.contender, run.rate, run.seed)

    def with_steps(self, steps: int) -> Plan:
        """Return the plan once it is known what fits into a budget of time."""
        settings = self.settings.model_copy(update={"steps": steps, "search_steps": search_steps(steps)})
        return replace(self, settings=settings)


def plan_comparison(
    experiment: Experiment,
    models: Sequence[ModelLike],
    *,
    seeds: int = SEEDS,
    budget: str | int | None = None,
    directory: Path,
    lr_search: str | int | Sequence[float] = RATES,
    lr_search_seeds: int = 1,
    episodes: int = EPISODES,
    parameters: int | None = None,
    early_stop: bool = True,
) -> Plan:
    """Check everything, size the models, and see what there is already; see :func:`rllib_recattn.compare`.

    Raises:
        SettingsError: As :func:`rllib_recattn.compare`.
    """
    for key, value, most in (
        ("seeds", seeds, MOST_SEEDS),
        ("lr_search_seeds", lr_search_seeds, MOST_SEEDS),
        ("episodes", episodes, 10**6),
    ):
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise SettingsError(f"{key} = {value!r}: should be a whole number, 1 to {most:,}")
    _refuse(experiment)
    if budget is None and ENV_STEPS not in experiment.stop:
        raise SettingsError(
            f"budget: should be given, e.g. 300k steps or 20m; {experiment.where}.stop has no {ENV_STEPS} to take"
        )
    read = read_budget(int(experiment.stop[ENV_STEPS]) if budget is None else budget)
    rates = rates_to_try(lr_search, learning_rate(experiment))
    contenders = find_contenders(models, experiment, parameters)
    before = read_settings(directory)
    steps = read.steps or (before.steps if before is not None and before.budget == read.text else 0)
    settings = ComparisonSettings(
        experiment=experiment.name,
        content=_content(experiment),
        budget=read.text,
        steps=steps,
        search_steps=search_steps(steps),
        rates=rates,
        search_seeds=lr_search_seeds,
        episodes=episodes,
        parameters=parameters,
        models={contender.label: contender.settings for contender in contenders},
    )
    return Plan(experiment, tuple(contenders), joined(before, settings, directory), seeds, directory, early_stop, read)


def goals_of(experiment: Experiment) -> dict[str, float]:
    """Return the stop criteria that say that the task is solved."""
    return {
        metric: value
        for metric, value in experiment.stop.items()
        if metric.startswith(_IN_EPISODES) and not counts_effort(metric)
    }


def search_steps(steps: int) -> int:
    """Return how many steps a run of the search gets."""
    return int(SEARCH_SHARE * steps)


def learning_rate(experiment: Experiment) -> Rate:
    """Return the experiment's learning rate, or its schedule; the algorithm's own where the file says nothing."""
    rate = experiment.config.get("lr")
    if rate is None:
        from rllib_recattn.rl_module.algorithms import CONFIG_CLASSES

        rate = CONFIG_CLASSES[experiment.run]().lr
    if isinstance(rate, list | tuple):
        return [[float(step), float(value)] for step, value in rate]
    return float(rate)


def variant_of(experiment: Experiment, contender: Contender, rate: Rate, seed: int) -> Experiment:
    """Return an experiment with another model, learning rate and seed."""
    schedule = [[int(step), value] for step, value in rate] if isinstance(rate, list) else rate
    config = {**experiment.config, "lr": schedule, "seed": seed}
    return experiment.model_copy(update={"config": config, "model": contender.model})


def folder_name(label: str) -> str:
    """Return a name for a folder: a label itself, if it can be one, else one that no other label has."""
    plain = re.sub(r"[^\w.+=-]+", "-", label).strip("-.")[:80]
    return plain if plain == label else f"{plain}-{hashlib.sha256(label.encode()).hexdigest()[:6]}"


def _content(experiment: Experiment) -> dict[str, object]:
    config = {key: value for key, value in experiment.config.items() if key not in ("lr", "seed")}
    return {
        "run": experiment.run,
        "env": experiment.env,
        "goals": goals_of(experiment),
        "config": config,
        "callbacks": [entry.model_dump() for entry in experiment.callbacks],
    }


def _refuse(experiment: Experiment) -> None:
    """Refuse experiments of which several models cannot be compared fairly, or at all."""
    where, problems = experiment.where, []
    if experiment.is_sweep:
        searched = ", ".join(experiment.space) or f"tune.num_samples = {experiment.tune.num_samples}"
        problems.append(
            f"{where}: is a sweep ({searched}): should be one experiment, with a number where a search domain stands; "
            "models, seeds and learning rates are options of the comparison"
        )
    if experiment.api_stack == "old":
        problems.append(f"{where}.api_stack = 'old': should be the new one, which `rllib convert` writes it for")
    if experiment.multi_agent is not None:
        problems.append(f"{where}.multi_agent: should be left out; agents are compared one by one")
    if not abilities_of(experiment.run).samples:
        problems.append(f"{where}.run = {experiment.run!r}: should be an algorithm that acts; it learns from records")
    if experiment.restore is not None:
        problems.append(f"{where}.restore = {str(experiment.restore)!r}: should be left out; each model begins afresh")
    if experiment.config.get("output") is not None:
        problems.append(f"{where}.config.output: should be left out; runs would write over each other's episodes")
    if problems:
        raise SettingsError("\n".join(problems))
