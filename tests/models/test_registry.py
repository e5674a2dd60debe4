"""The catalog, its own models and others', and the errors for settings that are wrong."""

import inspect
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import Field

import rllib_recattn as ra
from rllib_recattn.errors import SettingsError
from rllib_recattn.model_v2.settings import ModelV2Settings
from rllib_recattn.models import registry
from rllib_recattn.models.agalite import AGaLiTeSettings
from rllib_recattn.models.base import ModelSettings, SequenceModel
from rllib_recattn.models.gru import GRUSettings
from rllib_recattn.rl_module.recurrence import RecurrenceSettings


class MineSettings(GRUSettings):
    """The settings of someone else's model."""

    d_model: int = Field(24, gt=0)


@pytest.fixture
def catalog(monkeypatch):
    """A copy of the catalog, to register models in."""
    copy = dict(registry._CATALOG)
    monkeypatch.setattr(registry, "_CATALOG", copy)
    return copy


def register(name: Any = "mine", settings: Any = MineSettings):
    ra.register_model(name, settings, description="a model", source="a paper")


def test_models_lists_the_catalog_with_a_description_and_a_source():
    listing = {info.name: info for info in ra.list_models()}
    assert listing.keys() >= {"agalite", "lstm", "gru"}
    assert all(info.description and info.source for info in listing.values())


def test_a_model_of_the_catalog_is_the_file_of_its_name(own_models):
    interface = {"__init__", "base", "catalog", "diagnostics", "other_names", "registry", "torch_internals"}
    files = {path.stem for path in Path(registry.__file__).parent.glob("*.py")}
    assert files - interface == set(registry.model_names())
    for info in ra.list_models():
        assert info.settings.__module__ == f"rllib_recattn.models.{info.name}"


@pytest.mark.parametrize("info", ra.list_models(), ids=lambda info: info.name)
def test_the_listed_state_size_is_that_of_the_default_model(info):
    assert (
        info.state_size + 6 * info.state_per_feature == ra.build_model(info.name, input_dim=7).initial_state(1).numel()
    )
    assert info.state_per_feature == (3 if info.name == "frame_stack" else 0)


def test_to_ask_for_a_state_size_changes_nobodys_random_numbers(catalog):
    register()
    before = torch.get_rng_state()
    assert catalog["mine"].state_size == 24
    assert torch.equal(torch.get_rng_state(), before)


def test_a_registered_model_is_built_and_listed_like_any_other(catalog):
    register()
    assert ra.build_model("mine", input_dim=3).output_dim == 24
    assert ra.list_models()[-1] == registry.ModelInfo("mine", "a model", "a paper", MineSettings)
    with pytest.raises(SettingsError, match="did you mean 'mine'"):
        ra.build_model("minn", input_dim=3)


def test_registering_again_is_fine_also_when_the_class_was_made_anew(catalog):
    register()
    register()
    again = type("MineSettings", (MineSettings,), {"__module__": MineSettings.__module__})
    register(settings=again)
    assert catalog["mine"].settings is again


def test_built_in_models_cannot_be_replaced(catalog):
    before = dict(catalog)
    with pytest.raises(SettingsError, match=r"the name 'agalite' is taken by rllib_recattn.models.agalite.AGaLiTeS"):
        register("agalite")
    register("agalite", AGaLiTeSettings)
    assert catalog == before


def test_a_name_that_another_model_has_is_refused(catalog):
    register()
    with pytest.raises(SettingsError, match=r"the name 'mine' is taken by tests.models.test_registry.MineSettings; "):
        register(settings=type("Others", (MineSettings,), {}))
    assert catalog["mine"].settings is MineSettings


@pytest.mark.parametrize("name", ["", "my model", "package:model", "2mine", "-mine", "mine\n", "ä", None, 3])
def test_names_that_are_none_are_refused(catalog, name):
    with pytest.raises(SettingsError, match=r"register_model: name = .*should be a letter, then letters"):
        register(name)


class Abstract(ModelSettings):
    """Cannot build anything."""


