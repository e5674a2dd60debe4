import importlib
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from rllib_recattn import __version__
from rllib_recattn.cli.main import main

HEAVY = ("ray", "torch", "matplotlib", "pandas")


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["train", "--help"], ["train", "file", "--help"], ["probe", "--help"], ["--version"]],
)
def test_help_and_version_import_nothing_heavy(arguments):
    program = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('imported', [name for name in {HEAVY} if name in sys.modules]))\n"
        "from rllib_recattn.cli.main import main\n"
        f"main({arguments})"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0
    assert result.stderr == ""
    assert result.stdout.splitlines()[-1] == "imported []"
    assert len(result.stdout.splitlines()) > 1


def test_the_package_is_the_command_where_the_shell_does_not_find_it():
    command = [sys.executable, "-m", "rllib_recattn", "train", "file", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.startswith("Usage: python -m rllib_recattn train file [OPTIONS] FILE")


def test_help_names_the_commands_and_options():
    runner = CliRunner()
    help_of_all = runner.invoke(main, ["--help"], catch_exceptions=False).output
    assert all(command in help_of_all for command in ("train", "evaluate"))
    help_of_file = runner.invoke(main, ["train", "file", "-h"], catch_exceptions=False).output
    options = "--stop --storage-path --checkpoint-freq --checkpoint-at-end --resume --ray-num-cpus --ray-address"
    assert [option for option in [*options.split(), "--dry-run", "-v"] if option not in help_of_file] == []


def test_help_names_three_commands_to_begin_with_that_there_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    said = runner.invoke(main, ["--help"], catch_exceptions=False).output
    begin = re.findall(r"^  +rllib (\w+) ((?:\S+ )+) {2,}", said, re.MULTILINE)
    assert [command for command, _ in begin] == ["train", "evaluate", "inspect"]
    assert runner.invoke(main, ["train", "file", begin[0][1].split()[1], "--dry-run"]).exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_the_packages():
    assert __version__ in CliRunner().invoke(main, ["--version"]).output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["trian"], "No such command 'trian'"),
        (["train", "fil"], "No such command 'fil'"),
        (["train", "file"], "Missing argument 'FILE'"),
        (["train", "file", "x.yaml", "--stopp", "a=1"], "No such option '--stopp'"),
        (["train", "file", "x.yaml", "--ray-num-cpus", "0"], "0 is not in the range x>=1"),
        (["train", "file", "x.yaml", "--checkpoint-freq", "often"], "'often' is not a valid integer range"),
    ],
)
def test_wrong_usage_ends_with_code_2(arguments, problem):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert problem in result.stderr


def test_who_forgets_the_word_file_is_told(tmp_path):
    path = tmp_path / "x.yaml"
    path.touch()
    result = CliRunner().invoke(main, ["train", str(path)], prog_name="rllib")
    assert result.exit_code == 2
    assert f"did you mean `rllib train file {path}`?" in result.stderr


@pytest.mark.parametrize("command", ["plot", "inspect", "probe"])
def test_the_formats_of_pictures_are_those_that_the_help_names(command):
    suffixes = importlib.import_module(f"rllib_recattn.cli.{command}").SUFFIXES
    assert f"FILE.{'|'.join(suffix[1:] for suffix in suffixes)}" in CliRunner().invoke(main, [command, "--help"]).output
