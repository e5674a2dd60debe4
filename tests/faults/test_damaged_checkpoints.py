"""A checkpoint that is cut short, incomplete or changed is refused, and the one before it is named."""

from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner

from rllib_recattn.checkpoint_files import CHECKSUMS_FILE, INCOMPLETE_FILE, checksums, damage
from rllib_recattn.cli.main import main
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.checkpoints.checkpoint import check_resumable, find_checkpoint
from rllib_recattn.experiment.checkpoints.run_state import mend_run_state
from rllib_recattn.experiment.records.run_directory import newest_checkpoint
from rllib_recattn.migration.checkpoints.reading import read_checkpoint

WEIGHTS = "learner_group/learner/rl_module/default_policy/module_state.pkl"


def cut_short(checkpoint):
    content = (checkpoint / WEIGHTS).read_bytes()
    (checkpoint / WEIGHTS).write_bytes(content[:-100])
    return f"{WEIGHTS} has {len(content) - 100} bytes of {len(content)}"


def flip_a_bit(checkpoint):
    content = bytearray((checkpoint / WEIGHTS).read_bytes())
    content[len(content) // 2] ^= 1
    (checkpoint / WEIGHTS).write_bytes(content)
    return f"the content of {WEIGHTS} has changed"


def take_a_file_away(checkpoint):
    (checkpoint / WEIGHTS).unlink()
    return f"{WEIGHTS} is missing"


def break_the_checksums(checkpoint):
    (checkpoint / CHECKSUMS_FILE).write_bytes(b"\x00\xff")
    return f"{CHECKSUMS_FILE} is damaged"


def leave_it_incomplete(checkpoint):
    (checkpoint / INCOMPLETE_FILE).touch()
    return "its writing was broken off"


DAMAGES = [cut_short, flip_a_bit, take_a_file_away, break_the_checksums]


@pytest.fixture
def run_dir(finished_run, tmp_path):
    """A copy of a run that has two checkpoints and no summary, and can therefore be resumed."""
    copy = shutil.copytree(finished_run.result.run_dir, tmp_path / "results" / finished_run.result.run_dir.name)
    (copy / "summary.json").unlink()
    first = copy / "trial_00000" / "checkpoint_000000"
    shutil.copytree(first, first.with_name("checkpoint_000001"))
    return copy


def test_a_checkpoint_has_checksums_and_no_trace_of_its_writing(finished_run):
    checkpoint = finished_run.result.checkpoint
    assert json.loads((checkpoint / CHECKSUMS_FILE).read_text()) == checksums(checkpoint)
    assert WEIGHTS in checksums(checkpoint)
    assert not (checkpoint / INCOMPLETE_FILE).exists()
    assert damage(checkpoint) is None


@pytest.mark.parametrize("spoil", DAMAGES)
def test_what_reads_a_checkpoint_says_what_is_wrong_and_names_the_one_before(run_dir, spoil):
    newest = run_dir / "trial_00000" / "checkpoint_000001"
    problem = spoil(newest)
    advice = f"take the one before it, {str(newest.with_name('checkpoint_000000'))!r}"
    for read in (find_checkpoint, read_checkpoint, lambda path: check_resumable(run_dir)):
        with pytest.raises(SettingsError) as error:
            read(newest)
        assert f"checkpoint {str(newest)!r}: damaged: {problem}; {advice}" in str(error.value)
    with pytest.raises(SettingsError, match="damaged"):
        find_checkpoint(run_dir)
    assert find_checkpoint(newest.with_name("checkpoint_000000")).name == "checkpoint_000000"


def test_it_is_said_when_no_other_is_whole(run_dir):
    for name in ("checkpoint_000000", "checkpoint_000001"):
        cut_short(run_dir / "trial_00000" / name)
    with pytest.raises(SettingsError, match="there is none before it that is whole"):
        find_checkpoint(run_dir)


def test_one_whose_writing_was_broken_off_is_passed_over_and_refused_by_its_name(run_dir):
    newest = run_dir / "trial_00000" / "checkpoint_000001"
    problem = leave_it_incomplete(newest)
    assert newest_checkpoint(run_dir) == newest.with_name("checkpoint_000000")
    check_resumable(run_dir)
    with pytest.raises(SettingsError, match=problem):
        find_checkpoint(newest)


GARBAGE = b"garbage, not a pickle"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (WEIGHTS, b""),
        (WEIGHTS, b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\x7f."),
        (WEIGHTS, b"\x80\x04Q."),
        (WEIGHTS, GARBAGE),
        ("class_and_ctor_args.pkl", GARBAGE),
        ("env_runner/state.pkl", GARBAGE),
    ],
)
def test_without_checksums_garbage_is_one_clear_error_too(run_dir, file, content):
    checkpoint = run_dir / "trial_00000" / "checkpoint_000001"
    (checkpoint / CHECKSUMS_FILE).unlink()
    (checkpoint / file).write_bytes(content)
    result = CliRunner().invoke(main, ["evaluate", str(checkpoint), "--episodes", "1"])
    assert result.exit_code == 2, result.output
    assert f"checkpoint {str(checkpoint)!r}: cannot be read: " in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ["evaluate", "resume"])
def test_the_commands_end_with_2_and_the_message(run_dir, finished_run, command):
    cut_short(run_dir / "trial_00000" / "checkpoint_000001")
    arguments = ["evaluate", str(run_dir)]
    if command == "resume":
        file = str(finished_run.experiment.path)
        arguments = ["train", "file", file, "--resume", str(run_dir)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2, result.output
    assert "damaged" in result.stderr
    assert "checkpoint_000000" in result.stderr
    assert "Traceback" not in result.output


def newest_record(run_dir):
    return max(run_dir.glob("experiment_state-*.json"))


@pytest.mark.parametrize("variable", ["RAY_TMPDIR", "TMPDIR"])
def test_a_record_that_is_cut_short_is_taken_from_rays_session(run_dir, tmp_path, monkeypatch, variable):
    record = newest_record(run_dir)
    # Told apart from what the run itself has left in the session of these tests.
    whole = json.dumps({**json.loads(record.read_text()), "copied": True})
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    sessions = tmp_path / "ray" / "session_1" / "artifacts" / "now" / run_dir.name / "driver_artifacts"
    sessions.mkdir(parents=True)
    (sessions / record.name).write_text(whole)
    record.write_text(whole[:1000])
    mend_run_state(run_dir)
    mended, expected = json.loads(record.read_text()), json.loads(whole)
    # It lists the checkpoints that there are, which this test's fixture has copied.
    assert len(mended.pop("trial_data")) == len(expected.pop("trial_data")) == 1
    assert mended == expected


def test_without_another_record_a_new_run_is_advised(run_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    record = newest_record(run_dir)
    record.write_text(record.read_text()[:1000])
    with pytest.raises(SettingsError, match=r"is cut short, and there is no copy of it .*`restore: …`"):
        mend_run_state(run_dir)


def test_a_trial_that_failed_while_it_saved_is_not_stopped_when_resumed(run_dir):
    record = newest_record(run_dir)
    content = json.loads(record.read_text())
    trial = json.loads(content["trial_data"][0][0])
    for status, remaining in (("TERMINATED", {trial["trial_id"]: "STOP"}), ("ERROR", {})):
        content["trial_data"][0][0] = json.dumps({**trial, "status": status})
        content["runner_data"]["_cached_trial_decisions"] = {trial["trial_id"]: "STOP"}
        record.write_text(json.dumps(content))
        mend_run_state(run_dir)
        assert json.loads(record.read_text())["runner_data"]["_cached_trial_decisions"] == remaining
