"""What a sweep is going to do, for a dry run."""

from __future__ import annotations

from rllib_recattn.experiment.definition.spec import Experiment
from rllib_recattn.experiment.definition.yaml_file import dump_yaml
from rllib_recattn.experiment.training.searchers import number_of_trials


def sweep_plan(experiment: Experiment) -> str:
    """Describe the trials of an experiment: how many there are, what is searched, and who ends them.

    Returns:
        Lines that YAML takes for comments, to stand before the settings of the first variant.
    """
    tune = experiment.tune
    space = {
        key_path: {domain.kind: domain.labels if domain.is_categorical else dict(domain.arguments)}
        for key_path, domain in experiment.space.items()
    }
    plan = {
        "trials": number_of_trials(experiment),
        "space": space,
        "metric": f"{tune.metric} ({tune.mode}, {tune.rank_by})",
        "scheduler": {tune.scheduler.name: tune.scheduler.model_dump(exclude={"name"})},
        "search_alg": {tune.search_alg.name: tune.search_alg.model_dump(exclude={"name"})},
    }
    lines = [f"# {line}" for line in dump_yaml(plan).splitlines()]
    return "\n".join([*lines, "# The first of the variants:", ""])
