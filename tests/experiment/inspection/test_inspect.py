"""Inspecting a checkpoint, from end to end."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.rl_module import RLModule

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.checkpoints.checkpoint import module_directory
from rllib_recattn.experiment.definition.model_block import check_model
from rllib_recattn.experiment.evaluation.evaluate import evaluate_checkpoint
from rllib_recattn.experiment.inspection import inspect as inspect_module
from rllib_recattn.experiment.inspection.data import as_data
from rllib_recattn.experiment.inspection.figure import draw_inspection
from rllib_recattn.experiment.inspection.inspect import inspect_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:.*Overriding environment rllib-single-agent-env")


@pytest.fixture(scope="module")
def inspection(finished_run):
    return inspect_checkpoint(finished_run.result.checkpoint, seed=3, explore=True, episodes=40)


def test_the_episode_is_the_one_that_evaluation_plays(finished_run, inspection):
    (episode,) = evaluate_checkpoint(finished_run.result.checkpoint, episodes=1, seed=3, explore=True).episodes
    assert len(inspection) == episode.length
    assert inspection.recording.rewards.sum() == pytest.approx(episode.episode_return)
    assert inspection.recording.success == episode.success
    assert len(inspection.recording.frames) == episode.length + 1
    assert inspection.recording.frames[0].shape == (192, 640, 3)
    assert not np.array_equal(inspection.recording.frames[0], inspection.recording.frames[-1])


def test_what_was_recorded_is_what_the_agent_was_given(finished_run, inspection):
    module = RLModule.from_checkpoint(str(module_directory(inspection.checkpoint)))
    recording = inspection.recording
    given = recording.batch[Columns.OBS]
    np.testing.assert_array_equal(given[0].numpy(), np.stack(recording.observations))
    with torch.no_grad():
        out = module.forward_inference(recording.batch)
    torch.testing.assert_close(out[Columns.ACTION_DIST_INPUTS][0], recording.logits, rtol=1e-4, atol=1e-5)
    assert inspection.replay_error < 1e-4
    np.testing.assert_allclose(inspection.probabilities, torch.softmax(recording.logits, -1).numpy(), rtol=1e-5)
    entropy = -(inspection.probabilities * np.log(inspection.probabilities)).sum(-1)
    np.testing.assert_allclose(inspection.entropy, entropy, rtol=1e-4)
    np.testing.assert_allclose(
        inspection.values, module.compute_values(recording.batch)[0].numpy(force=True), rtol=1e-4
    )


def test_a_state_holds_what_was_just_seen(inspection):
    """T-Maze's cue is in the first observation; an untrained state has it right after."""
    assert inspection.decoding.n_classes == 2
    assert inspection.decoding.accuracy[0].mean == 1.0
    assert inspection.decoding.n_episodes[0] == 40


def test_data_holds_the_numbers(inspection):
    data = as_data(inspection)
    found = inspection.counterfactual
    assert data["counterfactual"]["measure"] == "total variation"
    assert data["counterfactual"]["n_replacements"] == list(found.n_replacements)
    moved = np.array(data["counterfactual"]["moved"], dtype=float)
    np.testing.assert_allclose(moved, found.moved, rtol=1e-5)
    np.testing.assert_allclose(data["counterfactual"]["to_cue"], found.of(0), rtol=1e-5)
    assert data["counterfactual"]["moved"][1][0] is None
    np.testing.assert_allclose(data["sensitivity"]["norms"], inspection.sensitivity, rtol=1e-5)
    np.testing.assert_allclose(data["sensitivity"]["to_cue"], inspection.sensitivity[:, 0], rtol=1e-5)
    assert [gates["name"] for gates in data["gates"]] == ["γ", "β", "u"]
    assert np.shape(data["gates"][0]["values"]) == inspection.memory.gates[0].values.shape
    assert data["decoding"]["accuracy"][0]["mean"] == 1.0
    assert {row["part"] for row in data["state_norms"]} == {"keys", "recent", "values"}
    assert data["length"] == len(data["rewards"]) == len(data["values"]) == len(inspection)


def test_observations_are_replaced_by_those_of_other_episodes(inspection):
    found = inspection.counterfactual
    assert found.steps == tuple(range(len(inspection)))
    assert 1 <= found.n_replacements[0] <= 8, "those that showed the other cue"
    assert found.of(0)[0] > 0
    observation, step, moved = found.strongest()
    assert f"that of step {observation} counts most" in inspection.summary
    assert f"moves the action of step {step} by {moved:.2f} (total variation)" in inspection.summary


def test_zeros_may_stand_in_their_place(finished_run):
    inspection = inspect_checkpoint(finished_run.result.checkpoint, seed=3, replace_with="zeros", of="value")
    assert set(inspection.counterfactual.n_replacements) == {0}
    assert inspection.counterfactual.measure == "difference of values"
    assert "moves the value of step" in inspection.summary


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("is_of_old_stack", lambda checkpoint: True, "of RLlib's old API stack.*convert_checkpoint"),
        ("load_config", lambda checkpoint: PPOConfig().multi_agent(policies={"a", "b"}), "of several agents"),
    ],
)
def test_other_agents_are_refused(finished_run, monkeypatch, name, value, message):
    monkeypatch.setattr(inspect_module, name, value)
    with pytest.raises(SettingsError, match=message):
        inspect_checkpoint(finished_run.result.checkpoint)


def test_an_agent_without_a_memory_is_refused(finished_run, monkeypatch):
    monkeypatch.setattr("rllib_recattn.rl_module.modules.RecAttnPPOModule.is_stateful", lambda self: False)
    with pytest.raises(SettingsError, match="has no memory"):
        inspect_checkpoint(finished_run.result.checkpoint)


def test_a_cue_after_the_end_is_refused(finished_run):
    with pytest.raises(SettingsError, match=r"--cue-step 12: should be one of the episode's \d+ steps"):
        inspect_checkpoint(finished_run.result.checkpoint, cue_step=12)


def test_an_agent_that_remembers_nothing_is_drawn(ray_session, small_experiment, tmp_path):
    model = check_model({"name": "memoryless", "d_model": 8, "n_layers": 1, "max_seq_len": 8}, "maze")
    algorithm = build_config(small_experiment(tmp_path, model=model)).build_algo()
    try:
        learned = algorithm.train()["learners"]["default_policy"]["recattn"]
        algorithm.save_to_path(str(tmp_path / "checkpoint"))
    finally:
        algorithm.stop()
    assert learned["state_bytes_per_step"] == 0
    assert "state_norm" not in learned
    inspection = inspect_checkpoint(tmp_path / "checkpoint", seed=3, explore=True, episodes=40)
    assert inspection.memory.state_norms == {}
    assert all(accuracy.mean < 0.9 for accuracy in inspection.decoding.accuracy)
    assert inspection.counterfactual.strongest()[2] == 0
    assert inspection.replay_error < 1e-4
    assert as_data(inspection)["state_norms"] == []
    draw_inspection(inspection, tmp_path / "memoryless.png")
    assert (tmp_path / "memoryless.png").stat().st_size > 10_000
