from numbers import Number
from pathlib import Path

import gymnasium
import pytest
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.utils import force_list

from rllib_recattn.algorithms import ABILITIES
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.algorithm.resolved import resolved_yaml
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.experiment.definition.stop import STOP_METRICS
from rllib_recattn.experiment.definition.yaml_file import parse_yaml
from rllib_recattn.rl_module.algorithms import ALGORITHMS, algorithm_of
from rllib_recattn.rl_module.metrics import SuccessRateCallback

TUNED_EXAMPLES = sorted((Path(__file__).parents[3] / "tuned_examples").glob("*.yaml"))

MODEL = "model: {name: agalite, max_seq_len: 8, d_model: 16, n_layers: 1, n_heads: 2, d_head: 8}\n"


def load(tmp_path, content, env="rllib_recattn/TMaze-v0"):
    path = tmp_path / "x.yaml"
    lines = f"run: PPO\nenv: '{env}'\nstop: {{training_iteration: 1}}\n{content}".splitlines()
    path.write_text("maze:\n" + "".join(f"  {line}\n" for line in lines))
    return load_experiment(path)


def problem_of(tmp_path, content, env="rllib_recattn/TMaze-v0"):
    """Return what is wrong, without the file's name."""
    experiment = load(tmp_path, content, env)
    with pytest.raises(SettingsError) as error:
        build_config(experiment)
    return str(error.value).removeprefix(f"{experiment.path}: ")


def test_settings_and_model_arrive(tmp_path):
    config = build_config(load(tmp_path, MODEL + "config: {lr: 1e-3, env_config: {corridor_length: 5}, seed: 3}"))
    assert type(config) is PPOConfig
    assert (config.env, config.env_config) == ("rllib_recattn/TMaze-v0", {"corridor_length": 5})
    assert (config.lr, config.seed) == (0.001, 3)
    assert config.model_config["max_seq_len"] == 8
    assert config.model_config["recattn"]["model"] == "agalite"
    assert config.model_config["recattn"]["d_model"] == 16


@pytest.mark.parametrize(
    "algorithm", [each for each in ALGORITHMS if each.samples], ids=lambda algorithm: algorithm.name
)
def test_every_algorithm_is_built_with_its_own_learner_and_written_out_again(tmp_path, algorithm):
    sparse = algorithm.name == "DQN"  # always
    content = MODEL.replace("8,", f"8, sparse_states: {sparse}, rllib_fixes: {{vtrace_bootstrap: false}},", 1)
    experiment = load(tmp_path, content + "config: {num_env_runners: 1}").model_copy(update={"run": algorithm.name})
    config = build_config(experiment)
    assert type(config) is algorithm.config
    assert config.learner_class is algorithm.learner
    written = parse_yaml(resolved_yaml(experiment, config), "resolved")["maze"]
    assert written["run"] == algorithm.name
    assert written["model"]["sparse_states"] is sparse
    assert written["model"]["rllib_fixes"]["vtrace_bootstrap"] is False
    assert written["model"]["rllib_fixes"]["float32_state"] is True
    assert "recattn_training" not in written["config"].get("model_config", {})


def test_the_algorithms_of_the_files_are_those_of_use_model():
    assert list(ABILITIES) == [algorithm.name for algorithm in ALGORITHMS]
    for algorithm in ALGORITHMS:
        assert algorithm.config().algo_class is algorithm.algorithm
        assert algorithm_of(algorithm.config(), "here") is algorithm


@pytest.mark.parametrize("model", ["", MODEL])
def test_the_success_rate_is_reported_once(tmp_path, model):
    callbacks = force_list(build_config(load(tmp_path, model)).callbacks_class)
    assert callbacks.count(SuccessRateCallback) == 1


@pytest.mark.parametrize(
    ("env", "content", "mode"),
    [
        ("rllib_recattn/TMaze-v0", "", "vector_entry_point"),
        ("rllib_recattn:rllib_recattn/TMaze-v0", "", "vector_entry_point"),
        ("CartPole-v1", "", "vector_entry_point"),
        ("Acrobot-v1", "", "sync"),
        ("rllib_recattn/TMaze-v0", "config: {gym_env_vectorize_mode: sync}", "sync"),
        ("rllib_recattn/TMaze-v0", "config: {env_config: {disable_env_checker: true}}", "sync"),
    ],
)
def test_vectorized_implementations_are_used_where_there_are_any(tmp_path, env, content, mode):
    assert build_config(load(tmp_path, content, env)).gym_env_vectorize_mode == mode


