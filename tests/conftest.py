"""What tests of several parts share: one Ray instance, and one finished training run."""

from __future__ import annotations

import gc
import io
import random
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.quick_rllib import build_connectors_quickly, start_workers_as_forks

if TYPE_CHECKING:
    from rllib_recattn.experiment.definition.spec import Experiment
    from rllib_recattn.experiment.training.run import RunResult

SMALL_EXPERIMENT = """
small-tmaze:
  run: PPO
  env: rllib_recattn/TMaze-v0
  stop: {{env_runners/success_rate: 1.0, training_iteration: {iterations}}}
  model: {{name: agalite, max_seq_len: 8, d_model: 16, n_layers: 1, n_heads: 2, d_head: 4}}
  config:
    env_config: {{corridor_length: 3, max_episode_steps: 12}}
    num_env_runners: 0
    num_envs_per_env_runner: 4
    train_batch_size_per_learner: 128
    minibatch_size: 64
    num_epochs: 1
    seed: 0
  storage_path: {storage_path}
"""

build_connectors_quickly()
# Until the tests are collected: nearly all that is made then stays.
gc.disable()


def pytest_collection_finish() -> None:
    """Spares the collector of garbage what was imported and collected, hundreds of thousands of objects that stay."""
    gc.enable()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips what needs a GPU where there is none."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("there is no CUDA")


class FinishedRun(NamedTuple):
    result: RunResult
    experiment: Experiment
    output: str


@pytest.fixture(autouse=True)
def seed_generators() -> None:
    """Seeds all that draws from generators of the process, so that a test's numbers do not depend on those before."""
    import numpy
    import torch

    random.seed(0)
    numpy.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def forget_registered_models() -> Iterator[None]:
    """Takes out of the catalog what a test has put in, by importing a model's module for instance."""
    from rllib_recattn.models import registry

    registry.model_names()  # loads the package's own
    catalog, imported = dict(registry._CATALOG), set(sys.modules)
    yield
    added = {info.settings.__module__ for name, info in registry._CATALOG.items() if name not in catalog}
    for module in added - imported:
        # It registers its models as it is imported, and the next test may want it to.
        sys.modules.pop(module, None)
    registry._CATALOG.clear()
    registry._CATALOG.update(catalog)


@pytest.fixture
def own_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the package's own models in the catalog, whatever modules of tests have registered on import."""
    from rllib_recattn.models import registry

    own = {name: info for name, info in registry._CATALOG.items() if registry._is_built_in(info)}
    monkeypatch.setattr(registry, "_CATALOG", own)


@pytest.fixture(autouse=True)
def end_learner_threads() -> Iterator[None]:
    """Ends the threads of IMPALA's and APPO's learners: on Ray before 2.54 they poll, and hundreds starve the tests."""
    yield
    for thread in threading.enumerate():
        if thread.name == "_LearnerThread":
            end_learner_thread(thread)


def end_learner_thread(thread: Any) -> None:
    if hasattr(thread, "request_stop"):
        thread.request_stop()
        return
    thread.stopped = True
    batches = thread._in_queue
    (batches.append if isinstance(batches, deque) else batches.add)(object())  # which it waits for, and leaves alone


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A local Ray instance for all tests of a process that need one; starting it takes seconds."""
    import ray

    start_workers_as_forks()
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def small_experiment() -> Callable[..., Experiment]:
    """Makes an experiment of a few seconds that stores its results below a directory."""
    from rllib_recattn.experiment.definition.load import load_experiment

    def make(directory: Path, iterations: int = 2, **changes: Any) -> Experiment:
        file = directory / "small.yaml"
        file.write_text(SMALL_EXPERIMENT.format(iterations=iterations, storage_path=directory / "results"))
        return load_experiment(file).model_copy(update=changes)

    return make


@pytest.fixture(scope="session")
def finished_run(
    ray_session: None, small_experiment: Callable[..., Experiment], tmp_path_factory: pytest.TempPathFactory
) -> FinishedRun:
    """A run of two iterations and what it printed."""
    from rllib_recattn.experiment.algorithm.build import build_config
    from rllib_recattn.experiment.training.run import run_experiment

    experiment = small_experiment(tmp_path_factory.mktemp("finished"))
    with redirect_stdout(io.StringIO()) as output:
        result = run_experiment(experiment, build_config(experiment))
    return FinishedRun(result, experiment, output.getvalue())
