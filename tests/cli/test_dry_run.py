import pytest
import ray
from click.testing import CliRunner

from rllib_recattn.cli.main import main
from rllib_recattn.experiment.definition.yaml_file import parse_yaml

CONTENT = """
maze:
  run: PPO
  env: rllib_recattn/TMaze-v0
  stop: {timesteps_total: 1000}
  storage_path: results
  model: {name: agalite, d_model: 16, n_layers: 1, n_heads: 2, d_head: 8, max_seq_len: 8}
  config: {lr: 1e-3, env_config: {corridor_length: 5}}
"""


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """A working directory that holds the experiment and nothing else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yaml").write_text(CONTENT)
    return tmp_path


def dry_run(*options):
    result = CliRunner().invoke(main, ["train", "file", "x.yaml", "--dry-run", *options])
    assert result.exit_code == 0, result.output
    return result


def resolved(*options):
    return parse_yaml(dry_run(*options).stdout, "stdout")["maze"]


def test_the_resolved_experiment_is_printed_and_nothing_starts(directory):
    ray_was_running = ray.is_initialized()
    result = dry_run()
    assert result.stdout.startswith(f"# Results go to {directory}/results/maze-<timestamp>\n")
    experiment = parse_yaml(result.stdout, "stdout")["maze"]
    assert experiment["stop"] == {"num_env_steps_sampled_lifetime": 1000}
    assert experiment["model"]["d_model"] == 16
    assert experiment["model"]["eta"] == 4
    assert experiment["config"]["lr"] == 0.001
    assert experiment["config"]["gym_env_vectorize_mode"] == "vector_entry_point"
    assert experiment["storage_path"] == str(directory / "results")
    assert ray.is_initialized() == ray_was_running
    assert [path.name for path in directory.iterdir()] == ["x.yaml"]


def test_notes_go_to_stderr(directory):
    note = "Note: x.yaml: maze.stop: 'timesteps_total' is called 'num_env_steps_sampled_lifetime' now\n"
    assert dry_run().stderr == note


def test_options_override_the_file(directory):
    experiment = resolved(
        *("--stop", "training_iteration=1e2", "--stop", '{"time_total_s": 60, "timesteps_total": 5}'),
        *("--storage-path", "elsewhere", "--checkpoint-freq", "3", "--no-checkpoint-at-end"),
    )
    assert experiment["stop"] == {
        "num_env_steps_sampled_lifetime": 5,
        "training_iteration": 100,
        "time_total_s": 60,
    }
    assert experiment["storage_path"] == str(directory / "elsewhere")
    assert experiment["checkpoint"] == {"frequency": 3, "at_end": False, "num_to_keep": None}


def unfinished_run(directory):
    """Make what marks a directory as that of a run that can be resumed."""
    run_dir = directory / "results" / "maze-2030-01-01_00-00-00"
    checkpoint = run_dir / "trial" / "checkpoint_000001"
    checkpoint.mkdir(parents=True)
    (checkpoint / "rllib_checkpoint.json").touch()
    (run_dir / "tuner.pkl").touch()
    return run_dir


@pytest.mark.parametrize("options", [["--resume"], ["--resume", "--ray-num-cpus", "1"], ["--resume=latest"]])
def test_resume_without_a_value_takes_the_newest_unfinished_run(directory, options):
    run_dir = unfinished_run(directory)
    assert dry_run(*options).stdout.startswith(f"# Continues {run_dir}\n")


def test_resume_takes_the_directory_of_a_run(directory):
    run_dir = unfinished_run(directory)
    assert dry_run("--resume", f"results/{run_dir.name}").stdout.startswith(f"# Continues {run_dir}\n")


def test_the_plan_of_a_sweep_stands_before_its_first_variant(directory):
    (directory / "x.yaml").write_text(CONTENT.replace("lr: 1e-3", "lr: {loguniform: [1e-4, 1e-2]}, seed: 1"))
    result = dry_run("--num-samples", "3")
    plan = parse_yaml(
        "".join(
            line.removeprefix("# ") + "\n"
            for line in result.stdout.splitlines()[1:]
            if line.startswith("#") and "variants" not in line
        ),
        "plan",
    )
    assert plan["trials"] == 3
    assert plan["space"] == {
        "config.lr": {"loguniform": {"lower": 0.0001, "upper": 0.01}},
        "config.seed": {"seeds": [1, 2, 3]},
    }
    assert plan["scheduler"] == {"fifo": {"time_attr": "training_iteration"}}
    assert parse_yaml(result.stdout, "stdout")["maze"]["config"]["lr"] == 0.0001


def test_a_sweep_without_a_checkpoint_can_be_resumed_too(directory):
    run_dir = directory / "results" / "maze-2030-01-01_00-00-00"
    run_dir.mkdir(parents=True)
    (run_dir / "tuner.pkl").touch()
    (run_dir / "experiment.json").write_text('{"space": {}, "tune": {"num_samples": 2}}')
    assert dry_run("--resume").stdout.startswith(f"# Continues {run_dir}\n")
