"""The best trial of a sweep as an experiment of its own, ready to train."""

from __future__ import annotations

from rllib_recattn.experiment.definition.domain import Domain
from rllib_recattn.experiment.definition.search import fill, values_of
from rllib_recattn.experiment.definition.tune_block import TUNE_KEYS
from rllib_recattn.experiment.definition.yaml_file import dump_yaml
from rllib_recattn.experiment.records.settings import value_text
from rllib_recattn.experiment.records.trials import Mode, TrialRecord
from rllib_recattn.experiment.reports.text import count_text


def best_yaml(trial: TrialRecord, metric: str, mode: Mode, trials: str) -> str:
    """Write a trial as an experiment file: what the user wrote, with the trial's choices filled in.

    Where the choices changed while training, those count that were in force when the metric was best.

    Args:
        trial: The trial, of a run with ``experiment.json``.
        metric: The metric by which it is best.
        mode: Whether a high or a low value is good.
        trials: Among which, as in ``2 of 6 planned trials``.

    Returns:
        YAML, beginning with comments that say where it comes from.
    """
    experiment = trial.experiment
    space = {key: Domain.model_validate(domain) for key, domain in experiment["space"].items()}
    choices = trial.choices_at_best(metric, mode)
    content = fill(experiment["content"], values_of(space, choices))
    content = {key: value for key, value in content.items() if key not in ("tune", *TUNE_KEYS)}
    content.setdefault("stop", experiment["stop"])
    comments = [
        f"The best of {trials} of {experiment['name']}, {trial.name}: {metric} = "
        f"{value_text(trial.best(metric, mode))}, after {count_text(trial.env_steps)} environment steps in all.",
        f"Its results: {trial.directory}",
        *(f"{key} = {value_text(value)}" for key, value in choices.items()),
    ]
    text = "".join(f"# {line}\n" for comment in comments for line in comment.splitlines())
    return text + dump_yaml({f"{experiment['name']}-best": content})
