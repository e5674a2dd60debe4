"""The front door: give an RLlib config a model with memory."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from pathlib import Path as FilePath
from typing import Any, TypeVar

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from rllib_recattn.errors import SettingsError, SettingsWarning, validate
from rllib_recattn.inputs.input_settings import plain_encoder
from rllib_recattn.models.registry import model_settings, qualified_name
from rllib_recattn.rl_module.algorithms import LearnerCallback, algorithm_of
from rllib_recattn.rl_module.catalog import MODEL_CONFIG_KEY
from rllib_recattn.rl_module.exported_weights import agents_to_begin_with, check_same_model, weights_text
from rllib_recattn.rl_module.extension import add_callback
from rllib_recattn.rl_module.fixes.fresh_seeds import seed_afresh
from rllib_recattn.rl_module.fixes.offline_restore import OfflineRestoreCallback
from rllib_recattn.rl_module.fixes.recording import record_once
from rllib_recattn.rl_module.fixes.scalar_actions import hand_out_scalars
from rllib_recattn.rl_module.given_settings import choose, given_settings, in_vain
from rllib_recattn.rl_module.inputs.connectors import add_previous_inputs, check_masks_before_acting
from rllib_recattn.rl_module.lean_sampling.callback import LeanSamplingCallback
from rllib_recattn.rl_module.metrics import SuccessRateCallback
from rllib_recattn.rl_module.module_specs import policies_meant, spec_for_all, spec_for_policies
from rllib_recattn.rl_module.observation_filter import check_no_filter
from rllib_recattn.rl_module.offline import OfflineCallback, read_whole_episodes
from rllib_recattn.rl_module.q_learning.callback import QLearningCallback
from rllib_recattn.rl_module.q_learning.config import check_for_dqn, check_for_others, replay_sequences
from rllib_recattn.rl_module.recorded_data import check_data_before_reading, take_spaces_of_env
from rllib_recattn.rl_module.recurrence import (
    RecurrenceSettings,
    RLlibFixes,
    as_model_config,
    place_in_model_config,
)
from rllib_recattn.rl_module.restore import begin_with_weights_alone
from rllib_recattn.rl_module.rllib_internals.configs import given_model_config
from rllib_recattn.rl_module.search_domains import Path, domains_in, put, try_all, with_options
from rllib_recattn.rl_module.sparse_states.connectors import keep_states_apart, keep_states_in_columns

ConfigT = TypeVar("ConfigT", bound=AlgorithmConfig)


def use_model(
    config: ConfigT,
    model: str,
    *,
    max_seq_len: int | None = None,
    vf_share_layers: bool | None = None,
    encoder: str | Mapping[str, Any] | None = None,
    use_prev_action: bool = False,
    use_prev_reward: bool = False,
    action_mask: str | None = None,
    action_mask_as_input: bool = False,
    sparse_states: bool = True,
    lean_sampling: bool = True,
    pack_rows: bool = True,
    burn_in: int = 0,
    policies: Collection[str] | None = None,
    weights: str | FilePath | None = None,
    report_metrics: bool = True,
    rllib_fixes: Mapping[str, bool] | None = None,
    q_learning: Mapping[str, Any] | None = None,
    **settings: Any,
) -> ConfigT:
    """Give an RLlib config of PPO, APPO, IMPALA, DQN, MARWIL or BC a model with memory.

    Only ordinary config fields are set, so the config survives ``to_dict()``, Ray Tune and checkpoints, and can be
    changed further: the RLModule spec, the learner class, ``model_config`` (merged into what it holds already: what you
    have set there stays, and RLlib's own ``head_fcnet_…`` settings go on to shape the policy and value heads),
    connectors behind your own, and callbacks, one of which reports the success rate. Of a ``DefaultModelConfig`` what
    differs from RLlib's defaults counts as set, for nothing tells whether a default was written there; of a dict, all.
    Call it last. A second call replaces the model and all that the first was told, but for ``max_seq_len`` and
    ``vf_share_layers``, which stand in ``model_config`` by then.

    Args:
        config: A config on RLlib's new API stack, with PyTorch. Changed in place. A learner class of your own must
            inherit from this package's for the algorithm.
        model: A model's name; see :func:`rllib_recattn.list_models`. ``"package.module:name"`` imports the module that
            registers it with :func:`rllib_recattn.register_model`.
        max_seq_len: Steps through which a gradient flows. RLlib pads the rows of a train batch to this length, and
            appends a step to each chunk of an episode, so it should be a little larger than the usual episode, or
            much smaller. The metric ``learners/<policy>/recattn/padding_share`` tells. BC and MARWIL need it larger
            than the longest episode, since recorded ones have no states with which rows could continue them. None:
            what your ``model_config`` says, else 64.
        vf_share_layers: Whether the value function reads the output of the policy's model. Otherwise it has a model,
            and a state, of its own. None: what your ``model_config`` says, else True.
        encoder: How observations become the model's inputs: ``"auto"`` (images through a small CNN, all else through
            a layer of 64 features if there are numbers in it), ``"mlp"``, ``"cnn"``, ``"impala_cnn"``,
            ``"package.module:Class"`` for a PyTorch module of your own, or a mapping of such a ``type`` and its
            settings. None: all but images through the MLP of ``fcnet_hiddens`` and ``fcnet_activation`` if your
            ``model_config`` has them, else ``"auto"``.
        use_prev_action: Whether the model also reads the action before each observation.
        use_prev_reward: Whether the model also reads the reward before each observation.
        action_mask: The key of a Dict of observations with a 1 for each action that is allowed and a 0 for each that is
            not, of Discrete and MultiDiscrete actions (of these one component behind the other). Forbidden ones have
            probability 0 in whatever is computed. None: all are allowed.
        action_mask_as_input: Whether the model also reads the mask.
        sparse_states: Whether episodes carry only the states that the learner asks for, one every `max_seq_len` steps,
            and not one for each step. Without effect on BC and MARWIL.
        lean_sampling: Whether an EnvRunner samples all its environments in one batch, which gives the same episodes
            several times as fast, where it has no connectors, no ``on_episode_step`` and no EnvRunner class of your
            own, and one agent; else in RLlib's way. The metric ``env_runners/lean_sampling`` tells.
        pack_rows: Whether the rows of a train batch are filled with other chunks that start an episode, where RLlib
            pads them. The losses are the same. Only LSTM and GRU of small widths can be slower for it.
        burn_in: Steps at the beginning of a row that have no loss, but warm up the state, which comes from older
            weights. Rows that start an episode need none.
        policies: In a multi-agent config, the policies that get the model; the others keep what they have, so that
            several calls give policies models of their own. None: all of them.
        weights: What ``rllib export`` wrote, with whose weights training begins, in the place of new ones; of several
            policies a folder each. The model and its settings have to be the same, and so have spaces and heads, which
            are compared when the algorithm is built. None: new weights.
        report_metrics: Whether the learner reports ``learners/<policy>/recattn/…``.
        rllib_fixes: Switches off workarounds of RLlib's bugs, for baselines, as in ``{"vtrace_bootstrap": False}``;
            see :class:`~rllib_recattn.rl_module.recurrence.RLlibFixes`.
        q_learning: DQN alone: what RLlib's config has no place for, as in ``{"value_rescaling": True}``; see
            :class:`~rllib_recattn.rl_module.q_learning.settings.QLearningSettings`.
        **settings: Those of the model's settings that differ from their defaults. These and other arguments may be
            search domains of Ray Tune (``d_model=tune.choice([64, 128])``, ``{"grid_search": […]}``), nested ones too:
            each option, and both ends of a range, are checked at once, and what a trial gets once more.

    Returns:
        `config`, for chaining.

    Raises:
        SettingsError: If the config is none that the model can be used with, or a setting is unknown or wrong.

    Warns:
        SettingsWarning: If your ``model_config`` says otherwise than this call, or has settings without effect beside
            the model.

    Example:
        >>> import rllib_recattn as ra
        >>> from ray.rllib.algorithms.ppo import PPOConfig
        >>> config = ra.use_model(PPOConfig().environment("CartPole-v1"), "agalite", max_seq_len=32, d_model=64)
        >>> config.learner_class.__name__
        'RecAttnPPOLearner'
    """
    own_arguments = {"max_seq_len": max_seq_len, "vf_share_layers": vf_share_layers, "encoder": encoder}
    further_arguments = {
        "use_prev_action": use_prev_action,
        "use_prev_reward": use_prev_reward,
        "action_mask": action_mask,
        "action_mask_as_input": action_mask_as_input,
        "sparse_states": sparse_states,
        "lean_sampling": lean_sampling,
        "pack_rows": pack_rows,
        "burn_in": burn_in,
        "report_metrics": report_metrics,
        "rllib_fixes": {} if rllib_fixes is None else rllib_fixes,
        **({} if q_learning is None else {"q_learning": q_learning}),
    }
    in_catalog = qualified_name(model)
    notes: list[str] = []

    def model_config_beside(own: Mapping[str, Any], for_all: Mapping[str, Any]) -> dict[str, Any]:
        """Return what `model_config` has to say of the model, beside what a user has set for a policy and for all."""
        given = {**for_all, **own}
        decided, contradictions = choose(given, own_arguments)
        if MODEL_CONFIG_KEY not in given:  # else an earlier call wrote it, which this one is to change
            # What is there for RLlib's LSTM is right for the other policies.
            notes.extend([*in_vain(own), *([] if for_all.get("use_lstm") else contradictions)])
        arguments = {**further_arguments, **decided, **settings}
        domains = domains_in(arguments)
        _check_domains(domains, in_spec=policies is not None)
        written = {
            **({"use_lstm": False} if given.get("use_lstm") else {}),
            **try_all(arguments, domains, _written),
        }
        for path, domain in domains.items():
            place = (MODEL_CONFIG_KEY,) if path[0] in settings else place_in_model_config(path[0])
            if path == ("encoder",):
                domain = with_options(domain, plain_encoder)
            put(domain, (*place, *path), written)
        return written

    def _written(arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the same for arguments that have a value each."""
        own = {key: value for key, value in arguments.items() if key in settings}
        chosen = model_settings(model, own, where=f"use_model(config, {model!r})")
        rest = {key: value for key, value in arguments.items() if key not in settings}
        recurrence = validate(RecurrenceSettings, rest, "use_model")
        if algorithm.has_policy:
            check_for_others(recurrence, algorithm.name, "use_model")
        else:
            check_for_dqn(recurrence, "use_model")
        check_same_model(agents, in_catalog, chosen, recurrence, weights_text(weights))
        return {**as_model_config(recurrence), MODEL_CONFIG_KEY: {"model": in_catalog, **chosen.model_dump()}}

    algorithm = algorithm_of(config, "use_model")
    _check_stack(config)
    learner_class = algorithm.choose_learner(config.learner_class, "use_model")
    if not algorithm.has_policy:
        replay_sequences(config, "use_model")
    begins_with, agents = agents_to_begin_with(weights, config, policies)
    policies = policies_meant(config, policies)
    rl_module: dict[str, Any]
    if policies is None:
        spec, in_spec = spec_for_all(config, algorithm)
        given = {**given_settings(given_model_config(config)), **in_spec}
        rl_module = {"rl_module_spec": spec, "model_config": {**given, **model_config_beside(given, for_all={})}}
    else:
        rl_module = {"rl_module_spec": spec_for_policies(config, algorithm, policies, model_config_beside)}
    if not algorithm.samples:
        read_whole_episodes(config)
        check_data_before_reading(config)
        missing = None if config.is_multi_agent else take_spaces_of_env(config)
        notes += [] if missing is None else [missing]
    config.rl_module(**rl_module)
    for note in dict.fromkeys(notes):
        warnings.warn(f"use_model: {note}", SettingsWarning, stacklevel=2)
    config.learners(learner_class=learner_class)
    report_success_rate(config)
    add_callback(config, LearnerCallback)
    fixes = RLlibFixes(**(rllib_fixes or {}))
    if fixes.fresh_seeds:
        seed_afresh(config)
    if fixes.recorded_once:
        record_once(config)
    begin_with_weights_alone(config, begins_with)
    keep_states_in_columns(config)
    hand_out_scalars(config, fixes.scalar_actions)
    if use_prev_action or use_prev_reward:
        add_previous_inputs(config)
    if action_mask is not None:
        check_no_filter(config, action_mask)
        check_masks_before_acting(config)
        if config.is_multi_agent:
            config.environment(disable_env_checking=True)  # RLlib's check takes any action of the space
    if not algorithm.samples:
        if fixes.offline_restore:
            add_callback(config, OfflineRestoreCallback)
        return add_callback(config, OfflineCallback)
    add_callback(config, LeanSamplingCallback)
    if not algorithm.has_policy:
        add_callback(config, QLearningCallback)
    return keep_states_apart(config) if sparse_states else config


