"""The learning curve."""

from __future__ import annotations

import math

import pytest
from matplotlib.figure import Figure
from PIL import Image

from rllib_recattn.experiment.training.plot import plot_learning_curve
from tests.experiment.training.test_metrics import write_results


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved, to look at what is drawn in them."""
    saved = []
    save = Figure.savefig

    def savefig(self, *args, **kwargs):
        saved.append(self)
        return save(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return saved


def iteration(index, **env_runners):
    return {
        "training_iteration": index,
        "num_env_steps_sampled_lifetime": 100 * index,
        "env_runners": env_runners,
    }


def test_return_and_success_are_drawn_over_environment_steps(tmp_path, figures):
    write_results(
        tmp_path,
        iteration(1),
        iteration(2, episode_return_mean=-1.0, success_rate=0.25),
        iteration(3, episode_return_mean=math.nan, success_rate=math.nan),
        iteration(4, episode_return_mean=2.0, success_rate=1.0),
    )
    out = tmp_path / "curve.png"
    assert plot_learning_curve(tmp_path, out) == out
    with Image.open(out) as picture:
        assert picture.width > picture.height > 500
    returns, successes = figures[0].axes
    assert [returns.get_ylabel(), successes.get_ylabel()] == ["mean episode return", "success rate"]
    assert successes.get_xlabel() == "environment steps"
    assert returns.lines[0].get_xydata().tolist() == [[200, -1], [400, 2]]
    assert successes.lines[0].get_xydata().tolist() == [[200, 0.25], [400, 1]]


def test_environments_without_success_get_one_curve(tmp_path, figures):
    write_results(tmp_path, iteration(1, episode_return_mean=3.0))
    assert plot_learning_curve(tmp_path, tmp_path / "curve.svg")
    assert len(figures[0].axes) == 1
    assert (tmp_path / "curve.svg").read_text().startswith("<?xml")


def test_nothing_to_draw(tmp_path):
    write_results(tmp_path, iteration(1))
    assert plot_learning_curve(tmp_path, tmp_path / "curve.png") is None
    assert not (tmp_path / "curve.png").exists()
