"""The best configuration of a sweep as an experiment of its own, ready to train."""

from __future__ import annotations

from rllib_recattn.experiment.definition.domain import Domain
from rllib_recattn.experiment.definition.search import SEED, fill, find_domains, values_of
from rllib_recattn.experiment.definition.tune_block import TUNE_KEYS
from rllib_recattn.experiment.definition.yaml_file import dump_yaml
from rllib_recattn.experiment.records.configurations import Configuration, is_population
from rllib_recattn.experiment.records.trial_settings import value_text
from rllib_recattn.experiment.reports.text import count_text, number_text
from rllib_recattn.scope import Scope


def best_yaml(configuration: Configuration, trials: str) -> str:
    """Write a configuration as an experiment file: what the user wrote, with what was chosen for it filled in.

    The seed stays as the user wrote it, for none of the sweep's is better than another: a number, or a search over
    several, with which the file trains the configuration once for each of them. Where choices changed while
    training, those count that were in force where the value is from.

    Args:
        configuration: The configuration, of a run with ``experiment.json``.
        trials: Among which, as in ``2 of 6 planned trials``.

    Returns:
        YAML, beginning with comments that say where it comes from.
    """
    experiment, measure = configuration.trials[0].experiment, configuration.measure
    space = {key: Domain.model_validate(domain) for key, domain in experiment["space"].items() if key != SEED}
    content = fill(experiment["content"], values_of(space, configuration.choices))
    content = {key: value for key, value in content.items() if key not in ("tune", *TUNE_KEYS)}
    content.setdefault("stop", experiment["stop"])
    if find_domains(content, Scope("")):  # over seeds
        content["tune"] = {"metric": measure.metric, "mode": measure.mode, "rank_by": measure.rank_by}
    text = "".join(f"# {line}\n" for comment in _comments(configuration, trials) for line in comment.splitlines())
    return text + dump_yaml({f"{experiment['name']}-best": content})


def _comments(configuration: Configuration, trials: str) -> list[str]:
    experiment, count = configuration.trials[0].experiment, len(configuration.values)
    value = value_text(configuration.mean)
    if count > 1:
        value += f", the mean of {count} seeds (standard deviation {number_text(configuration.spread, 4)})"
    comments = [
        f"The best of {trials} of {experiment['name']}, {configuration.name}: "
        f"{configuration.measure.sentence} = {value}",
        *(
            f"Its results, after {count_text(trial.env_steps)} environment steps: {trial.directory}"
            for trial in configuration.trials
        ),
        *(f"{key} = {value_text(value)}" for key, value in configuration.choices.items()),
    ]
    if is_population(experiment):
        comments.append("These settings changed while it trained; they are those with which it had this value.")
    return comments
