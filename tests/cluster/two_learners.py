"""Trains with a learner on each of two nodes and writes what the learners have as JSON. Run as a program of its own.

Ray serves one cluster a process, and the tests' process has one already.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from ray.cluster_utils import Cluster
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns

from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.rl_module.encoder import STATE
from rllib_recattn.rl_module.sparse_states.learner_shards import TrainingDataInRows
from tests.programs import OUTCOME_FILE
from tests.quick_rllib import start_workers_as_forks
from tests.rl_module.test_states import replay

NODE = {"num_cpus": 2, "resources": {"learner": 1}, "include_dashboard": False}


def what_it_has(learner: Any) -> tuple[str, dict[str, np.ndarray[Any, Any]]]:
    return ray.get_runtime_context().get_node_id(), learner.get_state()["rl_module"][DEFAULT_MODULE_ID]


def rows_of(episodes: list[Any]) -> Any:
    """Make a function that has a learner form the rows of a batch and return the states that they begin with."""

    def states(learner: Any) -> np.ndarray[Any, Any]:
        batch = learner._learner_connector(rl_module=learner.module, batch={}, episodes=episodes, shared_data={})
        state: torch.Tensor = batch[DEFAULT_MODULE_ID][Columns.STATE_IN][STATE]
        return state.cpu().numpy()

    return states


def states_before(steps: dict[tuple[str, int], Any], episodes: list[Any], max_seq_len: int) -> torch.Tensor:
    """Return the states with which the rows should begin, one step more a chunk, whose value PPO asks for."""
    return torch.stack(
        [
            steps[episode.id_, episode.t_started + step]
            for episode in episodes
            for step in range(0, len(episode) + 1, max_seq_len)
        ]
    )


def main(path: Path) -> None:
    experiment = load_experiment(path)
    config = build_config(experiment)
    algorithm = config.build_algo()
    group = algorithm.learner_group
    before = group.get_weights()[DEFAULT_MODULE_ID]
    for _ in range(2):
        algorithm.train()
    nodes, weights = zip(*(result.get() for result in group.foreach_learner(what_it_has)), strict=True)

    runner = algorithm.env_runner
    algorithm.env_runner_group.sync_weights(from_worker_or_learner_group=group)
    # Episodes that begin now, with the weights that the states are computed again with.
    first = runner.sample(num_timesteps=45, force_reset=True)
    episodes = [*first, *runner.sample(num_timesteps=45), *runner.sample(num_timesteps=45)]
    whole = defaultdict(list)
    for episode in episodes:
        whole[episode.id_].append(episode)
    steps = {}
    for chunks in whole.values():
        states, _ = replay(runner.module.encoder.encoder.model, [chunk.to_numpy() for chunk in chunks])
        steps |= {(chunks[0].id_, chunks[0].t_started + t): state for t, state in enumerate(states)}
    shards = [data.episodes for data, _ in TrainingDataInRows(episodes=episodes).shard(2, 1)]
    errors = []
    for learner, shard in enumerate(shards):
        expected = states_before(steps, shard, experiment.model.max_seq_len if experiment.model else 0)
        (found,) = [r.get() for r in group.foreach_learner(rows_of(shard), remote_actor_ids=[learner])]
        errors.append(float(np.abs(found - expected.numpy()).max()) if found.shape == expected.shape else None)
    (path.parent / OUTCOME_FILE).write_text(
        json.dumps(
            {
                "nodes": nodes,
                "equal": all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0]),
                "changed": any(not np.array_equal(weights[0][name], before[name]) for name in before),
                "cut": sum(map(len, shards)) - len(episodes),
                "steps": [sum(map(len, shard)) for shard in shards],
                "continued_rows": sum(episode.t_started > 0 for shard in shards for episode in shard),
                "largest_error_of_a_state": errors,
                "largest_state": float(max(abs(float(state.abs().max())) for state in steps.values())),
            }
        )
    )
    algorithm.stop()


if __name__ == "__main__":
    start_workers_as_forks()
    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    cluster.add_node(num_cpus=2, resources={"learner": 1})
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        main(Path(sys.argv[1]))
    finally:
        ray.shutdown()
        cluster.shutdown()
