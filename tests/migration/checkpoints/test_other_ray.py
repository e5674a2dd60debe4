"""A checkpoint of one version of Ray is read by another: in what `make test-ray` makes beside `.venv`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(sys.prefix)
OTHER = HERE.parent / ".venv" / "bin" / "python"  # with another version of Ray
ROOT = Path(__file__).parents[2]
RLLIB = "import sys; from rllib_recattn.cli.main import main; sys.argv[0] = 'rllib'; sys.exit(main())"
EXPERIMENT = """
cart:
  run: PPO
  env: CartPole-v1
  model: {name: gru, d_model: 8, max_seq_len: 8}
  config: {num_env_runners: 1, train_batch_size_per_learner: 64, minibatch_size: 64, num_epochs: 1}
  stop: {training_iteration: 2}
"""

pytestmark = pytest.mark.skipif(
    not (HERE.name.startswith(".venv-ray-") and OTHER.exists()), reason="is run by `make test-ray`"
)


def rllib(python, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [python, "-c", RLLIB, *map(str, arguments)], capture_output=True, text=True, env=environment, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("writer", [sys.executable, str(OTHER)], ids=["this", "other"])
def test_a_checkpoint_is_evaluated_and_goes_on_with_another_version(tmp_path, writer):
    reader = str(OTHER) if writer == sys.executable else sys.executable
    file = tmp_path / "x.yaml"
    file.write_text(EXPERIMENT)
    rllib(writer, "train", "file", file, "--storage-path", tmp_path / "written")
    checkpoint = tmp_path / "written" / "cart"
    assert "return" in rllib(reader, "evaluate", checkpoint, "--episodes", 3)
    options = ["--restore", checkpoint, "--stop", "training_iteration=3", "--storage-path", tmp_path / "read"]
    assert "training_iteration 3 ≥ 3" in rllib(reader, "train", "file", file, *options)