def _check_domains(domains: Mapping[Path, Any], in_spec: bool) -> None:
    """Refuse to search where Tune does not find a domain, or over what decides more than `model_config`."""
    for path in domains:
        if in_spec:
            raise SettingsError(
                f"use_model: {'.'.join(map(str, path))}: Ray Tune finds no search domain in the RLModule specs that "
                "`policies` or config.rl_module(rl_module_spec=MultiRLModuleSpec(…)) leads to; should be a value, or "
                "be searched in YAML"
            )
        if path[0] in ("sparse_states", "rllib_fixes"):
            raise SettingsError(
                f"use_model: {path[0]} decides what the config has besides the model; should be a value, not a search "
                "domain"
            )
        if path == ("encoder", "type"):
            raise SettingsError(
                "use_model: encoder.type: each type has settings of its own; should be a search over encoders: "
                "encoder=tune.choice(['mlp', {'type': 'cnn', 'output_dim': 64}])"
            )


def report_success_rate(config: ConfigT) -> ConfigT:
    """Have `config` report ``env_runners/success_rate``, beside whatever callbacks it has; returns it."""
    return add_callback(config, SuccessRateCallback)


def _check_stack(config: AlgorithmConfig) -> None:
    if not (config.enable_rl_module_and_learner and config.enable_env_runner_and_connector_v2):
        raise SettingsError(
            "use_model: config.api_stack(…) chose the old API stack; should be the new one, or, on the old one, "
            "config.training(model={'custom_model': 'rllib_recattn.model_v2.RecAttnModelV2', 'custom_model_config': "
            "{'model': 'agalite', …}}) in the place of use_model"
        )
    if config.framework_str != "torch":
        raise SettingsError(f"use_model: framework = {config.framework_str!r}; should be 'torch'")
