"""The undocumented methods of RLlib's that classes of this package replace.

Of a method that is gone nobody would notice: the replacement would stand there, and never be called.
"""

from __future__ import annotations

from rllib_recattn.private_names import Override

OVERRIDES = (
    Override(
        "ray.rllib.algorithms.ppo.ppo_catalog:PPOCatalog",
        "_get_encoder_config",
        "to build a model of the catalog where RLlib builds its LSTM",
    ),
    Override("ray.rllib.core.models.torch.base:TorchModel", "_forward", "to run a model as an encoder of RLlib's"),
    Override(
        "ray.rllib.core.models.torch.heads:TorchFreeLogStdMLPHead",
        "_forward",
        "to give steps over time free log standard deviations",
    ),
    Override(
        "ray.rllib.algorithms.ppo.torch.default_ppo_torch_rl_module:DefaultPPOTorchRLModule",
        "_forward",
        "to hand out states as float32",
    ),
    Override(
        "ray.rllib.algorithms.ppo.torch.default_ppo_torch_rl_module:DefaultPPOTorchRLModule",
        "_forward_train",
        "to mask the logits that losses are made of",
    ),
    Override(
        "ray.rllib.core.learner.learner:Learner",
        "_make_batch_if_necessary",
        "to pack the rows of train batches before they are cut into minibatches",
    ),
    Override(
        "ray.rllib.env.env_runner:EnvRunner", "_try_env_step", "to raise the error that explains an environment's fault"
    ),
    Override(
        "ray.rllib.env.env_runner:EnvRunner", "_try_env_reset", "to end sampling when an environment fails for good"
    ),
    Override(
        "ray.rllib.offline.offline_prelearner:OfflinePreLearner",
        "_validate_episodes",
        "to refuse recorded episodes that are not whole",
    ),
    Override(
        "ray.rllib.algorithms.dqn.torch.default_dqn_torch_rl_module:DefaultDQNTorchRLModule",
        "_forward_inference",
        "to act with a memory",
    ),
    Override(
        "ray.rllib.algorithms.dqn.torch.default_dqn_torch_rl_module:DefaultDQNTorchRLModule",
        "_forward_exploration",
        "to explore in several environments at once",
    ),
    Override(
        "ray.rllib.algorithms.dqn.torch.default_dqn_torch_rl_module:DefaultDQNTorchRLModule",
        "_forward_train",
        "to read a sequence once",
    ),
)
