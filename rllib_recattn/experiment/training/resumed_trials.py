"""Trials that had met a stop criterion when a run was killed, before Tune had noted that they were through.

Such a trial goes on from its last checkpoint as any other, and Tune asks whether to stop only after the next iteration:
one more than it should train.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.result import DONE
from ray.tune.utils import flatten_dict


def end_if_through(tune_controller: Any, trial: Trial) -> None:
    """End a trial that Tune is about to take up again, if its last checkpoint is of its last iteration.

    Args:
        tune_controller: Of the run, as a scheduler is given it.
        trial: One that is being added, and that is in none of Tune's queues yet.
    """
    latest = trial.latest_checkpoint_result
    if trial.is_finished() or latest is None:
        return
    # Population-based training lets a trial go on from the checkpoint of another one.
    is_own = Path(latest.checkpoint.path).parent.name == trial.relative_logdir
    if not is_own or not trial.should_stop(flatten_dict(latest.metrics)):
        return
    result = {**latest.metrics, DONE: True}
    trial.update_last_result(result)
    trial.set_status(Trial.TERMINATED)
    tune_controller.get_live_trials().discard(trial)
    tune_controller.search_alg.on_trial_complete(trial.trial_id, result=flatten_dict(result))
