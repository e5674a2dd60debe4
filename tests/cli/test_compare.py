import pytest
from click.testing import CliRunner

from rllib_recattn.cli.main import main
from tests.comparing.cases import write_experiment


def run(*arguments):
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--models"], "Option '--models' requires an argument"),
        ([], "Missing option '--models'"),
        (["--models", "gla", "glaa"], "Error: unknown model 'glaa': did you mean 'gla'"),
        (["--models", "{nme: gla}"], "Error: --models '{nme: gla}': the setting 'name' is missing"),
        (["--models", "gla", "--budget", "much"], "Error: budget = 'much': should be environment steps"),
        (["--models", "gla", "--lr-search", "2"], "Error: lr_search = 2: should be off, an odd number"),
        (["--models", "gla", "--seeds", "0"], "Invalid value for '--seeds': 0 is not in the range x>=1"),
        (["--models", "gla", "--output", "recall.yaml"], "should be a directory, but is a file"),
        (
            ["--models", "gla", "gru", "--budget", "600"],
            "budget = '600': should be at least 1,024 steps: an iteration has 512",
        ),
    ],
)
def test_what_is_wrong_ends_with_code_2_before_anything_starts(arguments, problem, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write_experiment(tmp_path, module="own_recall_of_cli")
    before = sorted(tmp_path.iterdir())
    done = run(path, *arguments)
    assert done.exit_code == 2, done.output
    assert problem in done.stderr
    assert [entry for entry in sorted(tmp_path.iterdir()) if entry.name != "__pycache__"] == before


def test_a_missing_file_is_named(tmp_path):
    done = run(tmp_path / "none.yaml", "--models", "gla")
    assert done.exit_code == 2
    assert "none.yaml: there is no such file" in done.stderr


def test_help_names_the_options():
    text = run("--help").output
    options = (
        "--models --seeds --budget --output --jobs --lr-search --episodes --parameters --no-early-stop --ray-address"
    )
    assert [option for option in options.split() if option not in text] == []
