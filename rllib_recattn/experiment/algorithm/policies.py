"""The policies of an experiment and their models, on RLlib's new API stack."""

from __future__ import annotations

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.policy.sample_batch import DEFAULT_POLICY_ID

from rllib_recattn.experiment.definition.spec import Experiment, ModelBlock, MultiAgentBlock
from rllib_recattn.rl_module.fixes.minibatch_size import check_minibatch_size
from rllib_recattn.rl_module.policy_mapping import PolicyMapping
from rllib_recattn.rl_module.q_learning.config import check_config
from rllib_recattn.rl_module.recurrence import RecurrenceSettings
from rllib_recattn.rl_module.use_model import use_model


def choose_policies(config: AlgorithmConfig, block: MultiAgentBlock | None) -> None:
    """Tell a config of either API stack which policies there are; without a block nothing changes."""
    if block is None:
        return
    config.multi_agent(
        policies=set(block.policies),
        policy_mapping_fn=PolicyMapping(block.mapping),
        policies_to_train=None if block.policies_to_train is None else list(block.policies_to_train),
        count_steps_by=block.count_steps_by,
    )


def models_of(experiment: Experiment) -> dict[str, ModelBlock]:
    """Return the models of an experiment's policies that have one of this package's, their own or the experiment's."""
    if experiment.multi_agent is None:
        return {} if experiment.model is None else {DEFAULT_POLICY_ID: experiment.model}
    models = {policy: own or experiment.model for policy, own in experiment.multi_agent.policies.items()}
    return {policy: model for policy, model in models.items() if model is not None}


def choose_models(config: AlgorithmConfig, experiment: Experiment) -> None:
    """Give the models of an experiment to its policies.

    Raises:
        SettingsError: If a model and RLlib's settings do not go together.
    """
    where = f"{experiment.where}.config"
    if experiment.multi_agent is None:
        if experiment.model is not None:
            _use_model(config, experiment.model, where)
        elif config.model_config.get("use_lstm"):
            check_minibatch_size(config.minibatch_size, config.model_config["max_seq_len"], where)
        return
    for policy, model in models_of(experiment).items():
        _use_model(config, model, where, policies=[policy])


def _use_model(config: AlgorithmConfig, model: ModelBlock, where: str, policies: list[str] | None = None) -> None:
    if model.rllib_fixes.minibatch_check and hasattr(config, "minibatch_size"):
        check_minibatch_size(config.minibatch_size, model.max_seq_len, where)
    if isinstance(config, DQNConfig):
        check_config(config, where)
    settings = {**model.model_dump(include=set(RecurrenceSettings.model_fields)), **model.settings}
    use_model(config, model.name, policies=policies, **settings)
