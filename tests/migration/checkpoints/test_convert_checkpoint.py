"""Which checkpoints are converted, into what, and what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.core.rl_module.rl_module import RLModule
from ray.rllib.env.multi_agent_env import make_multi_agent
from ray.rllib.policy.policy import PolicySpec

import rllib_recattn as ra
from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.input_settings import WITHOUT_MLP
from rllib_recattn.migration.checkpoints.names import rl_module_weights
from rllib_recattn.migration.checkpoints.reading import read_checkpoint
from rllib_recattn.models.agalite import AGaLiTeSettings
from tests.migration.checkpoints.agents import LENGTH, RecordedEnv, assert_same_bits, greedy_config, trained, weights_of
from tests.model_v2.old_stack import TINY
from tests.rl_module.inputs.random_env import OBSERVATIONS, random_env_config

MODULES = ("learner_group", "learner", "rl_module")
RecordedEnvs = make_multi_agent(RecordedEnv)


@pytest.fixture(scope="module")
def old(ray_session, tmp_path_factory):
    """A checkpoint of an old-stack algorithm with one AGaLiTe."""
    return trained(greedy_config(), tmp_path_factory.mktemp("old") / "checkpoint")


@pytest.fixture(scope="module")
def new(old, tmp_path_factory):
    """The same agent's on the new stack."""
    return ra.convert_checkpoint(old, tmp_path_factory.mktemp("new") / "checkpoint")


def new_stack_config(**settings):
    """A new-stack config for the agent of `old`, but for `settings`."""
    config = random_env_config(OBSERVATIONS["vector"], Discrete(3), length=LENGTH)
    if "model" not in settings:  # what is not said on the old stack means what it meant at first
        settings = {**AGaLiTeSettings.unstated, **settings}
    settings = {"max_seq_len": 4, **TINY["agalite"], **settings}
    return ra.use_model(config, settings.pop("model", "agalite"), **{"encoder": WITHOUT_MLP, **settings})


@pytest.mark.parametrize("algorithm", ["APPO", "IMPALA"])
def test_other_algorithms(ray_session, tmp_path, algorithm):
    checkpoint = trained(greedy_config("gru", algorithm), tmp_path / "old")
    new = ra.convert_checkpoint(checkpoint, tmp_path / "new")
    back = ra.convert_checkpoint(new, tmp_path / "back")
    assert_same_bits(weights_of(back)["default_policy"], weights_of(checkpoint)["default_policy"])
    # RLModule.from_checkpoint makes no target networks; the learner does.
    state = pickle.loads(new.joinpath(*MODULES, "default_policy", "module_state.pkl").read_bytes())
    targets = [name for name in state if name.startswith("_old_")]
    assert bool(targets) == (algorithm == "APPO")
    for name in targets:
        np.testing.assert_array_equal(state[name], state[name.removeprefix("_old_")])


def test_training_goes_on_with_what_was_converted(new, old, tmp_path):
    back = ra.convert_checkpoint(new, tmp_path / "back")
    for checkpoint in (new, back):
        algorithm = Algorithm.from_checkpoint(str(checkpoint))
        try:
            assert algorithm.train()["num_env_steps_sampled_lifetime"] == 32
        finally:
            algorithm.stop()


def test_the_new_checkpoint_holds_the_users_config(ray_session, tmp_path):
    config = greedy_config().env_runners(num_env_runners=3, num_envs_per_env_runner=5, rollout_fragment_length="auto")
    config.training(lr=0.1, lr_schedule=[[10, 0.2], [20, 0.1]], entropy_coeff_schedule=[[0, 0.3], [9, 0.0]], gamma=0.9)
    config.evaluation(evaluation_interval=2, evaluation_num_env_runners=1).resources(num_gpus=0.5)
    checkpoint = trained(greedy_config(), tmp_path / "old")
    new = ra.convert_checkpoint(checkpoint, tmp_path / "new", on_new_stack(config))
    written = read_checkpoint(new).config
    assert (written.num_env_runners, written.num_envs_per_env_runner) == (3, 5)
    assert (written.evaluation_interval, written.evaluation_num_env_runners) == (2, 1)
    assert written.lr == [[0, 0.2], [10, 0.2], [20, 0.1]]
    assert written.entropy_coeff == [[0, 0.3], [9, 0.0]]
    assert (written.lr_schedule, written.entropy_coeff_schedule) == (None, None)
    assert (written.gamma, written.train_batch_size_per_learner) == (0.9, 32)
    assert (written.num_gpus, written.num_gpus_per_learner) == (0, 0.5)


