"""Experiments on RLlib's old API stack: read, checked, trained, evaluated."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.algorithm.resolved import resolved_yaml
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.experiment.evaluation.evaluate import evaluate_checkpoint
from rllib_recattn.experiment.evaluation.video import VideoRecorder
from rllib_recattn.experiment.records.metrics import read_history
from rllib_recattn.experiment.training.run import run_experiment
from rllib_recattn.migration.conversion.convert_file import convert_experiment
from rllib_recattn.models.registry import settings_of

OLD_FILES = sorted((Path(__file__).parents[1] / "migration" / "old_yaml").glob("*.yaml"))
SMALL = {"train_batch_size": 128, "rollout_fragment_length": 32}
TMAZE = """
old:
  run: PPO
  env: rllib_recattn/TMaze-v0
  stop: {training_iteration: 3}
  model: {name: gtrxl, max_seq_len: 8, d_model: 16, n_layers: 1, n_heads: 2, d_head: 4, memory_length: 4}
  api_stack: old
  config:
    env_config: {corridor_length: 3, max_episode_steps: 12}
    num_env_runners: 0
    num_envs_per_env_runner: 4
    train_batch_size: 128
    minibatch_size: 64
    num_epochs: 1
    metrics_num_episodes_for_smoothing: 5
    seed: 0
