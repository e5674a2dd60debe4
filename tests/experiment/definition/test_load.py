from pathlib import Path

import pytest

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.load import Overrides, load_experiment

TUNED_EXAMPLES = sorted((Path(__file__).parents[3] / "tuned_examples").glob("*.yaml"))

MINIMAL = "run: PPO\nenv: rllib_recattn/TMaze-v0\nstop: {training_iteration: 2}\n"


def load(tmp_path, content, overrides=None, name="maze"):
    """Load an experiment whose block is `content`."""
    path = tmp_path / "x.yaml"
    path.write_text(f"{name}:\n" + "".join(f"  {line}\n" for line in content.splitlines()))
    return load_experiment(path, overrides)


def problems_of(tmp_path, content, overrides=None):
    """Return what is wrong, line by line, without the file's name."""
    with pytest.raises(SettingsError) as error:
        load(tmp_path, content, overrides)
    lines = str(error.value).splitlines()
    prefix = f"{tmp_path / 'x.yaml'}: "
    return [line.removeprefix(prefix) for line in lines]


@pytest.mark.parametrize("path", TUNED_EXAMPLES, ids=lambda path: path.stem)
def test_tuned_examples_load(path):
    experiment = load_experiment(path)
    assert experiment.name == path.stem
    assert experiment.notes == ()


def test_there_are_tuned_examples():
    assert TUNED_EXAMPLES


def test_defaults(tmp_path):
    experiment = load(tmp_path, MINIMAL)
    assert experiment.name == "maze"
    assert experiment.where == f"{tmp_path / 'x.yaml'}: maze"
    assert experiment.stop == {"training_iteration": 2}
    assert experiment.config == {}
    assert experiment.model is None
    assert experiment.checkpoint.model_dump() == {"frequency": 0, "at_end": True, "num_to_keep": None}
    assert experiment.storage_path == Path("~/ray_results").expanduser()
    assert experiment.max_failures == 0


def test_all_blocks_are_read(tmp_path):
    experiment = load(
        tmp_path,
        MINIMAL + "model: {name: agalite, max_seq_len: 24, d_model: 64, rllib_fixes: {float32_state: false}}\n"
        "config: {lr: 3e-4, env_config: {corridor_length: 5}}\n"
        "checkpoint: {frequency: 5, at_end: false, num_to_keep: 2}\n"
        f"storage_path: {tmp_path}/results\nmax_failures: 3\n",
    )
    assert experiment.model.model_dump(exclude_unset=True) == {
        "name": "agalite",
        "max_seq_len": 24,
        "rllib_fixes": {"float32_state": False},
        "settings": {"d_model": 64},
    }
    assert experiment.model.vf_share_layers
    assert experiment.model.rllib_fixes.vtrace_bootstrap
    assert experiment.config == {"lr": 0.0003, "env_config": {"corridor_length": 5}}
    assert experiment.checkpoint.model_dump() == {"frequency": 5, "at_end": False, "num_to_keep": 2}
    assert experiment.storage_path == tmp_path / "results"
    assert experiment.max_failures == 3
    assert not (tmp_path / "results").exists()


def test_keys_without_a_value_count_as_absent(tmp_path):
    experiment = load(tmp_path, MINIMAL + "config:\nmodel:\nstorage_path:\n")
    assert (experiment.config, experiment.model) == ({}, None)


def test_relative_storage_paths_begin_at_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load(tmp_path, MINIMAL + "storage_path: results").storage_path == tmp_path / "results"


def test_overrides_win(tmp_path):
    overrides = Overrides(
        stop={"training_iteration": 7, "timesteps_total": 100},
        storage_path=str(tmp_path / "elsewhere"),
        checkpoint_frequency=3,
        checkpoint_at_end=False,
    )
    experiment = load(tmp_path, MINIMAL + "checkpoint: {frequency: 1, num_to_keep: 2}", overrides)
    assert experiment.stop == {"training_iteration": 7, "num_env_steps_sampled_lifetime": 100}
    assert experiment.storage_path == tmp_path / "elsewhere"
    assert experiment.checkpoint.model_dump() == {"frequency": 3, "at_end": False, "num_to_keep": 2}


