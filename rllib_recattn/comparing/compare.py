"""The comparison: which of several models a user's own task asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from filelock import FileLock, Timeout

from rllib_recattn.comparing import EPISODES, RATES, SEEDS
from rllib_recattn.comparing.contenders import ModelLike
from rllib_recattn.comparing.costs import measure_costs
from rllib_recattn.comparing.page import write_report
from rllib_recattn.comparing.plan import Plan, PlannedRun, plan_comparison
from rllib_recattn.comparing.running import State, ended_runs, missing_runs, state_of, train_missing
from rllib_recattn.comparing.search import search_scores
from rllib_recattn.comparing.settings import write_settings
from rllib_recattn.comparing.summary import Comparison, ModelSummary
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.load import load_experiment

OnChange = Callable[[PlannedRun, State], object]
_LOCK = ".lock"


def compare(
    path: str | PathLike[str],
    models: ModelLike | Sequence[ModelLike],
    *,
    seeds: int = SEEDS,
    budget: str | int | None = None,
    output: str | PathLike[str] | None = None,
    lr_search: str | int | Sequence[float] = RATES,
    lr_search_seeds: int = 1,
    episodes: int = EPISODES,
    parameters: int | None = None,
    early_stop: bool = True,
    jobs: int | None = None,
    ray_address: str | None = None,
) -> Comparison:
    """Find out which memory a task asks for: models of equal size are trained on an experiment, and compared.

    Each run that has ended is kept in a file of its own. The same call, after whatever ended the one before, trains
    only what is missing; so does one with more models or seeds.

    Args:
        path: The YAML file of an experiment, whose settings all models get.
        models: Names of models, ``"package.module:name"`` too, or blocks such as ``{"name": "gla", "conv_size": 4}``.
            Their widths are searched for, such that they have as many parameters as the experiment's own model.
        seeds: How many runs of each are compared, with the seeds from 0 on.
        budget: Environment steps of each run, ``"300k"``, or the time that all runs together may take, ``"20m"``; by
            default the steps that the experiment stops after.
        output: The directory of results; by default ``comparison-<name of the experiment>``.
        lr_search: How many learning rates are searched for each model, around the experiment's; which; or ``"off"``.
        lr_search_seeds: How many seeds each of them gets, none of which is used again.
        episodes: How many greedy episodes score a trained policy.
        parameters: How many parameters each model is to have.
        early_stop: Whether runs end that cannot win any more, see :mod:`rllib_recattn.comparing.early_stop`.
        jobs: How many runs train at the same time; by default as many as there are CPUs for.
        ray_address: Of a cluster to train on, ``HOST:PORT`` or ``auto``; None: this machine.

    Returns:
        The comparison, which is in the files of its directory as well.

    Raises:
        SettingsError: If an argument or the experiment is wrong, or the directory holds a comparison with other
            settings. Nothing has been trained then.
        RuntimeError: If all runs of all models failed.

    Example:
        Half an hour of training, which goes on where it was if it is begun again:

        >>> import rllib_recattn as ra
        >>> result = ra.compare("maze.yaml", ["agalite", "lstm"], seeds=5, budget="300k")  # doctest: +SKIP
        >>> result.verdict.leader, result.verdict.alike  # doctest: +SKIP
        ('agalite', ('lstm',))
    """
    experiment = load_experiment(Path(path))
    plan = plan_comparison(
        experiment,
        [models] if isinstance(models, str | Mapping) else models,
        seeds=seeds,
        budget=budget,
        directory=output_directory(output, experiment.name),
        lr_search=lr_search,
        lr_search_seeds=lr_search_seeds,
        episodes=episodes,
        parameters=parameters,
        early_stop=early_stop,
    )
    with holding(plan.directory):
        plan, state = run_plan(plan, jobs=jobs, ray_address=ray_address)
    comparison = comparison_of(plan, state)
    if comparison is None:
        raise RuntimeError(f"all runs failed: {'; '.join(state.failed.values())}")
    write_report(comparison)
    return comparison


def output_directory(output: str | PathLike[str] | None, name: str) -> Path:
    """Return the directory of a comparison's results.

    Raises:
        SettingsError: If it is a file.

    Examples:
        >>> output_directory(None, "maze").name
        'comparison-maze'
    """
    directory = Path(f"comparison-{name.replace(' ', '-')}" if output is None else output).absolute()
    if directory.exists() and not directory.is_dir():
        raise SettingsError(f"output = {str(directory)!r}: should be a directory, but is a file")
    return directory


@contextmanager
def holding(directory: Path) -> Iterator[None]:
    """Hold a directory of results: one process at a time may write into it.

    Raises:
        SettingsError: If another one does, or it cannot be written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(directory / _LOCK, timeout=0)
        lock.acquire()
    except Timeout:
        raise SettingsError(
            f"{str(directory)!r}: another process compares there; wait for it, or name another directory with --output"
        ) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(f"{str(directory)!r}: cannot be written to: {reason}") from error
    try:
        yield
    finally:
        lock.release()
        if [entry.name for entry in directory.iterdir()] == [_LOCK]:  # nothing has begun
            (directory / _LOCK).unlink(missing_ok=True)
            directory.rmdir()


