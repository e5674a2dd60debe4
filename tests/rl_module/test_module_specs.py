"""RLModule specs that a config has already: those that hold nothing of the user's own are taken, as are own modules."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from ray.rllib.algorithms.appo import APPOConfig
from ray.rllib.algorithms.appo.torch.default_appo_torch_rl_module import DefaultAPPOTorchRLModule
from ray.rllib.algorithms.bc import BCConfig
from ray.rllib.algorithms.impala import IMPALAConfig
from ray.rllib.algorithms.marwil import MARWILConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.algorithms.ppo.ppo_catalog import PPOCatalog
from ray.rllib.algorithms.ppo.torch.default_ppo_torch_rl_module import DefaultPPOTorchRLModule
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModule, MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

import rllib_recattn as ra
from rllib_recattn.errors import SettingsError
from rllib_recattn.models.gru import GRU
from rllib_recattn.rl_module.catalog import RecAttnCatalog
from rllib_recattn.rl_module.modules import RecAttnAPPOModule, RecAttnPPOModule
from tests.rl_module.small_agents import small_stock_config
from tests.rl_module.test_use_model import SPACES

GRU_8 = {"d_model": 8, "max_seq_len": 9}


class Mine(RecAttnPPOModule):
    """A user's own module: this package's, with something added."""

    mine = True


class MineOfAPPO(RecAttnAPPOModule):
    pass


class OwnCatalog(RecAttnCatalog):
    pass


class Other(DefaultPPOTorchRLModule):
    """A module without memory."""


class OtherCatalog(PPOCatalog):
    pass


class OwnSeveral(MultiRLModule):
    pass


def several(spec, **more):
    return MultiRLModuleSpec(rl_module_specs={DEFAULT_MODULE_ID: spec, **more})


def module_of(config, **how):
    return config.get_rl_module_spec(spaces=SPACES, **how).build()


def assert_has_gru(module):
    assert module.is_stateful()
    assert isinstance(module.encoder.encoder.model, GRU)
    assert module.model_config["max_seq_len"] == 9


@pytest.mark.parametrize("wrapped", [False, True], ids=["spec", "in a MultiRLModuleSpec"])
@pytest.mark.parametrize(
    ("config", "spec", "expected"),
    [
        (PPOConfig, RLModuleSpec(), RecAttnPPOModule),
        (PPOConfig, RLModuleSpec(module_class=DefaultPPOTorchRLModule), RecAttnPPOModule),
        (PPOConfig, RLModuleSpec(module_class=DefaultPPOTorchRLModule, catalog_class=PPOCatalog), RecAttnPPOModule),
        (APPOConfig, RLModuleSpec(module_class=DefaultAPPOTorchRLModule), RecAttnAPPOModule),
        (IMPALAConfig, IMPALAConfig().get_default_rl_module_spec(), RecAttnPPOModule),
        (BCConfig, BCConfig().get_default_rl_module_spec(), RecAttnPPOModule),
        (MARWILConfig, RLModuleSpec(), RecAttnPPOModule),
        (PPOConfig, RLModuleSpec(module_class=Mine), Mine),
        (APPOConfig, RLModuleSpec(module_class=MineOfAPPO), MineOfAPPO),
    ],
)
def test_a_spec_with_nothing_of_the_users_own_or_a_module_that_fits_is_taken(config, spec, expected, wrapped):
    before = several(spec) if wrapped else spec
    made = ra.use_model(config().rl_module(rl_module_spec=before), "gru", **GRU_8)
    module = module_of(made)
    assert type(module) is expected
    assert_has_gru(module)
    # A second call replaces the model and keeps the module.
    again = module_of(ra.use_model(made, "lstm", d_model=8))
    assert type(again) is expected
    assert not isinstance(again.encoder.encoder.model, GRU)


@pytest.mark.parametrize("form", [dict, DefaultModelConfig])
@pytest.mark.parametrize("wrapped", [False, True])
def test_what_the_specs_model_config_says_counts_before_the_configs(form, wrapped):
    spec = RLModuleSpec(model_config=form(head_fcnet_hiddens=[13], fcnet_hiddens=[7]))
    config = PPOConfig().rl_module(
        model_config={"head_fcnet_hiddens": [11], "vf_share_layers": False},
        rl_module_spec=several(spec) if wrapped else spec,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module = module_of(ra.use_model(config, "gru", **GRU_8))
    assert module.model_config["head_fcnet_hiddens"] == [13]
    assert not module.model_config["vf_share_layers"]
    assert module.encoder.actor_encoder.tokenizer.output_dim == 7


def test_one_policy_can_be_named_and_a_spec_may_stand_beside_learner_only_ones():
    spec = RLModuleSpec(module_class=Mine)
    named = ra.use_model(
        PPOConfig().rl_module(rl_module_spec=several(spec)), "gru", policies=["default_policy"], **GRU_8
    )
    assert_has_gru(module_of(named))
    beside = RLModuleSpec(module_class=Other, learner_only=True, observation_space=SPACES[DEFAULT_MODULE_ID][0])
    config = PPOConfig().rl_module(rl_module_spec=several(spec, curiosity=beside))
    module = module_of(ra.use_model(config, "gru", **GRU_8), inference_only=True)  # as EnvRunners ask
    assert_has_gru(module)
    assert type(module) is Mine
    assert set(config.rl_module_spec.rl_module_specs) == {DEFAULT_MODULE_ID, "curiosity"}


def test_the_users_class_of_several_modules_is_kept():
    spec = several(RLModuleSpec())
    spec.multi_rl_module_class = OwnSeveral
    config = ra.use_model(PPOConfig().rl_module(rl_module_spec=spec), "gru", **GRU_8)
    assert type(config.get_multi_rl_module_spec(spaces=SPACES).build()) is OwnSeveral
    assert_has_gru(module_of(config, inference_only=True))


def test_the_only_policy_of_several_agents_need_not_be_named():
    config = PPOConfig().multi_agent(policies={"all"}, policy_mapping_fn=lambda *_, **__: "all")
    config.rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs={"all": RLModuleSpec()}))
    ra.use_model(config, "gru", **GRU_8)
    assert_has_gru(config.get_multi_rl_module_spec(spaces={"all": SPACES[DEFAULT_MODULE_ID]}).build()["all"])


@pytest.mark.parametrize("spec", [RLModuleSpec(module_class=Mine), RLModuleSpec(Mine, catalog_class=OwnCatalog)])
def test_a_module_of_the_users_own_may_come_after_use_model(spec):
    """RLlib adds its own catalog to a spec that names none, with which the module would have no memory."""
    module = module_of(ra.use_model(PPOConfig(), "gru", **GRU_8).rl_module(rl_module_spec=spec))
    assert type(module) is Mine
    assert_has_gru(module)
    assert type(module.catalog) is (spec.catalog_class or RecAttnCatalog)


@pytest.mark.parametrize(
    ("config", "spec", "message"),
    [
        (
            PPOConfig,
            RLModuleSpec(module_class=Other),
            "module_class = Other: should be left out, or inherit .*PPO",
        ),
        (APPOConfig, RLModuleSpec(module_class=Mine), "module_class = Mine: .* inherit from .*RecAttnAPPOModule"),
        (PPOConfig, RLModuleSpec(catalog_class=OtherCatalog), "catalog_class = OtherCatalog: .*RecAttnCatalog"),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_what_has_no_memory_is_refused_and_leaves_the_config_as_it_was(config, spec, message, wrapped):
    config = config().rl_module(rl_module_spec=several(spec) if wrapped else spec)
    before = config.to_dict()
    with pytest.raises(SettingsError, match=message):
        ra.use_model(config, "gru")
    assert config.to_dict() == before


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_training_begins_with_the_weights_of_load_state_path(ray_session, tmp_path, wrapped):
    trained = ra.use_model(small_stock_config(), "gru", **GRU_8).build_algo()
    try:
        weights = trained.get_module().get_state()
        trained.get_module().save_to_path(tmp_path / "module")
    finally:
        trained.stop()
    spec = RLModuleSpec(load_state_path=str(tmp_path / "module"))
    config = small_stock_config().rl_module(rl_module_spec=several(spec) if wrapped else spec).debugging(seed=1)
    other = ra.use_model(config, "gru", **GRU_8).build_algo()
    try:
        begun = other.learner_group.get_weights()[DEFAULT_MODULE_ID]
        acting = other.get_module().get_state()
    finally:
        other.stop()
    assert any(name.startswith("encoder.") for name in weights)
    assert all(np.array_equal(value, begun[name]) for name, value in weights.items())
    assert all(np.array_equal(value, acting[name]) for name, value in weights.items() if not name.startswith("vf."))