class WithoutDefault(MineSettings):
    """Has a setting without a default."""

    width: int


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (dict, r"settings = <class 'dict'>: should be a subclass of ModelSettings"),
        (MineSettings(), r"settings = MineSettings\(.*should be a subclass of ModelSettings"),
        (Abstract, "Abstract should define build, output_dim"),
        (WithoutDefault, "WithoutDefault.width: should have a default"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(catalog, settings, problem):
    with pytest.raises(SettingsError, match=problem):
        register(settings=settings)


@pytest.mark.parametrize("time", ["once", "and again"])
def test_what_a_test_registers_is_unknown_in_the_next_one(time, tmp_path, monkeypatch):
    module = "import rllib_recattn as ra\nfrom rllib_recattn.models.gru import GRUSettings\n\n\n"
    module += "class NextSettings(GRUSettings):\n    pass\n\n\n"
    module += "ra.register_model('next', NextSettings, description='a model', source='a paper')\n"
    (tmp_path / "module_of_next.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    assert "next" not in registry.model_names()
    assert ra.build_model("module_of_next:next", input_dim=3, d_model=2).output_dim == 2
    assert "next" in registry.model_names()


@pytest.mark.parametrize("key", sorted(registry.RESERVED_SETTINGS))
def test_settings_with_a_reserved_name_are_refused(catalog, key):
    settings = type("Mine", (MineSettings,), {"__annotations__": {key: int}, key: 3})
    with pytest.raises(SettingsError, match=rf"Mine\.{key}: should have another name"):
        register(settings=settings)


def test_reserved_is_what_stands_beside_a_models_settings():
    functions = [inspect.signature(function).parameters for function in (ra.build_model, ra.use_model)]
    arguments = {name for parameters in functions for name in parameters} - {"settings"}
    beside = RecurrenceSettings.model_fields.keys() | ModelV2Settings.model_fields.keys()
    assert arguments | beside | {"name"} == registry.RESERVED_SETTINGS


@pytest.mark.parametrize(
    ("name", "qualified"),
    [("agalite", "agalite"), ("mine", "tests.models.test_registry:mine"), ("anywhere:mine", "anywhere:mine")],
)
def test_other_processes_find_a_model_by_its_module(catalog, monkeypatch, name, qualified):
    register()
    monkeypatch.setitem(sys.modules, "anywhere", sys.modules[__name__])
    assert registry.qualified_name(name) == qualified


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("import no_such_package", "No module named 'no_such_package'; should be installed, or lie in"),
        ("raise RuntimeError('first\\nsecond')", "first second"),
        ("raise RuntimeError", "RuntimeError"),
        ("import json", "unknown model 'broken_module:ema': 'broken_module' registers no 'ema': valid are: "),
    ],
)
def test_a_module_that_does_not_register_the_model_is_named_with_the_reason(tmp_path, monkeypatch, content, reason):
    (tmp_path / "broken_module.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_module", raising=False)
    with pytest.raises(SettingsError, match=reason) as error:
        ra.build_model("broken_module:ema", input_dim=3)
    assert "'broken_module:ema'" in str(error.value)


@pytest.mark.parametrize("name", [":ema", ".relative:ema", ":", "a b:ema"])
def test_modules_that_are_none_are_refused(name):
    with pytest.raises(SettingsError, match="cannot be imported"):
        ra.build_model(name, input_dim=3)


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
        ({"frequencies": "distict"}, r"frequencies = 'distict': .*'distinct', 'published' or 'paper'"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(SettingsError, match=message):
        ra.build_model("agalite", input_dim=6, **settings)


def test_all_wrong_settings_are_named_at_once():
    with pytest.raises(SettingsError, match=r"(?s)n_head.*d_modell"):
        ra.build_model("agalite", input_dim=6, n_head=4, d_modell=3)


def test_an_unknown_model_is_refused_with_a_suggestion():
    with pytest.raises(SettingsError, match=r"unknown model 'agalit': did you mean 'agalite'"):
        ra.build_model("agalit", input_dim=6)


@pytest.mark.parametrize("name", [None, 3, ["agalite"]])
def test_a_model_that_is_no_text_is_refused(name):
    with pytest.raises(SettingsError, match=r"unknown model .*: should be a name"):
        ra.build_model(name, input_dim=6)


@pytest.mark.parametrize("input_dim", [0, -1, "6", 2.5])
def test_input_dim_must_be_a_positive_integer(input_dim):
    with pytest.raises(SettingsError, match="input_dim"):
        ra.build_model("agalite", input_dim=input_dim)
