import math
from typing import Any

import pytest
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.connectors.connector_v2 import ConnectorV2

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.config_keys import apply_settings, check_settings, config_keys
from rllib_recattn.migration.old_files.old_names import CONFIG
from rllib_recattn.rl_module.algorithms import CONFIG_CLASSES
from rllib_recattn.scope import Scope


class Piece(ConnectorV2):
    def __init__(self, *, size: int = 1):
        super().__init__()
        self.size = size + 0

    def __call__(self, *, batch, **kwargs):
        return batch


def apply(settings: dict[str, Any]) -> PPOConfig:
    config, scope = PPOConfig(), Scope("x.yaml: a.config")
    apply_settings(config, check_settings(config, settings, scope), scope)
    scope.raise_problems()
    return config


@pytest.mark.parametrize(
    ("setting", "method"),
    [
        ("lr", "training"),
        ("lambda_", "training"),
        ("num_env_runners", "env_runners"),
        ("env_config", "environment"),
        ("model_config", "rl_module"),
        ("seed", "debugging"),
        ("evaluation_interval", "evaluation"),
        ("num_gpus_per_learner", "learners"),
        # RLlib deprecated it in training().
        ("learner_config_dict", "learners"),
        ("restart_failed_env_runners", "fault_tolerance"),
    ],
)
def test_settings_are_found_in_the_methods_that_take_them(setting, method):
    assert config_keys(PPOConfig)[setting].method == method


def test_old_names_lead_to_present_ones():
    assert set(CONFIG.values()) <= {name for each in CONFIG_CLASSES.values() for name in config_keys(each)}


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("lr", 1),
        ("lr", 3e-4),
        ("lr", [[0, 1e-3], [100_000, 1e-5]]),
        ("entropy_coeff", [[0, 0.1], [1000, 0]]),
        ("gamma", 1),
        ("grad_clip", None),
        ("grad_clip_by", "global_norm"),
        ("vf_clip_param", math.inf),
        ("vf_clip_param", 10**12),
        ("minibatch_size", None),
        ("num_env_runners", 0),
        ("num_cpus_per_env_runner", 0.5),
        ("num_cpus_per_learner", "auto"),
        ("num_gpus_per_learner", 0.25),
        ("custom_resources_per_env_runner", {"accelerator": 1}),
        ("rollout_fragment_length", "auto"),
        ("rollout_fragment_length", 20),
        ("batch_mode", "complete_episodes"),
        ("clip_rewards", True),
        ("clip_rewards", 1.5),
        ("clip_actions", False),
        ("evaluation_duration", "auto"),
        ("evaluation_interval", None),
        ("model_config", {"fcnet_hiddens": [64]}),
        ("seed", None),
        ("seed", 0),
        ("log_level", "ERROR"),
        ("framework", "torch"),
        ("gym_env_vectorize_mode", "async"),
        ("enable_rl_module_and_learner", True),
        ("torch_ddp_kwargs", {"find_unused_parameters": True}),
        ("merge_env_runner_states", "training_only"),
    ],
)
def test_legitimate_values_arrive(setting, value):
    attribute = {"framework": "framework_str", "model_config": "_model_config"}.get(setting, setting)
    assert getattr(apply({setting: value}), attribute) == value


def test_whole_numbers_may_be_written_as_floats():
    batch_size = apply({"train_batch_size_per_learner": 1e4}).train_batch_size_per_learner
    assert (batch_size, type(batch_size)) == (10_000, int)


def test_evaluation_config_is_checked_by_the_same_rules():
    assert apply({"evaluation_config": {"explore": False}}).evaluation_config == {"explore": False}
    with pytest.raises(SettingsError, match=r"a\.config\.evaluation_config: unknown setting 'explor': did you mean"):
        apply({"evaluation_config": {"explor": False}})


