"""The models that are compared: with as many parameters as the experiment's own, and all else as it has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.environment import probe_env
from rllib_recattn.experiment.definition.model_block import check_model
from rllib_recattn.experiment.definition.spec import Experiment, ModelBlock
from rllib_recattn.inputs.input_settings import encoder_settings
from rllib_recattn.inputs.masks import read_space
from rllib_recattn.inputs.previous import PreviousInputs
from rllib_recattn.inputs.tokenizer import Tokenizer
from rllib_recattn.models.registry import find_model, model_settings, settings_of
from rllib_recattn.probing import PARAMETERS
from rllib_recattn.probing.labels import label_of
from rllib_recattn.probing.learning import one_thread
from rllib_recattn.probing.sizes import count_parameters, size_model

ModelLike = str | Mapping[str, Any]

_OF_THE_FILE = ("n_layers", "n_heads")


@dataclass(frozen=True)
class Contender:
    """A model that is compared.

    Attributes:
        label: What it is called: its name, with the settings that the user gave.
        model: Its block, sizes included.
        settings: All settings that it has, defaults included.
        input_dim: D_in, features of each input step.
        parameters: How many parameters it has, without the encoder of observations and the heads.
        state_size: S, the numbers of its state.
        searched: Whether its width was searched for.
    """

    label: str
    model: ModelBlock
    settings: dict[str, Any]
    input_dim: int
    parameters: int
    state_size: int
    searched: bool

    @property
    def content(self) -> dict[str, Any]:
        """The ``model`` block of an experiment file."""
        return {"name": self.model.name, **_recurrence(self.model), **self.model.settings}


def find_contenders(
    models: Sequence[ModelLike], experiment: Experiment, parameters: int | None = None
) -> list[Contender]:
    """Size the models that a user names.

    Args:
        models: Names of models, or blocks with a name. The experiment's own model by its bare name is as the file has
            it. Of another, what is given stays; the rest is the file's where that has it: encoder, length of rows,
            layers and heads. Its width is searched for.
        experiment: The experiment.
        parameters: How many parameters each is to have; None: as many as the experiment's model, or 50,000 if it has
            none.

    Raises:
        SettingsError: If no model is named, or one twice; if one is unknown or a setting is wrong.
    """
    if isinstance(models, str | Mapping):
        models = [models]
    if not models:
        raise SettingsError("models: should name at least one; `rllib models` lists them")
    if parameters is not None and (isinstance(parameters, bool) or not isinstance(parameters, int) or parameters < 1):
        raise SettingsError(f"parameters = {parameters!r}: should be a whole number ≥ 1")
    own = experiment.model
    wanted = parameters
    if wanted is None and own is not None:
        wanted = _contender(own.name, own, experiment, searched=False).parameters
    found: dict[str, Contender] = {}
    for model in models:
        block = _block(model)
        label = label_of(block)
        if label in found:
            raise SettingsError(f"models: {label!r} is named twice")
        is_own = own is not None and set(block) == {"name"} and find_model(block["name"]) == find_model(own.name)
        if is_own and own is not None and parameters is None:
            found[label] = _contender(label, own, experiment, searched=False)
        else:
            found[label] = _sized(label, block, experiment, wanted or PARAMETERS)
    return list(found.values())


def _block(model: ModelLike) -> dict[str, Any]:
    if not isinstance(model, str | Mapping):
        raise SettingsError(f"models: {model!r}: should be a name or a block with one")
    block = {"name": model} if isinstance(model, str) else dict(model)
    if "name" not in block:
        raise SettingsError(f"models: {model!r}: the setting 'name' is missing")
    find_model(block["name"])
    return block


def _sized(label: str, block: dict[str, Any], experiment: Experiment, parameters: int) -> Contender:
    fields = settings_of(block["name"]).model_fields
    given = {key: value for key, value in block.items() if key in fields}
    of_file = {} if experiment.model is None else experiment.model.settings
    for key in _OF_THE_FILE:
        default = fields[key].default if key in fields else None
        # One layer is what an LSTM has where nobody asks for more.
        if key not in given and key in of_file and isinstance(default, int) and default > 1:
            given[key] = of_file[key]
    recurrence = {} if experiment.model is None else _recurrence(experiment.model)
    recurrence |= {key: value for key, value in block.items() if key not in fields}
    check_model({**recurrence, "name": block["name"], **given}, f"models: {label}")
    draft = check_model({**recurrence, "name": block["name"]}, f"models: {label}")
    with one_thread():
        sized = size_model({"name": block["name"], **given}, parameters, _input_dim(draft, experiment))
    model = check_model({**recurrence, **sized.block}, f"models: {label}")
    return _contender(label, model, experiment, sized.searched)


def _contender(label: str, model: ModelBlock, experiment: Experiment, searched: bool) -> Contender:
    settings = model_settings(model.name, model.settings)
    input_dim = _input_dim(model, experiment)
    with one_thread():
        built = settings.build(input_dim)
    return Contender(
        label=label,
        model=model,
        settings={**model.model_dump(exclude={"settings"}), **settings.model_dump()},
        input_dim=input_dim,
        parameters=count_parameters(built),
        state_size=built.state_size,
        searched=searched,
    )


def _input_dim(model: ModelBlock, experiment: Experiment) -> int:
    """Return how many features a step has for the model: the encoded observation, and what was before it."""
    probe = probe_env(experiment.env, experiment.config.get("env_config", {}), experiment.where)
    with one_thread():
        tokenizer = Tokenizer(read_space(probe.observation_space, model), encoder_settings(model.encoder))
    return tokenizer.output_dim + PreviousInputs(probe.action_space, model).size


def _recurrence(model: ModelBlock) -> dict[str, Any]:
    """Return what a block says beside the model's own settings."""
    return model.model_dump(exclude={"name", "settings"}, exclude_unset=True)
