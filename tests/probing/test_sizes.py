"""Models of one size: each of the catalog, those with settings, and those whose size nobody can choose."""

from __future__ import annotations

import pytest

import rllib_recattn as ra
from rllib_recattn.errors import SettingsError
from rllib_recattn.models.gla import GLASettings
from rllib_recattn.models.gru import GRUSettings
from rllib_recattn.probing.sizes import count_parameters, size_model


def test_every_model_of_the_catalog_has_about_as_many_parameters():
    names = [info.name for info in ra.list_models() if info.settings.__module__.startswith("rllib_recattn.")]
    for wanted in (4_000, 50_000):
        sized = {name: size_model({"name": name}, wanted, 24) for name in names}
        searched = {name: model for name, model in sized.items() if model.searched}
        assert len(searched) > 8
        for name, model in searched.items():
            assert count_parameters(model.build(24)) == model.n_parameters, name
            assert model.build(24).state_size == model.state_size, name
            if wanted == 50_000:
                assert model.n_parameters == pytest.approx(wanted, rel=0.15), name


def test_no_other_width_is_nearer():
    for name, extra in (("gla", {"n_layers": 2, "n_heads": 2}), ("gru", {})):
        for wanted in (1, 3_000, 20_000):
            model = size_model({"name": name}, wanted, 24)

            def distance(width, name=name, extra=extra, wanted=wanted):
                heads = {"d_head": max(1, width // 2)} if extra else {}
                n = count_parameters(ra.build_model(name, input_dim=24, d_model=width, **heads, **extra))
                return max(n / wanted, wanted / n)

            width = model.block["d_model"]
            others = [width - 2, width + 2] if width > 2 else [width + 2]
            assert all(distance(width) <= distance(other) for other in others)


def test_what_is_set_stays():
    assert size_model({"name": "gla", "n_layers": 1, "n_heads": 3}, 9_000, 24).block | {"d_model": 0, "d_head": 0} == {
        "name": "gla",
        "n_layers": 1,
        "n_heads": 3,
        "d_model": 0,
        "d_head": 0,
    }
    by_head = size_model({"name": "gla", "d_model": 16, "conv_size": 4}, 20_000, 24)
    assert (by_head.block["d_model"], by_head.block["conv_size"], by_head.searched) == (16, 4, True)
    assert by_head.n_parameters == pytest.approx(20_000, rel=0.1)
    given = size_model({"name": "gla", "d_model": 16, "d_head": 8}, 20_000, 24)
    assert (given.block["d_model"], given.block["d_head"], given.searched) == (16, 8, False)


def test_a_hybrids_models_share_a_width():
    blocks = size_model({"name": "hybrid"}, 20_000, 24).block["models"]
    assert len({block["d_model"] for block in blocks}) == 1
    assert {block["n_layers"] for block in blocks} == {1}
    models = [{"name": "gru"}, {"name": "gla", "n_layers": 3, "d_model": 8, "d_head": 4}]
    sized = size_model({"name": "hybrid", "models": models}, 20_000, 24)
    assert sized.n_parameters == pytest.approx(20_000, rel=0.1)
    assert sized.block["models"][1] == {**models[1], "n_heads": 2}


def test_a_model_that_nobody_can_size_is_as_it_is():
    name = "tests.probing.registered:no_memory_of_tests"
    sized = size_model({"name": name}, 20_000, 24)
    assert (sized.block, sized.n_parameters, sized.state_size) == ({"name": name}, 200, 0)
    assert not sized.searched


def test_widths_that_a_model_refuses_are_passed_over(monkeypatch):
    build = GRUSettings.build

    def build_some(self, input_dim):
        if self.d_model % 6:
            raise SettingsError(f"d_model = {self.d_model}: should be a multiple of 6")
        return build(self, input_dim)

    monkeypatch.setattr(GRUSettings, "build", build_some)
    sized = size_model({"name": "gru"}, 5_000, 24)
    assert sized.block["d_model"] % 6 == 0
    assert sized.n_parameters == pytest.approx(5_000, rel=0.2)
    monkeypatch.setattr(
        GRUSettings, "build", lambda self, input_dim: build_some(self.model_copy(update={"d_model": 5}), 1)
    )
    with pytest.raises(SettingsError, match="should be a multiple of 6"):
        size_model({"name": "gru"}, 5_000, 24)


def test_a_model_whose_heads_take_few_widths_has_its_size_all_the_same(monkeypatch):
    build = GLASettings.build

    def build_some(self, input_dim):
        if self.d_head % 8:
            raise SettingsError(f"d_head = {self.d_head}: should be a multiple of 8")
        return build(self, input_dim)

    monkeypatch.setattr(GLASettings, "build", build_some)
    sized = size_model({"name": "gla"}, 50_000, 24)
    assert sized.block["d_head"] % 8 == 0
    assert sized.n_parameters == pytest.approx(50_000, rel=0.05)


def test_a_wrong_setting_is_named():
    with pytest.raises(SettingsError, match="unknown setting 'conv': did you mean 'conv_size'"):
        size_model({"name": "gla", "conv": 4}, 20_000, 24)
