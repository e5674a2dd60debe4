"""``rllib example``."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from rllib_recattn.cli import example, tuned_examples
from rllib_recattn.cli.main import main

TUNED_EXAMPLES = Path(__file__).parents[2] / "tuned_examples"
NAME = "tmaze-agalite-ppo"


def run(*arguments):
    return CliRunner().invoke(main, ["example", *arguments])


def test_all_are_listed_with_what_they_say_of_themselves():
    lines = run("list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == sorted(path.stem for path in TUNED_EXAMPLES.glob("*.yaml"))
    assert all(len(line.split(maxsplit=1)) == 2 for line in lines)
    assert not any("yaml-language-server" in line for line in lines)
    (line,) = run("list", "--filter", "tmaze-60-agalite").stdout.splitlines()
    assert line == "tmaze-60-agalite-ppo  AGaLiTe remembers one bit along a corridor of 60 cells."
    assert all(line.endswith((".", "?")) for line in lines)  # sentences, however many lines they take in the file


def test_one_is_printed_or_written(tmp_path):
    text = run("get", NAME).stdout
    hint, rest = text.split("\n", 1)
    assert rest == (TUNED_EXAMPLES / f"{NAME}.yaml").read_text(encoding="utf-8").split("\n", 1)[1]
    schema = TUNED_EXAMPLES.parent / "schema" / "experiment.schema.json"
    assert hint == f"# yaml-language-server: $schema={schema.as_uri()}"
    out = tmp_path / "mine.yaml"
    assert run("get", f"{NAME}.yaml", "--output", str(out)).exit_code == 0
    assert out.read_text(encoding="utf-8") == text
    again = run("get", NAME, "--output", str(out))
    assert again.exit_code == 2
    assert "there is such a file already" in again.stderr


def test_one_is_trained_with_the_options_of_train_file(tmp_path):
    result = run("run", NAME, "--dry-run", "--storage-path", str(tmp_path), "--stop", "training_iteration=1", "-v")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"# Results go to {tmp_path}/{NAME}-<timestamp>\n{NAME}:\n")
    assert "training_iteration: 1" in result.stdout


def test_names_that_there_are_not():
    result = run("get", "tmaze-agalite-pp0")
    assert result.exit_code == 2
    assert f"did you mean '{NAME}'" in result.stderr


@pytest.mark.parametrize("option", ["--no-such-option"])
def test_wrong_options_of_train_file(option):
    result = run("run", NAME, option)
    assert result.exit_code == 2
    assert option in result.stderr


def test_without_a_checkout_the_installed_ones_are_found(tmp_path, monkeypatch):
    installed = tmp_path / "share" / "rllib_recattn" / "tuned_examples" / "mine.yaml"
    installed.parent.mkdir(parents=True)
    installed.write_text("# Mine.\n")
    module = tmp_path / "site-packages" / "rllib_recattn" / "cli" / "example.py"
    monkeypatch.setattr(tuned_examples, "__file__", str(module))
    metadata = tmp_path / "site-packages" / "rllib_recattn-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: rllib-recattn\nVersion: 1\n")
    (metadata / "RECORD").write_text("../share/rllib_recattn/tuned_examples/mine.yaml,,\n")
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    assert tuned_examples.example_files() == {"mine": installed.resolve()}


@pytest.mark.parametrize("written", [NAME, f"{NAME}.yaml", f"tuned_examples/{NAME}.yaml"])
def test_train_file_and_validate_take_names(written, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["train", "file", written, "--dry-run"])
    assert result.exit_code == 0, result.output
    assert f"\n{NAME}:\n" in result.stdout
    assert f"Note: {NAME} is a tuned example, {TUNED_EXAMPLES / NAME}.yaml" in result.stderr
    result = CliRunner().invoke(main, ["validate", "--quick", written])
    assert result.stdout == f"{TUNED_EXAMPLES / NAME}.yaml: fine\n"


def test_a_file_of_the_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(f"{NAME}.yaml").write_text("mine: {run: PPO, env: CartPole-v1, stop: {training_iteration: 1}}")
    assert "\nmine:\n" in CliRunner().invoke(main, ["train", "file", f"{NAME}.yaml", "--dry-run"]).stdout


def test_names_of_neither_a_file_nor_an_example(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["train", "file", "tmaze-agalite-pp0"])
    assert result.exit_code == 2
    assert f"there is no such file, and no tuned example of this name: did you mean '{NAME}'" in result.stderr
    result = CliRunner().invoke(main, ["train", NAME])
    assert f"did you mean `main train file {NAME}`?" in result.stderr


def test_what_help_says_to_begin_with_is_there():
    begin = CliRunner().invoke(main, ["--help"]).stdout.partition("Begin with")[2].partition("\n\n")[0]
    (named,) = (line.split()[3] for line in begin.splitlines() if "rllib train file" in line)
    assert named in tuned_examples.example_files()


def test_on_a_screen_the_list_is_broken_into_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert example._on_screen(
        "a-name  One two three four five six seven eight nine ten, eleven twelve thirteen.", 8
    ) == ("a-name  One two three four five six seven eight nine ten, eleven twelve thirteen.")
    monkeypatch.setenv("COLUMNS", "40")
    assert example._on_screen("a-name  One two three four five six seven eight nine", 8) == (
        "a-name  One two three four five six\n        seven eight nine"
    )