@pytest.mark.parametrize(
    ("setting", "value", "problem"),
    [
        ("num_env_runnerz", 1, ": unknown setting 'num_env_runnerz': did you mean 'num_env_runners'"),
        ("qqqqq", 1, ": unknown setting 'qqqqq': the parameters of PPOConfig's methods are valid"),
        ("self", 1, ": unknown setting 'self'"),
        ("lr", "fast", ": lr = 'fast': should be a number or a list"),
        ("lr", [0.1], ": lr = [0.1]: should be a number or a list [[step, value], …]"),
        ("lr", None, ": lr = None: should be a number or a list"),
        ("lr", True, ": lr = True: should be a number or a list"),
        ("lr", -0.1, ": lr = -0.1: should be at least 0"),
        ("lr", math.inf, ": lr = inf: should be finite"),
        ("lr", [[0, 1e-3], [1000, math.inf]], ": lr = [[0, 0.001], [1000, inf]]: should be finite"),
        ("entropy_coeff", math.inf, ": entropy_coeff = inf: should be finite"),
        ("entropy_coeff", 1e300, ": entropy_coeff = 1e+300: should be finite, also in float32"),
        ("lr", [[0, -1.0], [100, 0.1]], ": lr = [[0, -1.0], [100, 0.1]]: should be at least 0"),
        ("output_max_rows_per_file", -4, ": output_max_rows_per_file = -4: should be at least 1"),
        ("sample_timeout_s", -1, ": sample_timeout_s = -1: should be at least 0"),
        ("metrics_num_episodes_for_smoothing", 0, ": metrics_num_episodes_for_smoothing = 0: should be at least 1"),
        ("vf_loss_coeff", math.nan, ": vf_loss_coeff = nan: should be finite"),
        ("clip_rewards", math.inf, ": clip_rewards = inf: should be finite"),
        ("vf_clip_param", -math.inf, ": vf_clip_param = -inf: should be finite"),
        ("gamma", 1.5, ": gamma = 1.5: should be between 0 and 1"),
        ("num_epochs", 1.5, ": num_epochs = 1.5: should be a whole number"),
        ("num_epochs", 0, ": num_epochs = 0: should be at least 1"),
        ("train_batch_size_per_learner", 1e30, "should be at most 2147483647"),
        ("num_envs_per_env_runner", 10**26, "should be at most 2147483647"),
        ("evaluation_interval", 10**10, "should be at most 2147483647"),
        ("seed", -1, ": seed = -1: should be at least 0"),
        ("optimizer", {"type": "foo"}, ".optimizer has no effect on RLlib's new API stack: learners use Adam"),
        ("num_env_runners", None, ": num_env_runners = None: should be a whole number"),
        ("num_env_runners", -1, ": num_env_runners = -1: should be at least 0"),
        ("minibatch_size", "512", ": minibatch_size = '512': should be a whole number or null"),
        ("explore", "yes", ": explore = 'yes': should be true or false"),
        ("explore", 1, ": explore = 1: should be true or false"),
        ("rollout_fragment_length", "otto", ": `rollout_fragment_length` must be int >0 or 'auto'!"),
        ("batch_mode", "episodes", ": batch_mode = 'episodes': should be truncate_episodes or complete_episodes"),
        ("framework", "tf2", ": framework = 'tf2': should be torch"),
        ("enable_rl_module_and_learner", False, ": enable_rl_module_and_learner = False: should be true"),
        ("gym_env_vectorize_mode", "fast", "should be sync or async or vector_entry_point"),
        ("callbacks_class", "my.Callbacks", ".callbacks_class: belongs one level up, into the 'callbacks' block"),
        ("policies", ["a"], ".policies: belongs one level up, into the 'multi_agent' block"),
        ("env_runner_cls", "my.Runner", ".env_runner_cls takes Python objects, which YAML cannot express"),
        ("observation_space", {}, ".observation_space takes Python objects"),
        ("observation_filter", "MeanFilter", "should be NoFilter or MeanStdFilter"),
        ("env_to_module_connector", 3, "should be the path of a connector piece"),
        ("env_to_module_connector", "no_such_package:Piece", "there is no package 'no_such_package'"),
        ("env_to_module_connector", "ray.rllib.connectors.env_to_module:Absent", "has no connector piece 'Absent'"),
        ("learner_connector", "ray.rllib.algorithms.ppo:PPO", "should be a subclass of ray.rllib.connectors"),
        (
            "module_to_env_connector",
            {f"{__name__}:Piece": {"sise": 2}},
            "Piece cannot be called with these arguments: got an unexpected keyword argument 'sise'",
        ),
        ("module_to_env_connector", {f"{__name__}:Piece": {"size": "x"}}, "Piece: cannot be made: TypeError: "),
        ("learner_class", "ray.rllib.algorithms.ppo:PPO", "has no learner class 'PPO', a subclass of ray."),
        ("learner_class", 3, "should be the path of a class"),
        ("module_class", "ray.rllib.algorithms.ppo:PPO", "has no module class 'PPO'"),
        ("evaluation_config", {"observation_filter": "MeanStdFilter"}, "evaluation_config.observation_filter: belongs"),
        ("evaluation_config", {"learner_connector": "a.B"}, "evaluation_config.learner_connector: belongs into"),
        ("model", {"fcnet_hiddens": [3]}, ".model has no effect on RLlib's new API stack: the networks are those of"),
    ],
)
def test_wrong_settings_are_refused(setting, value, problem):
    with pytest.raises(SettingsError) as error:
        apply({setting: value})
    assert str(error.value).startswith("x.yaml: a.config" + problem[: problem.startswith((":", "."))])
    assert problem in str(error.value)


def test_overrides_of_modules_are_checked_by_the_same_rules():
    overrides = {"default_policy": {"lr": 0.1}}
    config = apply({"algorithm_config_overrides_per_module": overrides})
    assert config.algorithm_config_overrides_per_module == overrides
    with pytest.raises(SettingsError, match=r"per_module\.default_policy: unknown setting 'lrr': did you mean 'lr'"):
        apply({"algorithm_config_overrides_per_module": {"default_policy": {"lrr": 0.1}}})


def test_all_problems_are_reported_at_once():
    with pytest.raises(SettingsError) as error:
        apply({"lr": "fast", "gama": 1, "num_epochs": 2})
    assert len(str(error.value).splitlines()) == 2


def test_no_number_of_a_config_may_be_infinite_but_for_limits():
    """Every setting that takes a number, whatever later versions of RLlib add."""
    keys = config_keys(PPOConfig)
    infinite = []
    for name in keys:
        try:
            apply({name: math.inf})
            infinite.append(name)
        except SettingsError:
            pass
    assert set(infinite) <= {"grad_clip", "vf_clip_param"}