def test_schedules_come_back(ray_session, tmp_path):
    config = new_stack_config().training(lr=[[0, 0.2], [10, 0.1]], entropy_coeff=0.3, train_batch_size_per_learner=24)
    config.learners(num_learners=2, num_gpus_per_learner=0.5)
    old = on_old_stack(config)
    assert (old.lr, old.lr_schedule) == (0.2, [[0, 0.2], [10, 0.1]])
    assert (old.entropy_coeff, old.entropy_coeff_schedule) == (0.3, None)
    assert (old.train_batch_size, old.num_gpus) == (48, 0.5)
    assert old.exploration_config == {"type": "StochasticSampling"}


def on_new_stack(config):
    from rllib_recattn.migration.checkpoints import configs
    from rllib_recattn.migration.checkpoints.agent import Agent

    return configs.on_new_stack(config, {"default_policy": Agent.of_model_dict(config.model, "model")})


def on_old_stack(config):
    from rllib_recattn.migration.checkpoints import configs
    from rllib_recattn.migration.checkpoints.agent import Agent

    agent = Agent.of_model_config(config.model_config, "model_config")
    return configs.on_old_stack(config, {"default_policy": agent})


def test_a_lone_policy_and_a_lone_module(old, new, tmp_path):
    policy, module = old / "policies" / "default_policy", new.joinpath(*MODULES, "default_policy")
    with pytest.raises(SettingsError, match="holds no algorithm's config; pass one on the new API stack"):
        ra.convert_checkpoint(policy, tmp_path / "none")
    with pytest.raises(SettingsError, match="holds no algorithm's config; pass one on the old API stack"):
        ra.convert_checkpoint(module, tmp_path / "none")
    from_policy = ra.convert_checkpoint(policy, tmp_path / "new", new_stack_config())
    state = RLModule.from_checkpoint(str(from_policy.joinpath(*MODULES, "default_policy"))).get_state()
    weights = rl_module_weights(weights_of(old)["default_policy"])
    assert_same_bits({name: state[name] for name in weights}, weights)
    from_module = ra.convert_checkpoint(module, tmp_path / "back", greedy_config())
    assert_same_bits(weights_of(from_module)["default_policy"], weights_of(old)["default_policy"])


def two_agents(**policies):
    """An old-stack config of agents with policies of their own; None: RLlib's network."""
    config = greedy_config()
    config.environment(RecordedEnvs, env_config={**config.env_config, "num_agents": len(policies)})
    network = config.model
    config.model = type(config)().model
    config.multi_agent(
        policies={
            name: PolicySpec(
                config={}
                if model is None
                else {"model": {**network, "custom_model_config": {"model": model, **TINY[model]}}}
            )
            for name, model in policies.items()
        },
        policy_mapping_fn=lambda agent_id, *_, **__: list(policies)[agent_id],
    )
    return config


def test_several_agents(ray_session, tmp_path):
    checkpoint = trained(two_agents(first="agalite", second="gtrxl"), tmp_path / "old")
    new = ra.convert_checkpoint(checkpoint, tmp_path / "new")
    modules = RLModule.from_checkpoint(str(new.joinpath(*MODULES)))
    assert {name: type(modules[name].encoder.encoder.model).__name__ for name in ("first", "second")} == {
        "first": "AGaLiTe",
        "second": "GTrXL",
    }
    back = ra.convert_checkpoint(new, tmp_path / "back")
    before, after = weights_of(checkpoint), weights_of(back)
    assert before.keys() == after.keys()
    for name in before:
        assert_same_bits(after[name], before[name])


def test_agents_without_a_model_of_ours_begin_anew_if_the_user_agrees(ray_session, tmp_path):
    checkpoint = trained(two_agents(first="gru", second=None), tmp_path / "old")
    with pytest.raises(SettingsError, match=r"second: has no model of this package.*policies="):
        ra.convert_checkpoint(checkpoint, tmp_path / "new")
    new = ra.convert_checkpoint(checkpoint, tmp_path / "new", policies=["first"])
    modules = RLModule.from_checkpoint(str(new.joinpath(*MODULES)))
    assert not modules["second"].is_stateful()
    weights = rl_module_weights(weights_of(checkpoint)["first"])
    state = modules["first"].get_state()
    assert_same_bits({name: state[name] for name in weights}, weights)
    with pytest.raises(SettingsError, match=r"has no policy 'frist': did you mean 'first'\?"):
        ra.convert_checkpoint(checkpoint, tmp_path / "no", policies=["frist"])


