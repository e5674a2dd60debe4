"""A line when training waits for CPUs."""

from __future__ import annotations

import pytest
import ray
from ray.tune.experiment import Trial
from ray.util import placement_group, remove_placement_group

from rllib_recattn.experiment.training.progress import waiting_report
from rllib_recattn.experiment.training.progress.waiting_report import WaitingReport


class Pending:
    """As much of a trial as the report looks at."""

    status = Trial.PENDING

    def __init__(self, bundles):
        self.placement_group_factory = type("Factory", (), {"bundles": bundles})


@pytest.fixture
def report(ray_session, monkeypatch):
    monkeypatch.setattr(waiting_report, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(waiting_report, "_SECONDS_BETWEEN_LOOKS", 0.0)
    report = WaitingReport()
    report.setup()
    return report


@pytest.fixture
def request_of(ray_session):
    """Asks Ray for bundles, as Tune does for a trial."""
    groups = []

    def ask(bundles):
        groups.append(placement_group(bundles))
        return Pending(bundles)

    yield ask
    for group in groups:
        remove_placement_group(group)


def test_what_is_waited_for_is_said_once(report, request_of, capsys):
    there = ray.cluster_resources()["CPU"]
    trial = request_of([{"CPU": 1.0}, {"CPU": there + 6}])
    for _ in range(3):
        report.on_step_end(0, [trial])
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"Waiting for {there + 7:g} CPUs: Ray has {there:g} CPU")
    trial.status = Trial.RUNNING
    report.on_step_end(0, [trial])
    trial.status = Trial.PENDING
    report.on_step_end(0, [trial])
    assert capsys.readouterr().out.startswith("Waiting for "), "it waits again"


def test_a_trial_that_starts_does_not_wait(report, request_of, capsys):
    request_of([{"CPU": 1000.0}])  # somebody else's
    report.on_step_end(0, [Pending([{"CPU": 1.0}])])
    trial = request_of([{"CPU": 1000.0}, {"CPU": 1.0}])
    running = Pending([{"CPU": 1.0}])
    running.status = Trial.RUNNING
    report.on_step_end(0, [trial, running])
    assert capsys.readouterr().out == ""


def test_one_waits_a_while_before_it_is_said(report, request_of, monkeypatch, capsys):
    monkeypatch.setattr(waiting_report, "_PATIENCE_S", 1000.0)
    report.setup()
    report.on_step_end(0, [request_of([{"CPU": 1000.0}])])
    assert capsys.readouterr().out == ""
