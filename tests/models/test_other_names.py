"""Names that people know from elsewhere, POPGym's baselines above all."""

import pytest
from click.testing import CliRunner

import rllib_recattn as ra
from rllib_recattn.cli.main import main
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.model_block import check_model
from rllib_recattn.model_v2.settings import split_custom_model_config
from rllib_recattn.models import registry
from rllib_recattn.models.other_names import _LONG_NAMES, ALIASES, NEAREST, nearest_model, same_model
from rllib_recattn.models.registry import find_model, model_names, qualified_name

THE_SAME = {"MLP": "memoryless", "Stack": "frame_stack", "LSTM": "lstm", "GRU": "gru", "FART": "linear_attention"}
POPGYM = ["MLP", "PosMLP", "Stack", "TCN", "Elman", "LSTM", "GRU", "IndRNN", "DNC", "FART", "FWP", "LMU", "S4D"]


def test_what_the_tables_name_is_in_the_catalog(own_models):
    catalog = set(model_names())
    assert {*ALIASES.values(), *(nearest for nearest, _ in NEAREST.values())} <= catalog
    assert set(_LONG_NAMES.values()) <= NEAREST.keys()
    # Nothing is the same as a model of the catalog and only near to one, or hides one.
    plain = {name.replace("_", "") for name in catalog}
    assert not (NEAREST.keys() | _LONG_NAMES.keys() | ALIASES.keys()) & plain
    assert not (NEAREST.keys() | _LONG_NAMES.keys()) & ALIASES.keys()


@pytest.mark.parametrize("name", POPGYM)
def test_each_of_popgyms_baselines_is_there_or_answered_with_the_nearest(name):
    if name in THE_SAME:
        assert find_model(name).name == THE_SAME[name]
        return
    nearest, _ = NEAREST[name.lower()]
    message = rf"unknown model '{name}': the nearest is '{nearest}': its? \w+ .* \(one that"
    with pytest.raises(SettingsError, match=message):
        find_model(name)
    assert nearest in model_names()


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("AGaLiTe", "agalite"),
        ("GTrXL", "gtrxl"),
        ("Gated-DeltaNet", "gated_delta_net"),
        ("gated delta net", "gated_delta_net"),
        ("minGRU", "min_gru"),
        ("sLSTM", "slstm"),
        ("framestack", "frame_stack"),
        ("Frame Stacking", "frame_stack"),
        ("FFMModel", "ffm"),
        ("popgym-MLP", "memoryless"),
    ],
)
def test_other_spellings_find_a_model_and_are_recorded_as_the_catalog_has_it(name, model):
    from ray.rllib.algorithms.ppo import PPOConfig

    assert find_model(name).name == model
    assert qualified_name(name) == model
    assert ra.use_model(PPOConfig(), name).model_config["recattn"]["model"] == model


@pytest.mark.parametrize("name", ["elman", "Elman-Net", "vanilla RNN", "rnn"])
def test_what_is_near_goes_by_several_names(name):
    with pytest.raises(SettingsError, match="the nearest is 'gru'"):
        ra.build_model(name, input_dim=3)


@pytest.mark.parametrize("name", ["", "?", "_", "model", "mpl"])
def test_other_names_are_no_models(name):
    assert same_model(name, model_names()) is None
    assert nearest_model(name, model_names()) is None
    with pytest.raises(SettingsError, match=r"unknown model .*: (valid are|did you mean)"):
        find_model(name)


def test_a_model_of_that_name_comes_first(monkeypatch):
    """Another package may have one, whatever this one calls so."""
    monkeypatch.setattr(registry, "_CATALOG", dict(registry._CATALOG))
    settings = find_model("gru").settings
    other = type("TCNSettings", (settings,), {"__module__": __name__})
    ra.register_model("tcn", other, description="a model", source="a paper")
    ra.register_model("MLP", type("MLPSettings", (other,), {"__module__": __name__}), description="one", source="one")
    assert find_model("tcn").settings is find_model("TCN").settings is other
    assert find_model("MLP").settings.__name__ == "MLPSettings"
    assert qualified_name("TCN") == f"{__name__}:tcn"


def test_yaml_and_the_command_line_take_them_and_say_the_catalogs():
    block = check_model({"name": "MLP", "d_model": 8}, "maze.model")
    assert (block.name, block.settings) == ("memoryless", {"d_model": 8})
    with pytest.raises(SettingsError, match=r"maze\.model: unknown model 'S4D': the nearest is 'lru'"):
        check_model({"name": "S4D"}, "maze.model")
    printed = CliRunner().invoke(main, ["models", "Frame-Stack"])
    assert printed.stdout.startswith("frame_stack: ")
    assert "3 numbers, 0.0 KiB for each feature of the inputs" in printed.stdout


def test_the_old_stack_takes_them():
    settings, _ = split_custom_model_config({"model": "min-GRU", "d_model": 8}, None, "custom_model_config")
    assert settings == find_model("min_gru").settings(d_model=8)
