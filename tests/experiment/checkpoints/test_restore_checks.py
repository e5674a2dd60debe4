"""Training that begins with the state of a checkpoint."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest
from ray.rllib.algorithms.algorithm import Algorithm

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.algorithm.variants import build_variants
from rllib_recattn.experiment.checkpoints.restore_checks import check_restore
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.experiment.definition.top_level import Overrides
from tests.conftest import SMALL_EXPERIMENT

MODULE = ("learner_group", "learner", "rl_module", "default_policy", "module_state.pkl")


def restored(tmp_path, checkpoint, *changes):
    """The small experiment, beginning with a checkpoint, with parts of its text replaced."""
    text = SMALL_EXPERIMENT.format(iterations=4, storage_path=tmp_path / "results")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    (tmp_path / "x.yaml").write_text(text)
    return load_experiment(tmp_path / "x.yaml", Overrides(restore=str(checkpoint)))


def weights_in(checkpoint):
    return pickle.loads(checkpoint.joinpath(*MODULE).read_bytes())


def is_same(weights, saved):
    return all(np.array_equal(weights[key], saved[key]) for key in saved)


def test_training_goes_on_and_its_own_checkpoints_stand_for_themselves(finished_run, tmp_path):
    source = shutil.copytree(finished_run.result.checkpoint, tmp_path / "source")
    experiment = restored(tmp_path, source, ("num_epochs: 1", "num_epochs: 1\n    lr: 0.123"))
    config = build_config(experiment)
    check_restore(experiment, config)
    algorithm = config.build_algo()
    try:
        assert is_same(algorithm.learner_group.get_weights()["default_policy"], weights_in(source))
        acting = {key: value.numpy() for key, value in algorithm.env_runner.module.state_dict().items()}
        # RLlib does not send them the value's head.
        assert all(np.array_equal(acting[key], weights_in(source)[key]) for key in acting if not key.startswith("vf."))
        assert [each.get() for each in algorithm.learner_group.foreach_learner(rates)] == [[0.123]]
        result = algorithm.train()
        assert result["training_iteration"] == 3
        assert result["num_env_steps_sampled_lifetime"] > finished_run.result.metrics["num_env_steps_sampled_lifetime"]
        saved = algorithm.save_to_path(str(tmp_path / "saved"))
    finally:
        algorithm.stop()
    shutil.rmtree(source)
    loaded = Algorithm.from_checkpoint(saved)
    assert loaded.iteration == 3
    loaded.stop()


def test_what_it_counts_is_said(finished_run, tmp_path):
    reached = finished_run.result.metrics["env_runners"]["num_env_steps_sampled_lifetime"]
    steps = ("training_iteration: 4", "training_iteration: 4, env_runners/num_env_steps_sampled_lifetime: 1000")
    experiment = restored(tmp_path, finished_run.result.checkpoint, steps)
    assert check_restore(experiment, build_config(experiment)) == (
        "restore: training counts on from the checkpoint's iteration 2: stop.training_iteration = 4 is 2 more, "
        "stop.env_runners/num_env_steps_sampled_lifetime = 1000 is "
        f"{1000 - reached:g} more"
    )
    of_ppo = (("    minibatch_size: 64\n", ""), ("    num_epochs: 1\n", ""))
    experiment = restored(tmp_path, finished_run.result.checkpoint, ("run: PPO", "run: IMPALA"), *of_ppo)
    assert check_restore(experiment, build_config(experiment)) == (
        "restore: the weights alone are taken, of another algorithm, PPO: all counts begin at 0"
    )


def rates(learner):
    return [group["lr"] for optimizer in learner._optimizer_lr_schedules for group in optimizer.param_groups]


def test_another_algorithm_takes_the_weights_alone(finished_run, tmp_path):
    of_ppo = (("    minibatch_size: 64\n", ""), ("    num_epochs: 1\n", ""))
    experiment = restored(tmp_path, finished_run.result.checkpoint, ("run: PPO", "run: IMPALA"), *of_ppo)
    config = build_config(experiment)
    check_restore(experiment, config)
    algorithm = config.build_algo()
    try:
        assert is_same(algorithm.learner_group.get_weights()["default_policy"], weights_in(experiment.restore))
        assert algorithm.iteration == 0
    finally:
        algorithm.stop()


def test_training_options_may_differ(finished_run, tmp_path):
    experiment = restored(tmp_path, finished_run.result.run_dir, ("max_seq_len: 8", "max_seq_len: 9, burn_in: 2"))
    check_restore(experiment, build_config(experiment))


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ([("d_model: 16", "d_model: 32")], ["model.d_model is 16 in the checkpoint, 32 here"]),
        (
            [("n_heads: 2, d_head: 4", "n_heads: 4, d_head: 2")],
            ["model.d_head is 4 in the checkpoint, 2 here", "model.n_heads is 2 in the checkpoint, 4 here"],
        ),
        (
            [("d_head: 4", "d_head: 4, encoder: mlp")],
            ["model.encoder.type is 'auto' in the checkpoint, 'mlp' here", "model.encoder.widths is None", ""],
        ),
        ([("name: agalite", "name: galite")], ["model.name is 'agalite' in the checkpoint, 'galite' here"]),
        (
            [
                ("rllib_recattn/TMaze-v0", "CartPole-v1"),
                ("    env_config: {corridor_length: 3, max_episode_steps: 12}\n", ""),
            ],
            ["observation_space is Box", "action_space is Discrete(4) in the checkpoint, Discrete(2) here"],
        ),
        (
            [("run: PPO", "run: APPO"), ("    minibatch_size: 64\n", ""), ("    num_epochs: 1\n", "")],
            ["run = APPO: the checkpoint is of PPO, whose networks differ"],
        ),
        (
            [("training_iteration: 4", "training_iteration: 2")],
            ["was saved in iteration 2, from which training counts on; stop.training_iteration = 2 should be more"],
        ),
        (
            [("training_iteration: 4", "num_env_steps_sampled_lifetime: 200")],
            ["was saved at num_env_steps_sampled_lifetime = 2"],
        ),
        (
            [("run: PPO", "run: PPO\n  api_stack: old"), ("train_batch_size_per_learner", "train_batch_size")],
            ["is of RLlib's new API stack, the experiment of the old one"],
        ),
    ],
)
def test_what_must_not_differ_is_named(finished_run, tmp_path, changes, problems):
    experiment = restored(tmp_path, finished_run.result.checkpoint, *changes)
    with pytest.raises(SettingsError) as error:
        check_restore(experiment, build_config(experiment))
    lines = str(error.value).splitlines()
    assert all(line.startswith(f"{tmp_path / 'x.yaml'}: small-tmaze.restore = ") for line in lines)
    assert len(lines) >= len([problem for problem in problems if problem])
    assert all(problem in str(error.value) for problem in problems)


def test_the_environments_of_a_search_are_told_apart(finished_run, tmp_path):
    experiment = restored(
        tmp_path,
        finished_run.result.checkpoint,
        ("env: rllib_recattn/TMaze-v0", "env: {grid_search: [rllib_recattn/TMaze-v0, CartPole-v1]}"),
        ("    env_config: {corridor_length: 3, max_episode_steps: 12}\n", ""),
    )
    same, other = build_variants(experiment)
    check_restore(experiment, same)
    with pytest.raises(SettingsError, match="observation_space is Box"):
        check_restore(experiment, other)


def test_a_checkpoint_that_is_gone_by_then_is_an_error(finished_run, tmp_path):
    source = shutil.copytree(finished_run.result.checkpoint, tmp_path / "source")
    config = build_config(restored(tmp_path, source))
    shutil.rmtree(source)
    with pytest.raises(SettingsError, match="there is no such directory; on a cluster"):
        config.build_algo()


def test_a_checkpoint_of_an_earlier_version_is_what_it_was():
    """It says nothing of layers and channels, which its encoder did not have."""
    from rllib_recattn.experiment.checkpoints.restore_checks import _as_written_now, _setting_differences
    from rllib_recattn.inputs.input_settings import encoder_settings

    def differences(stored, here):
        saved = _as_written_now({"recattn_inputs": {"encoder": stored}})
        ours = {"recattn_inputs": {"encoder": encoder_settings(here).model_dump()}}
        return list(_setting_differences("model", saved, ours))

    assert differences({"type": "auto"}, {"type": "auto", "widths": []}) == []
    assert differences({"type": "auto"}, "auto") == ["model.encoder.widths is [] in the checkpoint, None here"]
    cnn = {"type": "cnn", "widths": [32, 64, 64], "output_dim": 256, "activation": "relu"}
    assert differences(cnn, "cnn") == []
    assert differences({**cnn, "channels": "first"}, "cnn") == [
        "model.encoder.channels is 'first' in the checkpoint, 'auto' here"
    ]