def run_plan(
    plan: Plan,
    *,
    jobs: int | None = None,
    ray_address: str | None = None,
    verbose: int = 0,
    on_plan: Callable[[Plan, State, int], object] = lambda plan, state, jobs: None,
    on_change: OnChange = lambda run, state: None,
) -> tuple[Plan, State]:
    """Train what is missing, if anything is.

    Args:
        plan: What to train.
        jobs: How many runs at the same time; None: as many as there is room for.
        ray_address: Of a cluster.
        verbose: Above 0, Ray's own log is shown.
        on_plan: Is called before anything is trained, with how many runs train at the same time.
        on_change: Is called after each iteration of a run.

    Returns:
        The plan, now with its steps if its budget is a time, and how far it is.

    Raises:
        SettingsError: If a setting is wrong, or there is not the room or the time that is needed.
    """
    from rllib_recattn.comparing.fitting import fit_budget
    from rllib_recattn.comparing.pool import RayPool
    from rllib_recattn.experiment.algorithm.build import build_config
    from rllib_recattn.experiment.cluster.prepare import ready_cluster
    from rllib_recattn.experiment.cluster.ray_session import quiet_ray, ray_session, require_resources

    if jobs is not None and (isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1):
        raise SettingsError(f"jobs = {jobs!r}: should be a whole number ≥ 1")
    state = state_of(plan)
    if plan.settings.steps and not missing_runs(plan, state):
        return plan, state
    rate = plan.settings.rates[0]
    with quiet_ray(verbose):
        configs = [build_config(plan.experiment_of(plan.compared_run(each, 0, rate))) for each in plan.contenders]
    batch = configs[0].total_train_batch_size
    least = 2 * batch if plan.searches else batch
    if plan.settings.steps and plan.settings.steps < least:
        half = ", and a run of the search half of the budget" * plan.searches
        raise SettingsError(
            f"budget = {plan.budget.text!r}: should be at least {least:,} steps: an iteration has {batch:,}{half}"
        )
    with ray_session(None, verbose, ray_address):
        if ray_address is not None:
            ready_cluster(ray_address, plan.experiment, configs, None, verbose)
        for config in configs:
            require_resources(config)
        pool = RayPool(configs[0])
        jobs = pool.room if jobs is None else jobs
        if not plan.settings.steps:
            plan, _ = fit_budget(plan, pool, jobs)
        write_settings(plan.settings, plan.directory)
        on_plan(plan, state, jobs)
        window = int(configs[0].metrics_num_episodes_for_smoothing)
        train_missing(plan, state, pool, jobs, window, on_change)
    return plan, state


def comparison_of(plan: Plan, state: State) -> Comparison | None:
    """Return what a comparison has come to so far; None if no run has ended."""
    ended = ended_runs(plan, state)
    contenders = {each.label: each for each in plan.contenders}
    costs = measure_costs([contenders[label] for label in ended])
    models = {
        label: ModelSummary(
            contenders[label],
            tuple(runs),
            costs[label],
            search_scores(plan, contenders[label], state.done) if plan.searches else {},
        )
        for label, runs in ended.items()
    }
    left = plan.seeds * len(plan.contenders) - sum(map(len, ended.values()))
    failed = {run.label: error for run, error in state.failed.items()}
    return Comparison(plan, models, failed, left) if models else None
