"""The learning curve."""

from __future__ import annotations

import math

import pytest
from matplotlib.figure import Figure
from PIL import Image

from rllib_recattn.experiment.figures.plot import plot_groups, plot_learning_curve
from rllib_recattn.experiment.records.trials import read_trials
from tests.experiment.records.run_directories import write_trial
from tests.experiment.records.test_metrics import write_results


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


def test_seeds_share_a_mean_with_a_band_and_a_legend_tells_groups_apart(tmp_path, figures):
    for index, success in enumerate((0.2, 0.4, 0.9)):
        write_trial(tmp_path, index, [0.1, success])
    one, other, third = read_trials(tmp_path)
    plot_groups({"gru": [one, other], "lstm": [third]}, tmp_path / "curves.png", wanted=["env_runners/success_rate"])
    (axis,) = figures[0].axes
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == ["gru (2)", "lstm"]
    mean = axis.lines[2].get_xydata()
    assert mean[0].tolist() == [100, pytest.approx(0.1)]
    assert mean[-1].tolist() == [200, pytest.approx(0.3)]
    assert len(axis.collections) == 1, "one band: a single trial has none"
    assert len({line.get_color() for line in axis.lines}) == 2


def test_more_groups_than_colours_differ_in_their_lines(tmp_path, figures):
    write_trial(tmp_path, 0, [0.1, 0.5])
    plot_groups({str(index): read_trials(tmp_path) for index in range(20)}, tmp_path / "curves.svg")
    looks = [(line.get_color(), line.get_linestyle()) for line in figures[0].axes[0].lines]
    assert len(set(looks)) == len(looks) == 20


def test_curves_over_time(tmp_path, figures):
    write_trial(tmp_path, 0, [0.1, 0.5])
    plot_groups({"": read_trials(tmp_path)}, tmp_path / "curves.png", x="time")
    assert figures[0].axes[-1].lines[0].get_xdata().tolist() == [2, 4]
    assert figures[0].axes[-1].get_xlabel() == "seconds of training"
