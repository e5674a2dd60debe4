"""The disk fills up while a run saves its checkpoints."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rllib_recattn.checkpoint_files import INCOMPLETE_FILE, damage, iteration_of
from rllib_recattn.experiment.checkpoints.checkpoint import find_checkpoint
from rllib_recattn.experiment.training import checked_checkpoints
from rllib_recattn.experiment.training.checked_checkpoints import CheckedCheckpoints, DiskFullError
from tests.faults.experiments import resume, run


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 11 MiB, which can be made larger."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=11m", "none", str(disk)], capture_output=True, text=True
    )
    if mount.returncode:
        pytest.skip(f"no file system can be mounted here: {mount.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.slow
def test_the_run_ends_with_the_free_space_and_goes_on_when_there_is_some(ray_session, small_disk, capsys):
    config = {"num_env_runners": 0}
    result = run(small_disk, config=config, stop={"training_iteration": 30})
    output = capsys.readouterr().out
    assert result.exit_code == 1, output
    assert "No space left for a checkpoint: " in output
    assert f" MiB free in {result.run_dir / 'trial_00000'}" in output
    assert "make room, or keep fewer (checkpoint: {num_to_keep: 2}), and resume" in output
    assert result.checkpoint is not None
    assert damage(result.checkpoint) is None
    assert find_checkpoint(result.run_dir) == result.checkpoint.resolve()
    assert all(damage(path) is None for path in result.run_dir.glob("*/checkpoint_*"))

    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    resumed = resume(small_disk, result.run_dir)
    assert resumed.status == "finished", capsys.readouterr().out
    assert resumed.metrics["training_iteration"] == 30


class _Storage:
    """As much of Tune's storage as a trainable needs to save."""

    def __init__(self, directory: Path):
        self._directory = directory
        self.current_checkpoint_index = 4

    @property
    def checkpoint_fs_path(self) -> str:
        return str(self._directory / f"checkpoint_{self.current_checkpoint_index:06d}")


class _Trainable:
    """Saves as Tune's trainables do, to a disk that is full."""

    iteration = 7

    def __init__(self, directory: Path, error: Exception | None):
        self._storage = _Storage(directory)
        self._directory = directory
        self._error = error

    def save(self, checkpoint_dir=None):
        source = self._directory / "temporary"
        source.mkdir()
        self.save_checkpoint(str(source))
        return self._report_class_trainable_checkpoint(str(source), None)

    def save_checkpoint(self, checkpoint_dir):
        Path(checkpoint_dir, "weights").write_bytes(b"0" * 1000)

    def _report_class_trainable_checkpoint(self, checkpoint_dir, returned):
        self._storage.current_checkpoint_index += 1
        target = Path(self._storage.checkpoint_fs_path)
        assert (target / INCOMPLETE_FILE).exists(), "nothing says that it is being written"
        (target / "weights").write_bytes(b"0" * 500)
        if self._error is not None:
            raise self._error
        shutil.copytree(checkpoint_dir, target, dirs_exist_ok=True)
        return "saved"


class _Trial(CheckedCheckpoints, _Trainable):
    pass


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_all_the_same_leaves_nothing_half_written(tmp_path, number):
    with pytest.raises(DiskFullError, match="No space left for a checkpoint"):
        _Trial(tmp_path, OSError(number, os.strerror(number))).save()
    assert list(tmp_path.iterdir()) == []


def test_other_errors_are_raised_as_they_are_and_leave_nothing_either(tmp_path):
    with pytest.raises(RuntimeError, match="the network is down"):
        _Trial(tmp_path, RuntimeError("the network is down")).save()
    assert list(tmp_path.iterdir()) == []


def test_what_is_saved_is_marked_as_whole(tmp_path):
    assert _Trial(tmp_path, None).save() == "saved"
    (checkpoint,) = tmp_path.iterdir()
    assert checkpoint.name == "checkpoint_000005"
    assert sorted(path.name for path in checkpoint.iterdir()) == ["checksums.json", "iteration", "weights"]
    assert iteration_of(checkpoint) == 7
    assert damage(checkpoint) is None


def test_room_is_left_for_the_other_files_of_a_run(tmp_path, monkeypatch):
    monkeypatch.setattr(checked_checkpoints, "_RESERVE", 2**60)
    with pytest.raises(DiskFullError):
        _Trial(tmp_path, None).save()
    assert list(tmp_path.iterdir()) == []
