"""What a user can say of a model's inputs. Importing this loads neither RLlib nor PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from rllib_recattn.errors import Settings, SettingsError, suggest, validate
from rllib_recattn.importing import import_named

# Where `model_config` holds the settings of this module.
INPUTS_KEY = "recattn_inputs"

Channels = Literal["auto", "first", "last"]
ImageChannels = Annotated[
    Channels,
    Field(
        description="where an image's channels are: first, (channels, height, width); last, (height, width, channels); "
        "auto: as its shape tells. Stacked frames in front of either are channels too"
    ),
]

Activation = Literal["relu", "tanh", "silu", "gelu", "elu"]
RLLIB_ACTIVATIONS: dict[str, Activation] = {"swish": "silu"}  # RLlib's names that differ from these
Width = Annotated[int, Field(gt=0)]
Widths = Annotated[Sequence[Width], Field(min_length=1), AfterValidator(list)]


class AutoEncoderSettings(Settings):
    """Images through a small CNN, all else as one vector, through an MLP where there are numbers in it.

    A layer of 64 features stands before a model that reads numbers, as a larger MLP does before RLlib's own LSTM.
    With it AGaLiTe and the LSTM learn two control tasks sooner or better with each seed that was tried, and T-Maze as
    soon as without (benchmarks/envs/encoders.json). Discrete values are one-hot vectors, of which a model's first layer
    makes what it likes: alone they go as they are.
    """

    type: Literal["auto"] = "auto"
    widths: Annotated[Sequence[Width], AfterValidator(list)] | None = Field(
        None,
        description="features of each layer of an MLP for all but images, [] for none; null: [64], or none where all "
        "else is discrete",
    )
    activation: Activation = "relu"
    channels: ImageChannels = "auto"


class MLPEncoderSettings(Settings):
    """All that is observed, images included, as one vector through an MLP."""

    type: Literal["mlp"] = "mlp"
    widths: Widths = Field([128, 128], description="features of each layer")
    activation: Activation = "relu"


class CNNEncoderSettings(Settings):
    """Images through convolutions whose kernels fit their size, then one linear layer; all else as it is."""

    type: Literal["cnn"] = "cnn"
    widths: Widths = Field([32, 64, 64], description="channels of each convolution")
    output_dim: Width = Field(256, description="features of an encoded image")
    activation: Activation = "relu"
    channels: ImageChannels = "auto"


class ImpalaCNNEncoderSettings(Settings):
    """Images through IMPALA's residual network, then one linear layer; all else as it is."""

    type: Literal["impala_cnn"] = "impala_cnn"
    widths: Widths = Field([16, 32, 32], description="channels of each residual section")
    output_dim: Width = Field(256, description="features of an encoded image")
    activation: Activation = "relu"
    channels: ImageChannels = "auto"


class OwnEncoderSettings(Settings):
    """A PyTorch module of the user's.

    Called as ``Class(observation_space, **settings)``, it makes a module that maps a batch of observations [N, …], as
    the environment gives them, to features [N, F].
    """

    type: str = Field(description="package.module:Class")
    settings: dict[str, Any] = Field(default_factory=dict, description="further arguments of the class, plain data")


EncoderSettings = (
    AutoEncoderSettings | MLPEncoderSettings | CNNEncoderSettings | ImpalaCNNEncoderSettings | OwnEncoderSettings
)

# Observations as they are, images through a small CNN: what "auto" meant before it had layers.
WITHOUT_MLP: dict[str, Any] = {"type": "auto", "widths": []}

ENCODERS: dict[str, type[EncoderSettings]] = {
    "auto": AutoEncoderSettings,
    "mlp": MLPEncoderSettings,
    "cnn": CNNEncoderSettings,
    "impala_cnn": ImpalaCNNEncoderSettings,
}


def encoder_settings(encoder: str | Mapping[str, Any]) -> EncoderSettings:
    """Validate what a user says of the encoder.

    Args:
        encoder: A mapping with a ``type`` and the settings of that type, or only the type: ``auto``, ``mlp``, ``cnn``,
            ``impala_cnn``, or ``package.module:Class``.

    Raises:
        SettingsError: If the type is unknown or cannot be imported, or one of its settings is unknown or wrong.
    """
    given = {"type": encoder} if isinstance(encoder, str) else encoder
    if not isinstance(given, Mapping) or not isinstance(given.get("type"), str):
        raise SettingsError(f"encoder = {encoder!r}: should be a type, or a mapping with a 'type' and its settings")
    kind = given["type"]
    if kind in ENCODERS:
        return validate(ENCODERS[kind], given, f"encoder {kind!r}")
    if ":" in kind:
        import_encoder(kind)
        return validate(OwnEncoderSettings, given, f"encoder {kind!r}")
    raise SettingsError(
        f"encoder: unknown type {kind!r}: {suggest(kind, ENCODERS)} (a module of your own is named "
        "'package.module:Class')"
    )


def stored_encoder(encoder: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the stored settings of an encoder mean: those of earlier versions lack what there was no choice of.

    "auto" had no layers, and images had their channels last. What is stored now says both.
    """
    meant = dict(encoder)
    if meant.get("type") == "auto":
        meant.setdefault("widths", [])
    if meant.get("type") in ("auto", "cnn", "impala_cnn"):
        meant.setdefault("channels", "last")
    return meant


def import_encoder(path: str) -> Any:
    """Import what makes an encoder of the user's, ``package.module:Class``.

    Raises:
        SettingsError: If it cannot be imported or called.
    """
    module, _, name = path.partition(":")
    where = f"encoder {path!r}"
    found: Any = import_named(module, where)
    for part in name.split("."):
        if not hasattr(found, part):
            raise SettingsError(f"{where}: the module {module!r} has no {name!r}")
        found = getattr(found, part)
        if isinstance(found, ModuleType):  # what a module happens to import, os for one, is nothing of its own
            raise SettingsError(f"{where}: {part!r} is a module; should stand before the colon")
    if not callable(found):
        raise SettingsError(f"{where}: should be a class, but is a {type(found).__name__}")
    return found


def plain_encoder(encoder: Any) -> dict[str, Any]:
    """Return what a user says of the encoder, validated, as plain data with all of its settings."""
    return encoder_settings(encoder).model_dump()


EncoderAsData = Annotated[dict[str, Any], BeforeValidator(plain_encoder)]


class InputSettings(Settings):
    """What a model sees of its environment."""

    encoder: EncoderAsData = Field(
        default_factory=lambda: plain_encoder("auto"),
        description="how observations become a vector: auto, mlp, cnn, impala_cnn, package.module:Class, "
        "or a mapping of such a type and its settings",
    )
    use_prev_action: bool = Field(False, description="whether the model also reads the action before an observation")
    use_prev_reward: bool = Field(False, description="whether the model also reads the reward before an observation")
    action_mask: str | None = Field(
        None,
        description="the key of a Dict of observations that holds a 1 for each action that is allowed and a 0 for each "
        "that is not; null: all are",
    )
    action_mask_as_input: bool = Field(False, description="whether the model also reads the action mask")

    @model_validator(mode="after")
    def _check_action_mask(self) -> InputSettings:
        if self.action_mask_as_input and self.action_mask is None:
            raise SettingsError("action_mask_as_input = True: there is no action_mask; should name it, or be left out")
        return self

    @property
    def unread_key(self) -> str | None:
        """The key of the observations that no encoder reads; None: they read all."""
        return None if self.action_mask_as_input else self.action_mask
