"""What is typed after ``--stop``: any text is taken, or refused with one clear error and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

import rllib_recattn.experiment.algorithm.build  # noqa: F401 (what it imports is no doing of the command)
from rllib_recattn.cli.main import main
from rllib_recattn.experiment.definition.yaml_file import dump_yaml
from tests.fuzz.mutations import JUNK_TEXTS, SNIPPETS, scalars, values
from tests.fuzz.outcome import LONGEST_MESSAGE
from tests.fuzz.profiles import FEW
from tests.fuzz.started import nothing_started
from tests.fuzz.test_experiments import PLAIN

_METRICS = ("training_iteration", "env_runners/success_rate", "timesteps_total", "training_iterations", "", "=", "{")


def _inline(value: object) -> str:
    return " ".join(dump_yaml(value).split())


stop_texts = st.one_of(
    st.sampled_from([*JUNK_TEXTS, *SNIPPETS]),
    st.text(max_size=20),
    st.builds("{}={}".format, st.sampled_from(_METRICS), st.one_of(scalars, st.sampled_from(SNIPPETS))),
    st.builds(
        "{{{}: {}}}".format, st.sampled_from(_METRICS), st.one_of(values.map(_inline), st.sampled_from(SNIPPETS))
    ),
    st.text(max_size=10).map(lambda text: "{" + text),
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("command_line") / "plain.yaml"
    path.write_text(PLAIN)
    return path


@given(stop_texts)
@example("{training_iteration}")
@example("training_iteration=!!python/object/apply:os.system ['exit 1']")
@example("training_iteration=" + "[" * 3000)
@example("training_iteration=" + "9" * 5000)
@FEW
def test_stop_is_taken_or_refused(file: Path, text: str) -> None:
    with nothing_started():
        result = CliRunner().invoke(main, ["train", "file", str(file), "--dry-run", "--stop", text])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in (0, 2)
    if result.exit_code == 2:
        assert result.stderr.startswith("Error: ")
        assert "--stop" in result.stderr
        assert len(result.stderr) < LONGEST_MESSAGE + 100
    assert list(file.parent.iterdir()) == [file]
