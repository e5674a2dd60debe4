"""What a user may write of a model's inputs."""

from __future__ import annotations

import json

import pytest

from rllib_recattn.errors import SettingsError, validate
from rllib_recattn.inputs.input_settings import InputSettings

OWN = "tests.inputs.own_encoders:Sum"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("auto", {"type": "auto", "widths": None, "activation": "relu", "channels": "auto"}),
        ({"type": "auto", "widths": []}, {"type": "auto", "widths": [], "activation": "relu", "channels": "auto"}),
        ({"type": "auto", "widths": (7,)}, {"type": "auto", "widths": [7], "activation": "relu", "channels": "auto"}),
        ("mlp", {"type": "mlp", "widths": [128, 128], "activation": "relu"}),
        (
            {"type": "cnn", "widths": (8, 16)},
            {"type": "cnn", "widths": [8, 16], "output_dim": 256, "activation": "relu", "channels": "auto"},
        ),
        (OWN, {"type": OWN, "settings": {}}),
    ],
)
def test_an_encoder_becomes_plain_data_that_means_the_same(written, meant):
    settings = validate(InputSettings, {"encoder": written}, "use_model")
    assert settings.encoder == meant
    again = json.loads(json.dumps(settings.model_dump()))
    assert validate(InputSettings, again, "use_model") == settings


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ("cnnn", "use_model: encoder: unknown type 'cnnn': did you mean 'cnn'?.*'package.module:Class'"),
        ({"type": "cnn", "width": [3]}, "encoder 'cnn': unknown setting 'width': did you mean 'widths'?"),
        ({"type": "auto", "output_dim": 3}, "encoder 'auto': unknown setting 'output_dim'"),
        ({"type": "mlp", "widths": [0]}, "widths.0 = 0: input should be greater than 0"),
        ({"type": "mlp", "widths": []}, "at least 1 item"),
        ({"type": "mlp", "widths": 64}, "widths = 64"),
        ({"type": "mlp", "activation": "rel"}, "activation = 'rel': input should be 'relu', 'tanh'"),
        ({"widths": [3]}, "should be a type, or a mapping with a 'type'"),
        (None, "encoder = None: should be a type"),
    ],
)
def test_wrong_encoders_are_refused(encoder, message):
    with pytest.raises(SettingsError, match=message):
        validate(InputSettings, {"encoder": encoder}, "use_model")


@pytest.mark.parametrize("key", ["use_prev_action", "use_prev_reward"])
def test_switches_are_true_or_false(key):
    with pytest.raises(SettingsError, match=f"{key} = 1: input should be a valid boolean"):
        validate(InputSettings, {key: 1}, "use_model")
