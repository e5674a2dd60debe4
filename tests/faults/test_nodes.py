"""A node of the cluster is lost, with EnvRunners or with the learner."""

from __future__ import annotations

import pytest

from tests.faults.node_loss import LIMIT_S
from tests.programs import run_program


def lose(what, directory):
    return run_program("tests.faults.node_loss", directory, what, directory)


@pytest.fixture(scope="module")
def runners_lost(tmp_path_factory):
    return lose("runners", tmp_path_factory.mktemp("runners"))


@pytest.mark.slow
def test_training_goes_on_with_a_node_that_replaces_the_lost_one(runners_lost):
    assert runners_lost["came_back"] == 2, runners_lost["output"]
    assert runners_lost["steps_after"] > runners_lost["steps_when_lost"] > 0
    iterations = [result["training_iteration"] for result in runners_lost["results"]]
    assert iterations == list(range(1, len(iterations) + 1))
    steps = [result["num_env_steps_sampled_lifetime"] or 0 for result in runners_lost["results"]]
    assert steps == sorted(steps)


@pytest.mark.slow
def test_training_ends_when_no_node_replaces_the_lost_one(runners_lost):
    assert runners_lost["status"] == "failed"
    output = runners_lost["output"]
    assert "None of the 2 EnvRunners has come back for " in output
    assert f"(env_runner_restore_timeout_s = {LIMIT_S}). The cluster has 1 node with " in output
    assert "What to do: bring the lost nodes back, or lower config.num_env_runners, and resume" in output
    assert "Resume with:" in output
    assert "state-dump" not in output, "a lost node fills the screen"
    assert output.count("the process that ran a node has ended") in (1, 2), output


@pytest.mark.slow
def test_training_resumes_from_the_checkpoint_when_the_learners_node_is_lost(tmp_path):
    lost = lose("learner", tmp_path)
    assert lost["status"] == "finished", lost["output"]
    assert "Failure 1: going on from the newest checkpoint." in lost["output"]
    error = lost["output"].partition("Failure 1: going on from the newest checkpoint.")[2].splitlines()[1]
    assert "node" in error or "actor" in error, error
    iterations = [result["training_iteration"] for result in lost["results"]]
    assert iterations[-1] == 6
    again = next(
        index for index, result in enumerate(lost["results"]) if index and result["iterations_since_restore"] == 1
    )
    assert iterations[again] > 1, "it began again"
    assert iterations[again] <= iterations[again - 1] + 1, "a result has been lost"
