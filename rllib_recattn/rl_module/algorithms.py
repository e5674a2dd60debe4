"""The algorithms that the models work with, and what belongs to each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.appo import APPO, APPOConfig
from ray.rllib.algorithms.appo.torch.appo_torch_learner import APPOTorchLearner
from ray.rllib.algorithms.bc import BC, BCConfig
from ray.rllib.algorithms.dqn import DQN, DQNConfig
from ray.rllib.algorithms.dqn.torch.dqn_torch_learner import DQNTorchLearner
from ray.rllib.algorithms.impala import IMPALA, IMPALAConfig
from ray.rllib.algorithms.impala.torch.impala_torch_learner import IMPALATorchLearner
from ray.rllib.algorithms.marwil import MARWIL, MARWILConfig
from ray.rllib.algorithms.marwil.torch.marwil_torch_learner import MARWILTorchLearner
from ray.rllib.algorithms.ppo import PPO, PPOConfig
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.callbacks.callbacks import RLlibCallback

from rllib_recattn.algorithms import ABILITIES
from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.catalog import RecAttnCatalog
from rllib_recattn.rl_module.learner import (
    RecAttnAPPOLearner,
    RecAttnIMPALALearner,
    RecAttnMARWILLearner,
    RecAttnPPOLearner,
    RecurrentLearnerMixin,
    RecurrentPPOMixin,
    RecurrentVTraceMixin,
)
from rllib_recattn.rl_module.modules import RecAttnAPPOModule, RecAttnPPOModule
from rllib_recattn.rl_module.q_learning.learner import RecAttnDQNLearner, RecurrentDQNMixin
from rllib_recattn.rl_module.q_learning.module import RecAttnDQNCatalog, RecAttnDQNModule


@dataclass(frozen=True)
class AlgorithmClasses:
    """An algorithm of RLlib, and what recurrent models need in it.

    Attributes:
        algorithm: The algorithm itself.
        config: The class of its configs.
        module: The RLModule that holds a model.
        learner: The learner that trains it.
        learner_mixin: What a user's own learner has to inherit from.
        stock_learner: RLlib's own learner, in whose place `learner` is put.
        catalog: What builds the module's parts.
    """

    algorithm: type[Algorithm]
    config: type[AlgorithmConfig]
    module: type
    learner: type
    learner_mixin: type
    stock_learner: type
    catalog: type = RecAttnCatalog

    @property
    def name(self) -> str:
        """RLlib's name of it."""
        return self.algorithm.__name__

    @property
    def samples(self) -> bool:
        """Whether it samples episodes in the environment; else it learns from recorded ones."""
        return ABILITIES[self.name].samples

    @property
    def has_policy(self) -> bool:
        """Whether its agents draw actions from a policy's distribution; else they take the best Q-value's."""
        return ABILITIES[self.name].has_policy

    def choose_learner(self, chosen: type, where: str) -> type:
        """Return the learner class to use where a config would have used `chosen`.

        Args:
            chosen: The config's learner class so far.
            where: What the class was given to, for the error message.

        Raises:
            SettingsError: If it is the user's own and does not inherit from `learner_mixin`.
        """
        if chosen is self.stock_learner:
            return self.learner
        if isinstance(chosen, type) and issubclass(chosen, self.learner_mixin):
            return chosen
        raise SettingsError(
            f"{where}: learner_class = {getattr(chosen, '__name__', chosen)}: should inherit from "
            f"{self.learner.__name__}, or from {self.learner_mixin.__name__} before its other base classes (both in "
            f"{self.learner.__module__})"
        )


_PPO = (RecAttnPPOModule, RecAttnPPOLearner, RecurrentPPOMixin, PPOTorchLearner)
_APPO = (RecAttnAPPOModule, RecAttnAPPOLearner, RecurrentVTraceMixin, APPOTorchLearner)
_IMPALA = (RecAttnPPOModule, RecAttnIMPALALearner, RecurrentVTraceMixin, IMPALATorchLearner)
# The module has a value head in BC as well, so that PPO can go on where it ends.
_MARWIL = (RecAttnPPOModule, RecAttnMARWILLearner, RecurrentLearnerMixin, MARWILTorchLearner)
_DQN = (RecAttnDQNModule, RecAttnDQNLearner, RecurrentDQNMixin, DQNTorchLearner, RecAttnDQNCatalog)

# A config of APPO is one of IMPALA too, and one of BC is one of MARWIL: the former come first.
ALGORITHMS = (
    AlgorithmClasses(PPO, PPOConfig, *_PPO),
    AlgorithmClasses(APPO, APPOConfig, *_APPO),
    AlgorithmClasses(IMPALA, IMPALAConfig, *_IMPALA),
    AlgorithmClasses(DQN, DQNConfig, *_DQN),
    AlgorithmClasses(BC, BCConfig, *_MARWIL),
    AlgorithmClasses(MARWIL, MARWILConfig, *_MARWIL),
)

CONFIG_CLASSES = {each.name: each.config for each in ALGORITHMS}
"""An algorithm's name → the class of its configs."""


def algorithm_of(config: Any, where: str) -> AlgorithmClasses:
    """Return the algorithm that a config is for.

    Args:
        config: The config.
        where: What the config was given to, for the error message.

    Raises:
        SettingsError: If the models do not work with it.
    """
    for algorithm in ALGORITHMS:
        if isinstance(config, algorithm.config):
            return algorithm
    names = [algorithm.config.__name__ for algorithm in ALGORITHMS]
    raise SettingsError(
        f"{where}: config is a {type(config).__name__}; should be a {', '.join(names[:-1])} or {names[-1]}"
    )


class LearnerCallback(RLlibCallback):
    """Stops a training that would miss what the learners of this package mend."""

    def on_algorithm_init(self, *, algorithm: Any, **kwargs: Any) -> None:
        """Check that no later call took the learner class away.

        Raises:
            SettingsError: If one did.
        """
        chosen = algorithm.config.learner_class
        needed = algorithm_of(algorithm.config, "use_model").choose_learner(chosen, "config.learners")
        if chosen is not needed:
            raise SettingsError(
                f"config.learners(learner_class={chosen.__name__}) came after use_model, which had chosen "
                f"{needed.__name__}; should be called before"
            )
