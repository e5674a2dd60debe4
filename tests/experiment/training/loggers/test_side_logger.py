"""A logger may fail; training does not."""

from __future__ import annotations

import io
import pickle

import pytest
from ray.tune import Callback
from rich.console import Console

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.training.loggers import side_logger
from rllib_recattn.experiment.training.loggers.side_logger import SideLogger

HOOKS = sorted(name for name in vars(Callback) if name.startswith("on_"))


class Broken(Callback):
    """Fails in every hook, a little more each time."""

    _SAVED_FILE_TEMPLATES = ("events.*",)
    calls = 0

    def setup(self, **info):
        if info.get("fails"):
            raise OSError("no such\n\n  door")

    def get_state(self):
        return {"calls": self.calls}

    def set_state(self, state):
        self.calls = state["calls"]


def _fail(self, **info):
    self.calls += 1
    raise RuntimeError(f"the server is away, {self.calls} " + "x" * 1000)


for _hook in HOOKS:
    setattr(Broken, _hook, _fail)


@pytest.fixture
def output(monkeypatch):
    console = Console(file=io.StringIO(), soft_wrap=True)
    monkeypatch.setattr(side_logger, "report_console", lambda: console)
    return console.file


def test_errors_are_said_once_in_a_line_and_the_logger_is_called_again(output):
    logger = SideLogger("mlflow", Broken())
    logger.setup()
    for hook in HOOKS:
        getattr(logger, hook)(trial="trial")
    assert logger.get_state() == {"calls": len(HOOKS)}, "every hook of Tune's gets through"
    (line,) = output.getvalue().splitlines()
    assert line.startswith("logging.mlflow failed, training goes on: RuntimeError: the server is away, 1 xx")
    assert line.endswith("… (said once; results are in result.json all the same)")
    assert len(line) < 500


def test_a_logger_that_cannot_begin_is_refused(output):
    with pytest.raises(SettingsError, match=r"^logging.mlflow cannot begin: OSError: no such door$"):
        SideLogger("mlflow", Broken()).setup(fails=True)


def test_whoever_ends_training_by_hand_is_heard(output, monkeypatch):
    def interrupted(self, **info):
        raise KeyboardInterrupt

    monkeypatch.setattr(Broken, "on_trial_result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        SideLogger("mlflow", Broken()).on_trial_result()


def test_it_is_the_logger_to_tune_in_all_else():
    logger = SideLogger("tensorboard", Broken())
    logger.set_state({"calls": 3})
    again = pickle.loads(pickle.dumps(logger))
    assert again.get_state() == {"calls": 3}
    assert again._SAVED_FILE_TEMPLATES == ("events.*",)