"""


NO_RUNNERS = {"enable_env_runner_and_connector_v2": False}
AT_THE_TOP = ("api_stack", "env", "num_samples", "pass_criteria", "stop")


def load(tmp_path, text):
    (tmp_path / "old.yaml").write_text(text)
    return load_experiment(tmp_path / "old.yaml")


def changed(text=TMAZE, *, drop=(), **changes):
    """The YAML with other values, below `config` or where else they belong."""
    content = yaml.safe_load(text)
    experiment = content["old"]
    for key in drop:
        del experiment[key]
    for key, value in changes.items():
        (experiment if key in AT_THE_TOP else experiment["config"])[key] = value
    return yaml.safe_dump(content)


@pytest.mark.parametrize("model", ["agalite", "gla", "hybrid"])
def test_a_config_states_all_settings_of_its_model(tmp_path, model):
    """A checkpoint holds nothing else, and another version may have other defaults."""
    text = TMAZE[: TMAZE.index("  model:")] + f"  model: {{name: {model}, max_seq_len: 8}}\n"
    text += TMAZE[TMAZE.index("  api_stack:") :]
    stated = build_config(load(tmp_path, text)).model["custom_model_config"]
    expected = settings_of(model)().model_dump()
    assert {key: stated[key] for key in expected} == expected


def test_there_are_old_files():
    assert len(OLD_FILES) >= 5


@pytest.mark.parametrize("path", OLD_FILES, ids=lambda path: path.stem)
def test_an_old_file_trains_as_it_is(ray_session, path, tmp_path):
    experiment = load_experiment(path)
    assert experiment.api_stack == "old"
    assert any("rllib convert" in note for note in experiment.notes)
    config = build_config(experiment)
    assert not config.enable_rl_module_and_learner
    # What `--dry-run` prints describes the same experiment.
    (tmp_path / "resolved.yaml").write_text(resolved_yaml(experiment, config))
    again = load_experiment(tmp_path / "resolved.yaml")
    assert not again.notes
    assert resolved_yaml(again, build_config(again)) == resolved_yaml(experiment, config)
    config.env_runners(num_env_runners=0, num_envs_per_env_runner=4, rollout_fragment_length=32)
    config.training(train_batch_size=128).reporting(min_time_s_per_iteration=0)
    if experiment.run == "PPO":
        config.training(minibatch_size=64, num_epochs=1)
    algorithm = config.build_algo()
    try:
        learned = {}
        for _ in range(200):
            learned = learned or algorithm.train()["info"]["learner"]
    finally:
        algorithm.stop()
    statistics = learned["default_policy"]["learner_stats"]
    assert np.isfinite(statistics["total_loss"])


def test_training_reports_success_and_evaluation_repeats(ray_session, tmp_path):
    experiment = load(tmp_path, TMAZE).model_copy(update={"storage_path": tmp_path / "results"})
    with redirect_stdout(io.StringIO()) as output:
        result = run_experiment(experiment, build_config(experiment))
    assert result.status == "finished"
    (heading, *lines) = output.getvalue().splitlines()[1:5]
    assert heading.split() == ["iteration", "env", "steps", "return", "success", "steps/s", "elapsed"]
    assert all(line.split()[4].replace(",", "").isdigit() for line in lines)  # steps/s
    history = read_history(result.run_dir)
    assert history["num_env_steps_sampled_lifetime"].tolist() == [128, 256, 384]
    assert history["env_runners/success_rate"].between(0, 1).iloc[-1]
    video = VideoRecorder(tmp_path / "episode.gif", episodes=1)
    first = evaluate_checkpoint(result.run_dir, episodes=4, video=video)
    again = evaluate_checkpoint(result.run_dir, episodes=4)
    assert first.episodes == again.episodes
    assert [episode.seed for episode in first.episodes] == [0, 1, 2, 3]
    assert first.success_rate is not None
    with Image.open(tmp_path / "episode.gif") as gif:
        assert gif.n_frames == first.episodes[0].length + 1
    sampled = evaluate_checkpoint(result.run_dir, episodes=4, explore=True)
    assert sampled.episodes != first.episodes
    assert sampled.episodes == evaluate_checkpoint(result.run_dir, episodes=4, explore=True).episodes


@pytest.mark.parametrize(
    ("text", "stack"),
    [
        (TMAZE, "old"),
        (changed(drop=["api_stack"]), "new"),
        (changed(drop=["api_stack", "model"]), "new"),
        (changed(drop=["api_stack", "model"], model={"use_lstm": True}), "old"),
        (changed(drop=["api_stack", "model"], observation_filter="MeanStdFilter"), "new"),
        (changed(drop=["api_stack"], enable_rl_module_and_learner=False), "old"),
        (changed(drop=["api_stack"], _enable_learner_api=False), "old"),
        (changed(drop=["model"], api_stack="new"), "new"),
        (changed(drop=["api_stack", "model"], _enable_learner_api=True, model={"use_lstm": True}), "new"),
        (changed(drop=["api_stack", "model"], _enable_rl_module_api=True, exploration_config={}), "new"),
        (changed(drop=["api_stack", "model"], _enable_new_api_stack=True, preprocessor_pref="rllib"), "new"),
        (changed(drop=["api_stack"], _enable_rl_module_api=True, _enable_learner_api=False), "new"),
        (changed(drop=["api_stack"], enable_rl_module_and_learner=True, **NO_RUNNERS), "new"),
        (changed(drop=["api_stack"], enable_rl_module_and_learner=False, **NO_RUNNERS), "old"),
        (changed(drop=["api_stack", "model"], exploration_config={}, remote_worker_envs=False), "new"),
        (changed(drop=["api_stack", "model"], exploration_config={"type": "Random"}), "old"),
        (changed(drop=["api_stack", "model"], enable_rl_module_and_learner=True, model={"use_lstm": True}), "new"),
        (changed(drop=["api_stack", "model"], preprocessor_pref=None, model=None), "new"),
    ],
)
def test_which_stack_a_file_is_for(tmp_path, text, stack):
    assert load(tmp_path, text).api_stack == stack


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed(api_stack="odl"), "api_stack = 'odl'"),
        (changed(api_stack="new", model={"use_lstm": True}), "is given twice"),
        (changed(drop=["model"], api_stack="new", model={"use_lsmt": True}), "did you mean 'use_lstm'"),
        (changed(drop=["model"], api_stack="new", model={"fcnet_hiddens": 3}), "fcnet_hiddens = 3: should be a list"),
        (changed(drop=["model"], api_stack="new", model={"custom_model": "mine"}), "a network of your own; .*RLModule"),
        (changed(drop=["model"], model={"use_lsmt": True}), "unknown setting 'use_lsmt': did you mean 'use_lstm'"),
        (changed(drop=["model"], model={"use_lstm": "yes"}), "use_lstm = 'yes': should be true or false"),
        (changed(drop=["model"], model={"lstm_cell_size": 1.5}), "lstm_cell_size = 1.5: should be a whole number"),
        (changed(drop=["model"], model={"lstm_use_prev_action_reward": True}), "should be lstm_use_prev_action and"),
        (changed(drop=["model"], model={"use_lstm": True, "lstm_use_prev_reward": True}), "{use_prev_reward: true}"),
        (
            changed(drop=["model"], model={"use_attention": True, "attention_use_n_prev_actions": 1}),
            "should be 0, or 2",
        ),
        (changed(drop=["model"], model={"custom_model": "recattn_agalit"}), "did you mean 'recattn_agalite'"),
        (changed(drop=["model"], model={"custom_model": "mine"}), "custom_model = 'mine': should be recattn_agalite"),
        (changed(drop=["model"], model={"custom_model": "numpy.Mine"}), "has no 'Mine'"),
        (
            changed(drop=["model"], model={"custom_model": "recattn_gru", "custom_model_config": {"d_modl": 3}}),
            "unknown setting 'd_modl': did you mean 'd_model'",
        ),
        (changed(model={"use_lstm": True}), "is given twice"),
        (changed(model_config={"fcnet_hiddens": [8]}), "no effect on RLlib's old API stack"),
        (changed(train_batch_size_per_learner=128), "write train_batch_size"),
        (changed(stop={"env_runners/num_episodes_lifetime": 3}), "unknown metric"),
        (TMAZE.replace("memory_length: 4", "memory_length: 4, burn_in: 2"), "burn_in: has no effect"),
        (changed(horizon=200), r"horizon = 200: there is no such setting any more: write env_config"),
        (changed(env="no.such.module.Env"), "the module 'no.such.module' cannot be imported"),
        (
            changed(env="numpy.array"),
            "'numpy.array': should be a class, or a function of your own, not one of numpy",
        ),
    ],
)
def test_mistakes(tmp_path, text, message):
    with pytest.raises(SettingsError, match=message):
        build_config(load(tmp_path, text))


def test_settings_that_ray_has_taken_away_are_left_out_where_nothing_is_lost(tmp_path):
    experiment = load(tmp_path, changed(horizon=None, simple_optimizer=True, _enable_rl_module_api=False))
    assert not {"horizon", "simple_optimizer", "_enable_rl_module_api"} & experiment.config.keys()
    assert sum("is not needed any more" in note for note in experiment.notes) == 2
    assert sum("has no counterpart any more; `api_stack` says" in note for note in experiment.notes) == 1


@pytest.mark.parametrize("stack", ["old", "new"])
def test_null_is_nothing(tmp_path, stack):
    nulls = dict.fromkeys(("callbacks", "exploration_config", "model", "preprocessor_pref"))
    experiment = load(tmp_path, changed(api_stack=stack, **nulls, evaluation_config=nulls))
    assert not nulls.keys() & experiment.config.keys()
    assert experiment.config["evaluation_config"] == {}


def test_files_of_ray_2_9_train_and_are_converted(tmp_path):
    flags = {"_enable_rl_module_api": True, "_enable_learner_api": True}
    criteria = {"episode_reward_mean": 150}
    text = changed(drop=["api_stack", "model"], **flags, pass_criteria=criteria, model={"use_lstm": True})
    experiment = load(tmp_path, text)
    assert (experiment.api_stack, experiment.model.name) == ("new", "lstm")
    assert build_config(experiment).enable_rl_module_and_learner
    assert any("'pass_criteria' said when a test of RLlib passed" in note for note in experiment.notes)
    new = load(tmp_path, convert_experiment(tmp_path / "old.yaml").text)
    assert (new.api_stack, new.model.name) == ("new", "lstm")
    assert build_config(new).enable_rl_module_and_learner
    assert new.model == experiment.model


def test_without_the_old_stack_an_old_file_is_refused(tmp_path, monkeypatch):
    def gone(where):
        raise SettingsError(f"{where}: Ray has no old API stack any more")

    monkeypatch.setattr("rllib_recattn.experiment.algorithm.old_stack.check_old_stack", gone)
    with pytest.raises(SettingsError, match=r"old\.yaml: old: Ray has no old API stack any more"):
        build_config(load(tmp_path, TMAZE))


def test_an_environment_by_its_class_works_on_both_stacks(ray_session, tmp_path):
    env = "ray.rllib.examples.envs.classes.stateless_cartpole.StatelessCartPole"
    for stack in ("old", "new"):
        text = changed(drop=["stop"], api_stack=stack, env=env, stop={"training_iteration": 1}, env_config={})
        if stack == "new":
            text = text.replace("train_batch_size:", "train_batch_size_per_learner:")
        algorithm = build_config(load(tmp_path, text)).build_algo()
        assert algorithm.train()["num_env_steps_sampled_lifetime"] >= 128
        algorithm.stop()
