"""``rllib doctor``: what would keep training from working, on this machine or on a cluster."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rllib_recattn.cli.ray_address import ray_address_option
from rllib_recattn.errors import SettingsError

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

    from rllib_recattn.experiment.cluster.prepare import Examination
    from rllib_recattn.experiment.definition.spec import Experiment


@click.command(short_help="Look for what would keep training from working.")
@click.argument("path", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@ray_address_option
@click.option(
    "--storage-path", metavar="DIR", help="Where results are to be stored. [default: what FILE says, or ~/ray_results]"
)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.option("-v", "--verbose", count=True, help="Show Ray's log.")
@click.pass_context
def doctor(
    ctx: click.Context,
    path: Path | None,
    ray_address: str | None,
    storage_path: str | None,
    as_json: bool,
    verbose: int,
) -> None:
    """Look at this machine, or at every node of a cluster, and say what would keep training from working.

    With FILE, also whether the experiment that it describes fits there and its environment can be made. Nothing is
    trained and nothing is left behind. The exit code is 1 if there is a problem.
    """
    experiment, configs = _experiment(path, storage_path, verbose)
    results = experiment.storage_path if experiment else _storage_path(storage_path)
    try:
        examination = _examine(ray_address, experiment, configs, results, verbose)
    except SettingsError as error:
        examination = _failed(str(error))
    if as_json:
        click.echo(json.dumps(_as_data(ray_address, examination), indent=2))
    else:
        from rllib_recattn.experiment.cluster.report import print_examination

        print_examination(examination)
    ctx.exit(1 if examination.problems else 0)


def _experiment(
    path: Path | None, storage_path: str | None, verbose: int
) -> tuple[Experiment | None, list[AlgorithmConfig]]:
    if path is None:
        return None, []
    from rllib_recattn.experiment.definition.load import load_experiment
    from rllib_recattn.experiment.definition.top_level import Overrides

    experiment = load_experiment(path, Overrides(storage_path=storage_path))
    from rllib_recattn.experiment.algorithm.variants import build_variants
    from rllib_recattn.experiment.cluster.ray_session import quiet_ray

    with quiet_ray(verbose):
        return experiment, build_variants(experiment)


def _storage_path(given: str | None) -> Path:
    from rllib_recattn.experiment.definition.paths import DEFAULT_STORAGE_PATH, storage_directory

    return storage_directory(given or DEFAULT_STORAGE_PATH, "--storage-path")


def _examine(
    address: str | None,
    experiment: Experiment | None,
    configs: list[AlgorithmConfig],
    storage_path: Path,
    verbose: int,
) -> Examination:
    from rllib_recattn.experiment.cluster.prepare import examine_this_machine, prepare_cluster
    from rllib_recattn.experiment.cluster.ray_session import ray_session

    if address is None:
        return examine_this_machine(experiment, configs, storage_path)
    with ray_session(verbose=verbose, address=address):
        return prepare_cluster(
            address, experiment=experiment, configs=configs, storage_path=storage_path, verbose=verbose
        )


def _failed(problem: str) -> Examination:
    from rllib_recattn.experiment.cluster.checks import Finding
    from rllib_recattn.experiment.cluster.prepare import Examination

    return Examination([], [Finding("problem", problem)])


def _as_data(address: str | None, examination: Examination) -> dict[str, Any]:
    return {
        "ray_address": address,
        "ready": not examination.problems,
        "nodes": [asdict(node) for node in examination.nodes],
        "findings": [asdict(finding) for finding in examination.findings],
    }
