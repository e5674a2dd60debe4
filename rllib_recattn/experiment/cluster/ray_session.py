"""A Ray instance for the time of one experiment, this machine's own or a cluster that is there; quiet unless asked."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import ray

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.cluster.address import connect
from rllib_recattn.experiment.cluster.placement import misfit, what_to_lower
from rllib_recattn.experiment.tune_internals.records import forgetting_encoded_texts
from rllib_recattn.importing import importable_folders
from rllib_recattn.local_ray import start_local_ray
from rllib_recattn.ray_internals import job_config

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

_TUNE_ENVIRONMENT = {
    # The first iteration may end before the first episode does; its result then lacks the metrics of episodes.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # Signals are handled by training/interrupt.py, and output is what training/progress prints.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    # The loggers are those of training/loggers.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # What is known about the trial, its newest checkpoint above all, goes to disk at once and not every ten
    # seconds, so that a run whose process was killed can be resumed.
    "TUNE_GLOBAL_CHECKPOINT_S": "1",
}


@contextmanager
def ray_session(num_cpus: int | None = None, verbose: int = 0, address: str | None = None) -> Iterator[None]:
    """Use the Ray instance that there is, or start a local one, out of others' reach, and shut it down at the end.

    Args:
        num_cpus: How many CPUs the local instance offers; by default as many as the machine has.
        verbose: Above 0, Ray's own log and the output of its processes are shown.
        address: Of a cluster to use instead, ``HOST:PORT`` or ``auto``. It goes on when the context ends.

    Raises:
        SettingsError: If the cluster cannot be connected to, or `num_cpus` is given beside it.
    """
    with _environment(_TUNE_ENVIRONMENT), forgetting_encoded_texts(), quiet_ray(verbose):
        if address is not None:
            with _connected(address, num_cpus, verbose):
                yield
            return
        if ray.is_initialized():
            yield
            return
        try:
            start_local_ray(
                num_cpus=num_cpus,
                job_config=job_config(importable_folders()),
                log_to_driver=verbose > 0,
                logging_level=logging.INFO if verbose else logging.ERROR,
            )
            yield
        finally:
            ray.shutdown()


@contextmanager
def quiet_ray(verbose: int = 0) -> Iterator[None]:
    """Show errors only of what Ray logs in this process, advice and deprecations not; with `verbose`, all of it."""
    if verbose:
        yield
        return
    # RLlib's logger has a level of its own.
    loggers = [logging.getLogger("ray"), logging.getLogger("ray.rllib")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    # Says in other words what the report already says of a failed or interrupted run.
    tune_logger = logging.getLogger("ray.tune.tune")
    tune_logger.addFilter(_is_news)
    try:
        yield
    finally:
        tune_logger.removeFilter(_is_news)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def require_resources(config: AlgorithmConfig) -> None:
    """Refuse a config that needs more than Ray has, or has on any one node: Tune would wait forever.

    Raises:
        SettingsError: With what is needed, for what, and what there is.
    """
    from rllib_recattn.rl_module.fixes.recording import writes_with_ray_data

    assert config.algo_class is not None
    request = config.algo_class.default_resource_request(config)
    alive = [node for node in ray.nodes() if node["Alive"]]
    # Several nodes can share a machine.
    nodes = {f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}": node["Resources"] for node in alive}
    if len({node["NodeManagerAddress"] for node in alive}) == len(alive):
        nodes = {node["NodeManagerAddress"]: node["Resources"] for node in alive}
    with_ray_data = writes_with_ray_data(config)
    bundles = [*request.bundles, *[{"CPU": 1.0}] * with_ray_data]
    why_not = misfit(bundles, request.strategy, nodes)
    if why_not is not None:
        n_cpus = sum(bundle.get("CPU", 0) for bundle in bundles)
        share = f", or share the CPUs with --ray-num-cpus {n_cpus:g}" if len(nodes) == 1 and "CPU" in why_not else ""
        recording = ", or record with RLlib's defaults: Ray Data takes a CPU to write" * with_ray_data
        raise SettingsError(f"{why_not}: {what_to_lower(config)}{recording}{share}")


@contextmanager
def _connected(address: str, num_cpus: int | None, verbose: int) -> Iterator[None]:
    if num_cpus is not None:
        raise SettingsError(
            f"--ray-num-cpus {num_cpus}: cannot be chosen with --ray-address {address}; a cluster has the CPUs that "
            "its nodes were started with, `ray start --num-cpus=N`"
        )
    if ray.is_initialized():
        raise SettingsError(f"--ray-address {address}: this process is connected to a Ray instance already")
    connect(address, verbose=verbose)
    try:
        yield
    finally:
        ray.shutdown()  # ends the connection only


def _is_news(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("Trials did not complete")


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
