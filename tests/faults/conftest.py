"""What the tests of faults share."""

from __future__ import annotations

import pytest

from rllib_recattn.experiment.training.interrupt import request_interrupt
from rllib_recattn.experiment.training.progress.report import FaultReport


@pytest.fixture
def until_survived(monkeypatch: pytest.MonkeyPatch):
    """Interrupts training, as Ctrl-C does, once it has said something of a fault; nobody knows when that will be."""

    def until(sentence: str) -> None:
        report = FaultReport.on_trial_result

        def on_trial_result(self, *, result, **info):
            report(self, result=result, **info)
            if any(sentence in fault for fault in result.get("faults", ())):
                request_interrupt()

        monkeypatch.setattr(FaultReport, "on_trial_result", on_trial_result)

    return until
