"""Models on top of one another."""

import pytest
import torch

from rllib_recattn.errors import SettingsError
from rllib_recattn.models.agalite import AGaLiTeSettings
from rllib_recattn.models.hybrid import HybridSettings
from rllib_recattn.models.registry import build_model, model_settings, recorded_settings

MODELS = [{"name": "gru", "d_model": 7}, {"name": "lstm", "d_model": 6}]


@pytest.mark.another_implementation("hybrid")
def test_each_model_reads_what_the_one_below_puts_out():
    hybrid = build_model("hybrid", input_dim=5, models=MODELS)
    gru, lstm = hybrid.models
    x, state = torch.randn(2, 4, 5), torch.rand(2, 7 + 2 * 6)
    is_first = torch.tensor([[0, 0, 1, 0], [0, 0, 0, 0]])

    y, state_out = hybrid(x, state, is_first)

    below, gru_state = gru(x, state[:, :7], is_first)
    above, lstm_state = lstm(below, state[:, 7:], is_first)
    torch.testing.assert_close(y, above)
    torch.testing.assert_close(state_out, torch.cat([gru_state, lstm_state], dim=1))
    assert (hybrid.input_dim, hybrid.output_dim, hybrid.state_size) == (5, 6, 19)


def test_a_hybrid_may_hold_a_hybrid():
    nested = [{"name": "hybrid", "models": MODELS}, {"name": "gru", "d_model": 3}]
    assert build_model("hybrid", input_dim=5, models=nested).state_size == 19 + 3


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([], "models = .*at least 1"),
        ([{"d_model": 3}], r"models\[0\]: the setting 'name' is missing"),
        ([*MODELS, {"name": "gruu"}], r"models\[2\]: unknown model 'gruu': did you mean 'gru'"),
        ([{"name": "gru", "d_modl": 3}], r"models\[0\]: .*unknown setting 'd_modl': did you mean 'd_model'"),
        (["gru"], r"models.0 = 'gru': .*dict"),
    ],
)
def test_wrong_models_are_named(models, message):
    with pytest.raises(SettingsError, match=message):
        build_model("hybrid", input_dim=5, models=models)


def test_it_states_all_settings_of_its_models_for_other_versions_may_have_other_defaults():
    for models in ([{"name": "agalite", "d_model": 8}], None):
        settings = HybridSettings() if models is None else HybridSettings(models=models)
        for model in settings.models:
            own = {key: value for key, value in model.items() if key != "name"}
            assert own == model_settings(model["name"], own).model_dump()
        assert HybridSettings(**settings.model_dump()) == settings


def test_what_a_checkpoint_does_not_state_of_its_models_is_what_it_was():
    inner = {"name": "hybrid", "models": [{"name": "gla", "d_model": 8}]}
    recorded = {"models": [{"name": "agalite", "d_model": 8, "r": 3}, inner]}
    agalite, nested = recorded_settings("hybrid", recorded, where="a checkpoint").models
    assert agalite == {"name": "agalite", **AGaLiTeSettings(d_model=8, r=3, **AGaLiTeSettings.unstated).model_dump()}
    assert nested["models"][0]["conv_size"] == 0


@pytest.mark.parametrize("models", [[{"d_model": 3}], ["gru"], "gru", None])
def test_a_checkpoint_that_is_wrong_is_refused_as_settings_are(models):
    with pytest.raises(SettingsError, match="models"):
        recorded_settings("hybrid", {"models": models}, where="a checkpoint")
