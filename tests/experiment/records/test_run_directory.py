"""Run directories: their names, the link to the newest, and the search for an unfinished one."""

from __future__ import annotations

import pytest

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.records.run_directory import (
    discard_run_directory,
    find_unfinished_run,
    link_newest_run,
    new_run_directory,
    newest_checkpoint,
    run_directories,
)
from rllib_recattn.experiment.records.run_lock import training_in


def make_run(storage_path, timestamp, *, checkpoint=True, finished=False):
    run_dir = storage_path / f"exp-{timestamp}"
    run_dir.mkdir(parents=True)
    (run_dir / "tuner.pkl").touch()
    if checkpoint:
        directory = run_dir / "trial_00000" / "checkpoint_000000"
        directory.mkdir(parents=True)
        (directory / "rllib_checkpoint.json").touch()
    if finished:
        (run_dir / "summary.json").touch()
    return run_dir


def test_runs_of_the_same_second_are_apart_and_in_order(tmp_path):
    runs = [new_run_directory(tmp_path / "deep" / "results", "exp") for _ in range(12)]
    assert run_directories(tmp_path / "deep" / "results", "exp") == runs[::-1]
    assert (tmp_path / "deep" / "results" / "exp").resolve() == runs[-1]


def test_experiments_whose_name_begins_alike_are_others(tmp_path):
    new_run_directory(tmp_path, "exp-lstm")
    (tmp_path / "exp-notes").mkdir()
    assert run_directories(tmp_path, "exp") == []


def test_whatever_else_has_the_name_is_left_alone(tmp_path):
    (tmp_path / "exp").mkdir()
    new_run_directory(tmp_path, "exp")
    assert (tmp_path / "exp").is_dir()
    assert not (tmp_path / "exp").is_symlink()


def test_a_file_in_place_of_the_storage_path_is_refused(tmp_path):
    (tmp_path / "results").touch()
    with pytest.raises(SettingsError, match=r"storage_path = .*results"):
        new_run_directory(tmp_path / "results", "exp")


def test_discarding_a_run_gives_the_link_back_to_the_one_before(tmp_path):
    first, second = new_run_directory(tmp_path, "exp"), new_run_directory(tmp_path, "exp")
    discard_run_directory(second, "exp")
    assert (tmp_path / "exp").resolve() == first
    discard_run_directory(first, "exp")
    assert list(tmp_path.iterdir()) == []


def test_the_link_replaces_one_that_leads_nowhere(tmp_path):
    (tmp_path / "exp").symlink_to("gone")
    run_dir = make_run(tmp_path, "2025-01-01_00-00-00")
    link_newest_run(tmp_path, "exp")
    assert (tmp_path / "exp").resolve() == run_dir


def test_the_newest_unfinished_run_with_a_checkpoint_is_found(tmp_path):
    make_run(tmp_path, "2025-01-01_00-00-00")
    wanted = make_run(tmp_path, "2025-01-02_00-00-00")
    make_run(tmp_path, "2025-01-03_00-00-00", checkpoint=False)
    make_run(tmp_path, "2025-01-04_00-00-00", finished=True)
    assert find_unfinished_run(tmp_path, "exp") == wanted


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (None, "there is no run of this name at all"),
        ({"finished": True}, "the newest, exp-2025-01-01_00-00-00, is finished"),
        ({"checkpoint": False}, "the newest, exp-2025-01-01_00-00-00, ended before it had saved a checkpoint"),
    ],
)
def test_what_was_looked_for_is_said_when_nothing_is_found(tmp_path, run, message):
    if run is not None:
        make_run(tmp_path, "2025-01-01_00-00-00", **run)
    with pytest.raises(SettingsError) as error:
        find_unfinished_run(tmp_path, "exp")
    assert f"no unfinished run with a checkpoint, {tmp_path}/exp-<timestamp>" in str(error.value)
    assert str(error.value).endswith(message)


def test_incomplete_checkpoints_do_not_count(tmp_path):
    run_dir = make_run(tmp_path, "2025-01-01_00-00-00")
    (run_dir / "trial_00000" / "checkpoint_000001").mkdir()
    assert newest_checkpoint(run_dir) == run_dir / "trial_00000" / "checkpoint_000000"
    assert newest_checkpoint(run_dir / "trial_00000") == newest_checkpoint(run_dir)


def test_a_run_that_still_trains_is_not_resumed_nor_is_one_before_it(tmp_path):
    make_run(tmp_path, "2026-01-01_00-00-00")
    newest = make_run(tmp_path, "2026-01-02_00-00-00", checkpoint=False)
    with training_in(newest), pytest.raises(SettingsError, match="2026-01-02_00-00-00 is still training"):
        find_unfinished_run(tmp_path, "exp")
