"""Several models of the catalog on top of one another, such as linear attention below a sliding window.

Every model maps [B, T, D_in] to [B, T, D] and carries its own state, so a sequence of models is one again: each reads
what the one below puts out, and the states lie side by side. Stacks that mix recurrent layers with a few of windowed
attention are called hybrids; Samba (arXiv 2406.07522) is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from pydantic import Field, field_validator
from torch import Tensor, nn

from rllib_recattn.errors import SettingsError
from rllib_recattn.models.base import ModelSettings, SequenceModel, StateLayout
from rllib_recattn.models.registry import model_settings, settings_of


def _agalite_below_a_short_window() -> list[dict[str, Any]]:
    # What lies far back is AGaLiTe's; how long ago each of the last steps was, which its gates alone would have to
    # learn, is told by the window.
    return [{"name": "agalite", "n_layers": 3}, {"name": "gtrxl", "n_layers": 1, "memory_length": 32}]


class HybridSettings(ModelSettings):
    """Settings of a hybrid."""

    models: list[dict[str, Any]] = Field(
        default_factory=_agalite_below_a_short_window,
        validate_default=True,
        min_length=1,
        description="from the input to the output: a model's name and those of its settings that are no defaults",
    )

    @field_validator("models")
    @classmethod
    def _complete(cls, models: list[dict[str, Any]]) -> list[dict[str, Any]]:
        # With all settings, since a checkpoint holds these: another version may have other defaults.
        complete = []
        for index, model in enumerate(models):
            try:
                complete.append({"name": model.get("name"), **_settings(model).model_dump()})
            except SettingsError as error:
                raise SettingsError(f"models[{index}]: {error}") from error
        return complete

    @classmethod
    def as_meant(cls, recorded: Mapping[str, Any]) -> dict[str, Any]:
        """Say the same of each of the models; see :meth:`ModelSettings.as_meant`."""
        models = recorded.get("models")
        if not isinstance(models, list) or not all(isinstance(model, Mapping) for model in models):
            return super().as_meant(recorded)
        return {**super().as_meant(recorded), "models": [_as_meant(model) for model in models]}

    @property
    def output_dim(self) -> int:
        """D, the width of the uppermost model."""
        return _settings(self.models[-1]).output_dim

    def build(self, input_dim: int) -> Hybrid:
        """Build the models for inputs of `input_dim` features."""
        models = []
        for model in self.models:
            models.append(_settings(model).build(input_dim))
            input_dim = models[-1].output_dim
        return Hybrid(models)


class Hybrid(SequenceModel):
    """Models on top of one another. State: theirs.

    Args:
        models: From the input to the output; each reads as many features as the one below puts out.
    """

    def __init__(self, models: list[SequenceModel]):
        layout = StateLayout({f"models.{index}": (model.state_size,) for index, model in enumerate(models)})
        super().__init__(models[0].input_dim, models[-1].output_dim, layout)
        self.models = nn.ModuleList(models)

    def initial_state(self, batch_size: int) -> Tensor:
        """Return the models' initial states [batch_size, S]."""
        states = {name: model.initial_state(batch_size) for name, model in self._named_models()}
        return self.state_layout.pack(states)

    def memories(self, state: Tensor) -> dict[str, Tensor]:
        """Name what the models remember; see :meth:`SequenceModel.memories`."""
        parts = self.state_layout.unpack(state)
        return {
            f"{name}.{part}": value
            for name, model in self._named_models()
            for part, value in model.memories(parts[name]).items()
        }

    def contain(self, x: Tensor, state: Tensor, is_first: Tensor | None) -> tuple[Tensor, Tensor]:
        """Leave it to each of the models; see :meth:`SequenceModel.contain`."""
        y, parts = self.read(x, self.state_layout.unpack(state), is_first)
        return y, self.state_layout.pack(parts)

    step = contain

    def read(self, x: Tensor, state: dict[str, Tensor], is_first: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps; see :meth:`SequenceModel.forward`."""
        new_state = {}
        for name, model in self._named_models():
            x, new_state[name] = model(x, state[name], is_first)
        return x, new_state

    def _named_models(self) -> list[tuple[str, SequenceModel]]:
        return list(zip(self.state_layout.parts, cast("Iterable[SequenceModel]", self.models), strict=True))


def _settings(model: Mapping[str, Any]) -> ModelSettings:
    if "name" not in model:
        raise SettingsError("the setting 'name' is missing")
    return model_settings(model["name"], {key: value for key, value in model.items() if key != "name"})


def _as_meant(model: Mapping[str, Any]) -> dict[str, Any]:
    if "name" not in model:
        return dict(model)
    settings = {key: value for key, value in model.items() if key != "name"}
    return {"name": model["name"], **settings_of(model["name"]).as_meant(settings)}