@pytest.mark.parametrize(
    ("settings", "difference"),
    [
        ({"d_model": 16}, "d_model: 8 and 16"),
        ({"frequencies": "published"}, "frequencies: 'distinct' and 'published'"),
        ({"vf_share_layers": False}, "vf_share_layers: True and False"),
        ({"use_prev_reward": True}, "use_prev_reward: False and True"),
        (
            {"encoder": "mlp"},
            "encoder: {'type': 'auto', 'widths': [], 'activation': 'relu', 'channels': 'auto'} and {'type': 'mlp'",
        ),
        ({"model": "galite"}, "model: 'agalite' and 'galite'"),
    ],
)
def test_other_networks_are_refused_and_nothing_is_written(old, tmp_path, settings, difference):
    if settings.get("model") == "galite":
        config = random_env_config(OBSERVATIONS["vector"], Discrete(3), length=LENGTH)
        config = ra.use_model(config, "galite", max_seq_len=4, encoder=WITHOUT_MLP, **TINY["galite"])
    else:
        config = new_stack_config(**settings)
    with pytest.raises(SettingsError) as error:
        ra.convert_checkpoint(old, tmp_path / "new", config)
    assert "in the checkpoint and in config are " in str(error.value)
    assert f" {difference}" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_heads_with_hidden_layers_are_refused(new, ray_session, tmp_path):
    config = new_stack_config().rl_module(model_config={"head_fcnet_hiddens": [5], **new_stack_config().model_config})
    config._model_config["head_fcnet_hiddens"] = [5]
    algorithm = config.build_algo()
    try:
        algorithm.save_to_path(str(tmp_path / "heads"))
    finally:
        algorithm.stop()
    with pytest.raises(SettingsError, match=r"head_fcnet_hiddens: \[5\] and \[\]"):
        ra.convert_checkpoint(tmp_path / "heads", tmp_path / "old")


def test_other_spaces_are_refused(old, tmp_path):
    config = new_stack_config().environment(
        env_config={"observation_space": Box(-1, 1, (4,), np.float32), "action_space": Discrete(2)}
    )
    with pytest.raises(SettingsError) as error:
        ra.convert_checkpoint(old, tmp_path / "new", config)
    assert "encoder.encoder.model.embedding.weight: [8, 3] and [8, 4]" in str(error.value)
    assert "pi.net.mlp.0.bias: [3] and [2]" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_read_or_written(old, new, tmp_path):
    with pytest.raises(SettingsError, match="there is no such directory"):
        ra.convert_checkpoint(tmp_path / "nothing", tmp_path / "new")
    with pytest.raises(SettingsError, match="should be the directory of a checkpoint"):
        ra.convert_checkpoint(tmp_path, tmp_path / "new")
    with pytest.raises(SettingsError, match="should not exist yet"):
        ra.convert_checkpoint(old, tmp_path)
    with pytest.raises(SettingsError, match="config is on the old API stack, as the checkpoint is"):
        ra.convert_checkpoint(old, tmp_path / "new", greedy_config())
    with pytest.raises(SettingsError, match="config is on the new API stack, as the checkpoint is"):
        ra.convert_checkpoint(new, tmp_path / "old", new_stack_config())
    with pytest.raises(SettingsError, match=r"policies = 'default_policy': should be a list of \['default_policy'\]"):
        ra.convert_checkpoint(old, tmp_path / "new", policies="default_policy")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "policy_state.pkl").write_bytes(b"cos\nnothing_at_all\n.")
    with pytest.raises(SettingsError, match="cannot be read"):
        ra.convert_checkpoint(broken, tmp_path / "new")


def test_half_a_checkpoint_is_none(old, tmp_path, monkeypatch):
    def fails(self, directory):
        (tmp_path / "new" / "half").write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(Algorithm, "save_checkpoint", fails)
    with pytest.raises(OSError, match="disk full"):
        ra.convert_checkpoint(old, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def with_filter(config):
    config.observation_filter = "MeanStdFilter"


def with_policy_settings(config):
    config.policies = {"default_policy": PolicySpec(config={"lr": 0.1})}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_filter, "observation_filter = 'MeanStdFilter': the new API stack filters"),
        (with_policy_settings, "the policy 'default_policy' has its own lr, which cannot be converted; pass"),
    ],
)
def test_old_configs_that_cannot_be_translated(ray_session, change, message):
    config = greedy_config()
    change(config)
    with pytest.raises(SettingsError, match=message):
        on_new_stack(config)


def test_new_configs_that_cannot_be_translated(ray_session):
    config = new_stack_config().env_runners(env_to_module_connector=lambda env, spaces, device: [])
    with pytest.raises(SettingsError, match="env_to_module_connector has no counterpart in the old API stack"):
        on_old_stack(config)
    config = new_stack_config().multi_agent(algorithm_config_overrides_per_module={"default_policy": {"lr": 0.1}})
    with pytest.raises(SettingsError, match="algorithm_config_overrides_per_module cannot be converted"):
        on_old_stack(config)


def test_without_the_old_stack_it_says_so(monkeypatch):
    def removed(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("rllib_recattn.model_v2.import_module", removed)
    with pytest.raises(SettingsError, match=r"rllib_recattn.convert_checkpoint: Ray .* has no old API stack any more"):
        _ = ra.convert_checkpoint