def test_an_lstm_gets_rllibs_default_sequence_length(tmp_path):
    assert build_config(load(tmp_path, "config: {model_config: {use_lstm: true}}")).model_config["max_seq_len"] == 20


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            "config: {minibatch_size: 4}\n" + MODEL,
            "maze.config: minibatch_size = 4: should be at least max_seq_len = 8",
        ),
        ("config: {minibatch_size: 60}\nmodel: {name: agalite}", "should be at least max_seq_len = 64"),
        (
            "config: {minibatch_size: 4, model_config: {use_lstm: true}}",
            "maze.config: minibatch_size = 4: should be at least max_seq_len = 20",
        ),
        ("config: {minibatch_size: 8_000}", "maze.config: `minibatch_size` (8000) must be <="),
        ("config: {lrr: 1}", "maze.config: unknown setting 'lrr': did you mean 'lr'?"),
        (
            "config: {model_config: {fcnet_hidden: [3]}}",
            "maze.config.model_config: unknown setting 'fcnet_hidden': did you mean 'fcnet_hiddens'",
        ),
        (
            "config: {model_config: {fcnet_hiddens: 64}}",
            "maze.config.model_config: fcnet_hiddens = 64: should be a list",
        ),
        ("config: {model_config: {use_lstm: 1}}", "maze.config.model_config: use_lstm = 1: should be true or false"),
        (
            "config: {model_config: {use_lstm: true}}\n" + MODEL,
            "maze.config.model_config.use_lstm: has no effect beside a 'model' block",
        ),
        (
            "config: {model_config: {fcnet_hiddens: [7]}}\n" + MODEL,
            "maze.config.model_config.fcnet_hiddens: belongs to the 'model' block, where it is written encoder: "
            "{type: auto, widths: [7], activation: tanh}",
        ),
        (
            "config: {model_config: {max_seq_len: 5}}\n" + MODEL,
            "maze.config.model_config.max_seq_len: belongs to the 'model' block",
        ),
        (
            "config: {evaluation_parallel_to_training: true, evaluation_interval: 1}",
            "maze.config: `evaluation_parallel_to_training` can only be done if `evaluation_num_env_runners` > 0!",
        ),
    ],
)
def test_what_rllib_would_fail_on_later_is_refused(tmp_path, content, problem):
    message = problem_of(tmp_path, content)
    assert message.startswith("maze.config")
    assert problem in message
    assert len(message.splitlines()) == 1


class Letter(gymnasium.Env):
    """Observes text."""

    observation_space = gymnasium.spaces.Text(3)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return "abc", {}

    def step(self, action):
        return "abc", 0.0, True, False, {}


@pytest.mark.parametrize("model", ["", MODEL])
def test_environments_whose_observations_have_no_network_are_refused(tmp_path, model):
    message = problem_of(tmp_path, model, f"{__name__}.Letter")
    assert message.startswith(f"maze.env: {__name__}.Letter: ")


def test_settings_of_the_heads_go_with_a_model(tmp_path):
    config = build_config(load(tmp_path, MODEL + "config: {model_config: {head_fcnet_hiddens: [32]}}"))
    assert config.model_config["head_fcnet_hiddens"] == [32]
    assert config.model_config["recattn"]["model"] == "agalite"


@pytest.mark.parametrize("path", TUNED_EXAMPLES, ids=lambda path: path.stem)
def test_tuned_examples_build(path):
    build_config(load_experiment(path))


@pytest.mark.parametrize(
    "content",
    [
        MODEL + "config: {model_config: {head_fcnet_hiddens: [32]}, lr: [[0, 1e-3], [100, 1e-5]], gamma: 0.99}",
        "config: {model_config: {use_lstm: true}, vf_clip_param: .inf, evaluation_config: {explore: false}}",
        "checkpoint: {frequency: 3}\nmax_failures: 2",
    ],
)
def test_the_resolved_experiment_is_the_same_experiment(tmp_path, content):
    experiment = load(tmp_path, content)
    config = build_config(experiment)
    text = resolved_yaml(experiment, config)
    again = tmp_path / "again.yaml"
    again.write_text(text)
    same_experiment = load_experiment(again)
    same_config = build_config(same_experiment)
    assert without_model_config(same_config) == without_model_config(config)
    assert same_config.model_config == config.model_config
    assert resolved_yaml(same_experiment, same_config) == text
    for field in ("stop", "checkpoint", "storage_path", "max_failures"):
        assert getattr(same_experiment, field) == getattr(experiment, field)


def without_model_config(config):
    # What the algorithm adds to it by itself is written out in the resolved experiment.
    return {key: value for key, value in config.to_dict().items() if key != "_model_config"}


def test_the_resolved_experiment_shows_defaults_of_the_model_and_given_settings(tmp_path):
    experiment = load(tmp_path, MODEL + "config: {gamma: 0.99, num_workers: 0}")
    text = resolved_yaml(experiment, build_config(experiment))
    for line in ("eta: 4", "vf_share_layers: true", "gamma: 0.99", "num_env_runners: 0"):
        assert line in text


def test_every_stop_metric_comes_in_a_result(ray_session, tmp_path):
    content = (
        "config: {num_env_runners: 0, num_envs_per_env_runner: 4, train_batch_size_per_learner: 64, "
        "minibatch_size: 32, num_epochs: 1, evaluation_interval: 1, evaluation_duration: 4, "
        "env_config: {corridor_length: 2, max_episode_steps: 4}}\n"
    )
    config = build_config(load(tmp_path, content + MODEL)).reporting(metrics_num_episodes_for_smoothing=4)
    algorithm = config.build_algo()
    try:
        result = algorithm.train()
    finally:
        algorithm.stop()
    missing = [metric for metric in sorted(STOP_METRICS) if not has(result, metric)]
    assert missing == []


def has(result, metric):
    for part in metric.split("/"):
        if part not in result:
            return False
        result = result[part]
    return isinstance(result, Number)
