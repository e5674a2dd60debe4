import subprocess
import sys

import pytest
from click.testing import CliRunner

from rllib_recattn.cli.main import main

CONTENT = """maze:
  run: PPO
  env: rllib_recattn/TMaze-v0
  storage_path: results
  stop: {training_iteration: 1}
  model: {name: agalite, d_model: 16}
  checkpoint: {frequency: 1}
  config: {num_env_runners: 0, env_config: {corridor_length: 5}}
"""

# What is written in place of what, and what the message says after the name of the file.
MISTAKES = {
    "unknown top-level key": (
        "  run: PPO",
        "  run: PPO\n  runn: PPO",
        "maze: unknown setting 'runn': did you mean 'run'?",
    ),
    "unknown stop key": (
        "training_iteration",
        "training_iterations",
        "maze.stop: unknown metric 'training_iterations'",
    ),
    "unknown model key": ("d_model", "d_modell", "maze.model: unknown setting 'd_modell': did you mean 'd_model'?"),
    "unknown checkpoint key": ("frequency", "frequenci", "maze.checkpoint: unknown setting 'frequenci': did you mean"),
    "unknown config key": ("num_env_runners", "num_env_runnerz", "maze.config: unknown setting 'num_env_runnerz'"),
    "unknown env_config key": (
        "corridor_length",
        "corridor_lenght",
        "maze.config.env_config: rllib_recattn/TMaze-v0 has no setting 'corridor_lenght': did you mean",
    ),
    "unknown model": (
        "agalite",
        "agalight",
        "maze.model: unknown model 'agalight': did you mean 'agalite' or 'galite'?",
    ),
    "unknown algorithm": ("run: PPO", "run: PP0", "maze.run: unknown algorithm 'PP0': did you mean 'PPO'?"),
    "unknown environment": (
        "TMaze-v0",
        "TMaz-v0",
        "maze.env: unknown environment 'rllib_recattn/TMaz-v0': did you mean",
    ),
    "missing key": ("  run: PPO\n", "", "maze: the setting 'run' is missing"),
    "text for a number in config": (
        "num_env_runners: 0",
        "num_env_runners: none",
        "maze.config: num_env_runners = 'none': should be a whole number",
    ),
    "text for a number in model": (
        "d_model: 16",
        "d_model: '16'",
        "maze.model: d_model = '16': input should be a valid",
    ),
    "text for a number in stop": ("iteration: 1", "iteration: one", "maze.stop: training_iteration = 'one': should be"),
    "text for a number in checkpoint": ("frequency: 1", "frequency: often", "maze.checkpoint: frequency = 'often'"),
    "text for a number in env_config": ("corridor_length: 5", "corridor_length: long", "corridor_length = 'long'"),
    "list for a string": ("run: PPO", "run: [PPO]", "maze: run = ['PPO']: input should be a valid string"),
    "list for a mapping": (
        "  config: {",
        "  config: []\n  max_failures: 0 # {",
        "maze: config = []: should be a mapping",
    ),
    "sweep": (
        "d_model: 16",
        "d_model: {grid_search: []}",
        "maze.model.d_model.grid_search = []: should be a list of the values to choose from",
    ),
    "duplicate key": (
        "  run: PPO",
        "  run: PPO\n  run: PPO",
        "line 3, column 3: duplicate key 'run', first used in line 2",
    ),
    "malformed YAML": ("{training_iteration: 1}", "{training_iteration: 1", "line 6, column 8: not valid YAML: "),
    "Python object": ("corridor_length: 5", "x: !!python/object/apply:os.getcwd []", "column 48: the tag "),
    "list instead of a mapping": ("maze:\n", "- maze:\n", "expected a mapping from the experiment's name"),
}


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(*arguments):
    """Run a command that must be refused; return its message, which is all that it prints."""
    result = CliRunner().invoke(main, ["train", "file", *arguments])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("Error: ").removesuffix("\n")


