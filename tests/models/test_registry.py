"""The catalog and the errors for settings that are wrong."""

import pytest

import rllib_recattn as ra
from rllib_recattn.errors import SettingsError
from rllib_recattn.models.base import SequenceModel


def test_models_lists_the_catalog_with_a_description_and_a_source():
    listing = {info.name: info for info in ra.models()}
    assert "agalite" in listing
    assert all(info.description and info.source for info in listing.values())


def test_build_model_applies_the_settings():
    model = ra.build_model("agalite", input_dim=6, d_model=32, n_layers=1)
    assert isinstance(model, SequenceModel)
    assert (model.input_dim, model.output_dim, len(model.layers)) == (6, 32, 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_head": 4}, r"unknown setting 'n_head': did you mean .*'n_heads'"),
        ({"n_heads": 0}, r"n_heads = 0: .*greater than 0"),
        ({"n_heads": "4"}, r"n_heads = '4': .*integer"),
        ({"n_heads": 4.0}, r"n_heads = 4.0: .*integer"),
        ({"n_heads": True}, r"n_heads = True: .*integer"),
        ({"frequencies": "distict"}, r"frequencies = 'distict': .*'distinct' or 'published'"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(SettingsError, match=message):
        ra.build_model("agalite", input_dim=6, **settings)


def test_all_wrong_settings_are_named_at_once():
    with pytest.raises(SettingsError, match=r"(?s)n_head.*d_modell"):
        ra.build_model("agalite", input_dim=6, n_head=4, d_modell=3)


def test_an_unknown_model_is_refused_with_a_suggestion():
    with pytest.raises(SettingsError, match=r"unknown model 'agalit': did you mean 'agalite'\?"):
        ra.build_model("agalit", input_dim=6)


@pytest.mark.parametrize("input_dim", [0, -1, "6", 2.5])
def test_input_dim_must_be_a_positive_integer(input_dim):
    with pytest.raises(SettingsError, match="input_dim"):
        ra.build_model("agalite", input_dim=input_dim)
