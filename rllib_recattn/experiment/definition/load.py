"""From a YAML file to a validated :class:`Experiment`, without loading RLlib."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rllib_recattn.experiment.definition.environment import forget_faults, probe_env
from rllib_recattn.experiment.definition.experiment_file import read_experiment_file
from rllib_recattn.experiment.definition.reader import ExperimentReader
from rllib_recattn.experiment.definition.search import add_seeds, fill, find_domains, require_string_keys, values_of
from rllib_recattn.experiment.definition.spec import Experiment, ModelBlock
from rllib_recattn.experiment.definition.top_level import KNOWN_KEYS, Overrides
from rllib_recattn.experiment.definition.tune_block import check_sweep
from rllib_recattn.importing import make_importable
from rllib_recattn.scope import Scope


def load_experiment(path: Path, overrides: Overrides | None = None) -> Experiment:
    """Read and validate the experiment that a file describes.

    RLlib's own settings, under ``config``, are checked when the algorithm's config is built, since their names and
    types are RLlib's.

    Args:
        path: A YAML file that holds one experiment.
        overrides: What the command line says instead of the file.

    Returns:
        The experiment.

    Raises:
        SettingsError: With a line for each thing that is wrong: file, key path, and what would be right.
    """
    name, content = read_experiment_file(path, KNOWN_KEYS)
    make_importable(path.absolute().parent)
    forget_faults()
    scope = Scope(f"{path}: {name}")
    space = find_domains(content, scope)
    scope.raise_problems()
    first = fill(content, values_of(space, {}))
    reader = ExperimentReader(scope, first, overrides or Overrides())
    file, model = reader.file(), reader.model()
    checkpoint, config = reader.checkpoint(), reader.config()
    multi_agent, callbacks, restore = reader.multi_agent(config), reader.callbacks(), reader.restore()
    stop, logging = reader.stop(), reader.logging()
    reader.check_algorithm()
    env, config = reader.environment(config)
    model, config = _networks(reader, env, model, config)
    storage_path = reader.storage_path()
    tune = reader.tune(stop)
    space = add_seeds(space, first, tune.num_samples)
    check_sweep(tune, space, scope, evaluates=reader.evaluates)
    if space:
        require_string_keys(content, scope)
    if space or tune.num_samples > 1:
        checkpoint = checkpoint.for_trials(tune.scheduler)
    scope.raise_problems()
    return Experiment(
        path=path,
        folder=path.absolute().parent,
        name=name,
        run=file.run,
        api_stack=scope.stack,
        env=env,
        stop=stop,
        config=config,
        model=model,
        multi_agent=multi_agent,
        callbacks=callbacks,
        restore=restore,
        checkpoint=checkpoint,
        logging=logging,
        storage_path=storage_path,
        max_failures=file.max_failures,
        tune=tune,
        space=space,
        content=content,
        notes=scope.notes,
    )


def load_variant(experiment: Experiment, choices: Mapping[str, Any]) -> Experiment:
    """Validate one of the variants that an experiment's search domains describe.

    Args:
        experiment: The experiment.
        choices: Key path → what Tune chose: a number, or the label of an option. Domains that are not in it have their
            first value.

    Returns:
        An experiment of one trial, without search domains.

    Raises:
        SettingsError: With a line for each thing that is wrong with the variant.
    """
    content = fill(experiment.content, values_of(experiment.space, choices))
    reader = ExperimentReader(Scope(experiment.where), content, Overrides())
    model, config = reader.model(), reader.config()
    reader.multi_agent(config)
    env, config = reader.environment(config)
    model, config = _networks(reader, env, model, config)
    reader.scope.raise_problems()
    changes = {"env": env, "config": config, "model": model, "content": content, "space": {}}
    tune = experiment.tune.model_copy(update={"num_samples": 1})
    return experiment.model_copy(update={**changes, "tune": tune})


def environments_of(experiment: Experiment) -> list[tuple[str, dict[str, Any]]]:
    """Return the environments that an experiment trains in, more than one if they are searched, with their settings.

    Raises:
        SettingsError: As :func:`load_variant`.
    """
    labels = experiment.space["env"].labels if "env" in experiment.space else []
    variants = [load_variant(experiment, {"env": label}) for label in labels] or [experiment]
    return [(variant.env, variant.config.get("env_config", {})) for variant in variants]


def _networks(
    reader: ExperimentReader, env: str, model: ModelBlock | None, config: dict[str, Any]
) -> tuple[ModelBlock | None, dict[str, Any]]:
    """Return the model and RLlib's settings, with what a ``model`` dict of the old API stack means on the new one."""
    scope = reader.scope.at("config", "model")
    if reader.model_dict is None:
        return model, config
    if "model" in reader.content:
        scope.problem("is given twice, beside 'config' as well; keep one of them")
    if scope.problems:
        return model, config
    # The models' settings come with PyTorch, which takes a second or two to import.
    from rllib_recattn.experiment.definition.model_block import check_model
    from rllib_recattn.migration.old_files.old_model import translate_model

    with scope.collect():
        spaces = probe_env(env, config.get("env_config", {}), reader.scope.where)
        run = str(reader.content.get("run"))
        found = translate_model(reader.model_dict, run, spaces.observation_space, scope)
        if found.block is not None:
            model = check_model(found.block, scope.where)
        model_config = {**found.model_config, **config.get("model_config", {})}
        return model, {**config, "model_config": model_config} if model_config else config
    return model, config