def test_overrides_are_validated_like_the_file(tmp_path):
    assert problems_of(tmp_path, MINIMAL, Overrides(stop={"training_iterations": 1})) == [
        "--stop: unknown metric 'training_iterations': did you mean 'training_iteration'?"
    ]


def test_old_names_are_translated_with_notes(tmp_path):
    experiment = load(
        tmp_path,
        "run: PPO\nenv: rllib_recattn/TMaze-v0\nstop: {episode_reward_mean: 3}\n"
        f"local_dir: {tmp_path}\ncheckpoint_freq: 5\ncheckpoint_at_end: false\nkeep_checkpoints_num: 2\n"
        "config: {num_workers: 2, num_sgd_iter: 3, lambda: 0.9, evaluation_config: {num_rollout_workers: 1}}\n",
    )
    assert experiment.stop == {"env_runners/episode_return_mean": 3}
    assert experiment.storage_path == tmp_path
    assert experiment.checkpoint.model_dump() == {"frequency": 5, "at_end": False, "num_to_keep": 2}
    assert experiment.config == {
        "num_env_runners": 2,
        "num_epochs": 3,
        "lambda_": 0.9,
        "evaluation_config": {"num_env_runners": 1},
    }
    old = "local_dir checkpoint_freq checkpoint_at_end keep_checkpoints_num num_workers num_sgd_iter lambda"
    for name in [*old.split(), "num_rollout_workers", "episode_reward_mean"]:
        assert any(repr(name) in note for note in experiment.notes), name


def test_checkpoint_config_of_ray_2_is_read(tmp_path):
    experiment = load(tmp_path, MINIMAL + "checkpoint_config: {checkpoint_frequency: 5, num_to_keep: 2}")
    assert (experiment.checkpoint.frequency, experiment.checkpoint.num_to_keep) == (5, 2)


