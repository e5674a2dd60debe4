"""An encoder of the user's own, by its import path."""

from __future__ import annotations

import sys

import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns

from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.input_settings import encoder_settings
from rllib_recattn.inputs.tokenizer import Tokenizer
from tests.inputs.own_encoders import Sum
from tests.inputs.test_tokenizer import ROWS, STEPS, samples
from tests.rl_module.inputs.random_env import ACTIONS, OBSERVATIONS, random_env_config

SPACE = OBSERVATIONS["Dict"]
HERE = "tests.inputs.own_encoders"


def own(name, **settings):
    return Tokenizer(SPACE, encoder_settings({"type": f"{HERE}:{name}", "settings": settings}))


def test_it_is_called_with_the_space_and_its_settings_and_encodes_folded_observations():
    module = own("Sum", width=6)
    assert isinstance(module.encoder.module, Sum)
    assert module.encoder.module.space == SPACE
    assert module.output_dim == 6
    observations, _ = samples(SPACE)
    assert module(observations).shape == (ROWS, STEPS, 6)


def test_trying_it_out_leaves_no_trace():
    module = own("Sum").encoder.module
    assert module.training
    assert module.norm.num_batches_tracked == 0
    assert not isinstance(module.layer.weight, torch.nn.UninitializedParameter)


def test_other_float_types_are_converted():
    assert own("Half")(samples(SPACE)[0]).dtype == torch.float32


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ("no.such.module:Sum", "the module 'no.such.module' cannot be imported: No module named 'no'.*PYTHONPATH"),
        (f"{HERE}:Summ", f"the module '{HERE}' has no 'Summ'"),
        (f"{HERE}:NOT_CALLABLE", "should be a class, but is a int"),
        (f"{HERE}:number", "should make a torch.nn.Module, but made a int"),
        ({"type": f"{HERE}:Sum", "settings": {"wdth": 3}}, r"calling it with .*wdth.* failed: TypeError"),
        (f"{HERE}:Crash", r"failed on observations .*'vector': '\[2, 2\] torch.float32'.*KeyError: 'vektor'"),
        (f"{HERE}:Sequence", r"should return features \[N, F\], but returned \[2, 1, 4\] for N = 2"),
    ],
)
def test_what_is_wrong_with_it_is_said_before_training(encoder, message):
    config = random_env_config(SPACE, ACTIONS["Discrete"])
    model_config = config.model_config | {"recattn_inputs": {"encoder": encoder}}
    spec = config.rl_module(model_config=model_config).get_rl_module_spec(
        spaces={DEFAULT_MODULE_ID: (SPACE, ACTIONS["Discrete"])}
    )
    with pytest.raises(SettingsError, match=message):
        spec.build()


def test_a_path_that_cannot_be_imported_is_refused_by_use_model():
    with pytest.raises(SettingsError, match=r"the module 'no\.such\.module' cannot be imported"):
        random_env_config(SPACE, ACTIONS["Discrete"], encoder="no.such.module:Sum")


def test_a_module_with_it_acts():
    config = random_env_config(SPACE, ACTIONS["Discrete"], encoder=f"{HERE}:Sum")
    assert config.model_config["recattn_inputs"]["encoder"] == {"type": f"{HERE}:Sum", "settings": {}}
    module = config.get_rl_module_spec(spaces={DEFAULT_MODULE_ID: (SPACE, ACTIONS["Discrete"])}).build()
    observations, _ = samples(SPACE)
    state = {key: value.expand(ROWS, -1) for key, value in module.get_initial_state().items()}
    out = module.forward_inference({Columns.OBS: observations, Columns.STATE_IN: state})
    assert out[Columns.ACTION_DIST_INPUTS].shape == (ROWS, STEPS, 3)
    assert HERE in sys.modules
