"""Which paths mean a checkpoint."""

from __future__ import annotations

import pickle
import re
import shutil

import pytest

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.checkpoints.checkpoint import find_checkpoint, load_config


def test_checkpoints_trials_and_runs_mean_the_checkpoint(finished_run):
    checkpoint = finished_run.result.checkpoint
    link = finished_run.experiment.storage_path / finished_run.experiment.name
    for path in (checkpoint, checkpoint.parent, finished_run.result.run_dir, link):
        assert find_checkpoint(path) == checkpoint.resolve()


def test_what_is_none_is_refused_with_what_it_should_be(tmp_path):
    (tmp_path / "file").touch()
    for path, problem in (
        (tmp_path / "missing", "there is no such directory"),
        (tmp_path / "file", "this is a file"),
        (tmp_path, "there is no checkpoint in here"),
    ):
        with pytest.raises(SettingsError, match=problem) as error:
            find_checkpoint(path)
        assert str(path) in str(error.value)
        assert "should be a checkpoint's directory" in str(error.value)


def test_of_several_trials_one_has_to_be_named(tmp_path):
    for name in ("trial_00000", "trial_00001"):
        (tmp_path / name / "checkpoint_000000").mkdir(parents=True)
    with pytest.raises(SettingsError, match=r"holds 2 trials; should be the directory of one, such as .../trial_00000"):
        find_checkpoint(tmp_path)


@pytest.mark.parametrize("missing", ["class_and_ctor_args.pkl", "learner_group"])
def test_an_incomplete_checkpoint_is_refused(finished_run, tmp_path, missing):
    copy = shutil.copytree(finished_run.result.checkpoint, tmp_path / "copy")
    (copy / "checksums.json").unlink()  # with it, more can be told
    if (copy / missing).is_dir():
        shutil.rmtree(copy / missing)
    else:
        (copy / missing).unlink()
    with pytest.raises(SettingsError, match="incomplete"):
        find_checkpoint(copy)


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps({"other": 1}), b"cno_such_package\nAlgorithm\n."])
def test_a_file_that_cannot_be_read_is_refused(finished_run, tmp_path, content):
    copy = shutil.copytree(finished_run.result.checkpoint, tmp_path / "copy")
    (copy / "class_and_ctor_args.pkl").write_bytes(content)
    with pytest.raises(SettingsError, match="cannot be read"):
        load_config(copy)


def test_the_config_is_the_one_of_the_run(finished_run):
    config = load_config(finished_run.result.checkpoint)
    assert config.env_config == {"corridor_length": 3, "max_episode_steps": 12}
    config.environment(env_config={})  # would raise if the config were frozen


def test_checkpoints_stay_readable_whatever_the_modules_of_experiments_are_called(finished_run):
    files = finished_run.result.checkpoint.rglob("*.pkl")
    named = {name for path in files for name in re.findall(rb"rllib_recattn\.experiment\.[a-z_.]+", path.read_bytes())}
    assert named == set()