def test_all_problems_are_reported_at_once(tmp_path, monkeypatch):
    # Each line names the file, whose path may be long.
    monkeypatch.setattr("rllib_recattn.errors._LONGEST_MESSAGE", 10_000)
    problems = problems_of(
        tmp_path,
        "run: ppo\nenv: rllib_recattn/TMase-v0\nenvs: 3\nmax_failures: many\n"
        "stop: {success_rate: 0.95, time_total_s: soon}\n"
        "model: {name: agalite, n_head: 4, d_model: wide, max_seq_len: 0}\n"
        "config: {env: x, num_workers: 0, num_env_runners: 3}\n"
        "checkpoint: {frequenzy: 3}\nstorage_path: s3://bucket/results\n",
    )
    assert problems == [
        "maze: max_failures = 'many': input should be a valid integer",
        "maze: unknown setting 'envs': did you mean 'env'?",
        "maze.model: max_seq_len = 0: input should be greater than 0",
        "maze.model: d_model = 'wide': input should be a valid integer",
        "maze.model: unknown setting 'n_head': did you mean 'n_heads' or 'd_head'?",
        "maze.checkpoint: unknown setting 'frequenzy': did you mean 'frequency'?",
        "maze.config: 'num_workers' and 'num_env_runners' mean the same setting: keep 'num_env_runners'",
        "maze.config.env: belongs one level up, beside 'config'",
        "maze.stop: unknown metric 'success_rate': did you mean 'env_runners/success_rate'?",
        "maze.stop: time_total_s = 'soon': should be a number",
        "maze.run: unknown algorithm 'ppo': did you mean 'PPO'?",
        "maze.env: unknown environment 'rllib_recattn/TMase-v0': did you mean 'rllib_recattn/TMaze-v0'?",
        "maze.storage_path = 's3://bucket/results': should be a local or mounted directory; no URIs yet",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- run: PPO", "expected a mapping from the experiment's name to its settings, found a list"),
        ("PPO", "found a string"),
        ("{}", "expected one experiment, found 0: none"),
        ("a: {run: PPO}\nb: {run: PPO}", "expected one experiment, found 2: a, b"),
        (MINIMAL, "the experiment has no name"),
        ("a:", "a: expected a mapping with 'run', 'env' and so on, found nothing"),
        ("a: [1]", "found a list"),
        ("../a: {}", "the experiment's name, '../a'"),
        (f"{'ä' * 101}: {{}}", "is too long to name a directory: 202 bytes, should be at most 200"),
        ("5: {}", "the experiment's name, 5,"),
        ("a: {}", "a: the setting 'run' is missing"),
    ],
)
def test_files_that_hold_no_experiment(tmp_path, text, problem):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as error:
        load_experiment(path)
    assert str(error.value).startswith(f"{path}: ")
    assert problem in str(error.value)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("config: [1]", "maze: config = [1]: should be a mapping"),
        ("config: {0: 1}", "maze.config: the key 0 should be a string"),
        ("config: {null: 1}", "maze.config: the key None should be a string"),
        ("config: {env_config: {0: 1}}", "maze.config.env_config: the key 0 should be a string"),
        ("config: {env_config: 3}", "maze.config: env_config = 3: should be a mapping"),
        ("config: {env_config: {corridor: 3}}", "has no setting 'corridor': did you mean 'corridor_length'?"),
        ("config: {env_config: {corridor_length: 1}}", "corridor_length = 1: input should be greater than or equal"),
        (
            "config: {evaluation_config: {env_config: {corridor: 3}}}",
            "maze.config.evaluation_config.env_config: rllib_recattn/TMaze-v0 has no setting 'corridor'",
        ),
        ("model: {max_seq_len: 3}", "maze.model: the setting 'name' is missing; valid are: "),
        ("model: {name: agalit}", "maze.model: unknown model 'agalit': did you mean 'agalite' or 'galite'?"),
        ("model: {name: [a]}", "maze.model: unknown model ['a']"),
        ("model: agalite", "maze: model = 'agalite': should be a mapping, e.g. {name: agalite}"),
        ("checkpoint: {frequency: -1}", "maze.checkpoint: frequency = -1: input should be greater"),
        ("checkpoint: {at_end: yes}", "maze.checkpoint: at_end = 'yes': input should be a valid boolean"),
        ("checkpoint_freq: 3\ncheckpoint: {frequency: 4}", "'checkpoint_freq' and 'frequency' mean the same"),
        ("checkpoint_at_end: true\ncheckpoint: {checkpoint_at_end: false}", "'checkpoint_at_end' is given twice"),
        ("local_dir: a\nstorage_path: b", "'local_dir' and 'storage_path' mean the same setting"),
        ("storage_path: [a]", "maze: storage_path = ['a']: input should be a valid string"),
        ("storage_path: /dev/null/a", "should be a directory, but /dev/null is a file"),
        ("num_samples: 0", "maze.tune: num_samples = 0: input should be greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_named_with_its_key_path(tmp_path, line, problem):
    (first, *others) = problems_of(tmp_path, MINIMAL + line)
    assert problem in first
    assert others == []


def test_a_stop_criterion_is_required(tmp_path):
    assert problems_of(tmp_path, "run: PPO\nenv: CartPole-v1\n") == [
        "maze.stop is missing: say when training ends, e.g. stop: {training_iteration: 100}"
    ]
    assert load(tmp_path, "run: PPO\nenv: CartPole-v1\n", Overrides(stop={"time_total_s": 1})).stop


@pytest.mark.parametrize("stop", ["[training_iteration]", "training_iteration"])
def test_stop_criteria_are_a_mapping(tmp_path, stop):
    (problem,) = problems_of(tmp_path, f"run: PPO\nenv: CartPole-v1\nstop: {stop}\n")
    assert problem.endswith(": should be a mapping, e.g. {training_iteration: 100}")


def test_evaluation_metrics_may_end_an_experiment_that_evaluates(tmp_path):
    content = "run: PPO\nenv: CartPole-v1\nstop: {evaluation/episode_reward_mean: 9}\n"
    assert load(tmp_path, content + "config: {evaluation_interval: 5}").stop == {
        "evaluation/env_runners/episode_return_mean": 9
    }
    assert "evaluation_interval" in problems_of(tmp_path, content)[0]