@pytest.mark.parametrize(("right", "wrong", "problem"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_in_the_file(directory, right, wrong, problem):
    assert right in CONTENT
    (directory / "x.yaml").write_text(CONTENT.replace(right, wrong, 1))
    message = refused("x.yaml")
    assert message.startswith("x.yaml")
    assert problem in message
    assert [path.name for path in directory.iterdir()] == ["x.yaml"]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("missing.yaml", "missing.yaml: there is no such file"),
        ("empty.yaml", "empty.yaml: empty; expected YAML"),
        (".", ".: a directory; expected a YAML file"),
        ("binary.yaml", "binary.yaml: not a text file in UTF-8"),
    ],
)
def test_paths_that_lead_to_no_experiment(directory, path, problem):
    (directory / "empty.yaml").touch()
    (directory / "binary.yaml").write_bytes(b"\x80\x04")
    assert refused(path).startswith(problem)
    assert sorted(entry.name for entry in directory.iterdir()) == ["binary.yaml", "empty.yaml"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--stop", "training_iteration"], "--stop 'training_iteration': should be METRIC=VALUE"),
        (["--stop", "training_iteration="], "--stop 'training_iteration=': should be METRIC=VALUE"),
        (["--stop", "training_iteration=many"], "--stop: training_iteration = 'many': should be a number"),
        (["--stop", "reward=1"], "--stop: unknown metric 'reward'"),
        (["--stop", "{1: 2}"], "--stop: unknown metric '1'"),
        (["--stop", '{"a": 1'], "--stop, line 1, column 8: not valid YAML"),
        (["--storage-path", "x.yaml"], "--storage-path = 'x.yaml': should be a directory, but "),
        (["--storage-path", "s3://bucket"], "--storage-path = 's3://bucket': should be a local or mounted directory"),
        (["--resume"], "--resume: found no unfinished run with a checkpoint"),
        (["--ship-package"], "--ship-package: has no effect without --ray-address"),
        (["--ray-address", "auto", "--ray-num-cpus", "2"], "--ray-num-cpus 2: cannot be chosen with --ray-address"),
        (["--resume", "nowhere"], "--resume nowhere: should be the directory of a run, such as "),
        (["--resume", "--stop", "training_iteration=2"], "--stop: cannot be changed with --resume"),
    ],
)
def test_mistakes_in_the_options(directory, options, problem):
    (directory / "x.yaml").write_text(CONTENT)
    assert refused("x.yaml", *options).startswith(problem)
    assert [path.name for path in directory.iterdir()] == ["x.yaml"]


def test_several_mistakes_are_reported_together(directory):
    (directory / "x.yaml").write_text(CONTENT.replace("d_model", "d_modell").replace("frequency", "frequenci"))
    result = CliRunner().invoke(main, ["train", "file", "x.yaml"])
    assert result.exit_code == 2
    assert [line.split(": unknown")[0] for line in result.stderr.splitlines()] == [
        "Error: x.yaml: maze.model",
        "x.yaml: maze.checkpoint",
    ]


@pytest.mark.parametrize("mistake", ["unknown environment", "Python object"])
def test_a_real_process_refuses_without_importing_rllib(directory, mistake):
    right, wrong, problem = MISTAKES[mistake]
    (directory / "x.yaml").write_text(CONTENT.replace(right, wrong, 1))
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('ray' in sys.modules))\n"
        "from rllib_recattn.cli.main import main\n"
        "main(['train', 'file', 'x.yaml'])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert result.stdout == "False\n"
    assert problem in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in directory.iterdir()] == ["x.yaml"]


@pytest.mark.parametrize("arguments", [["evaluate"], ["evaluate", ".", "--episodes"], ["models"], ["plot"], []])
def test_a_number_of_5000_digits_is_not_repeated_whole(arguments):
    done = CliRunner().invoke(main, [*arguments, "9" * 5000])
    assert done.exit_code == 2
    assert "(5000 digits)" in done.output
    assert len(done.output) < 700
