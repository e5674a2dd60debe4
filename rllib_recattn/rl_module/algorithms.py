"""The algorithms that the models work with, and what belongs to each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.appo import APPOConfig
from ray.rllib.algorithms.appo.torch.appo_torch_learner import APPOTorchLearner
from ray.rllib.algorithms.impala import IMPALAConfig
from ray.rllib.algorithms.impala.torch.impala_torch_learner import IMPALATorchLearner
from ray.rllib.algorithms.marwil import MARWILConfig
from ray.rllib.algorithms.marwil.torch.marwil_torch_learner import MARWILTorchLearner
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.callbacks.callbacks import RLlibCallback

from rllib_recattn.errors import SettingsError
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


@dataclass(frozen=True)
class Algorithm:
    """What an algorithm of RLlib needs for recurrent models.

    Attributes:
        name: RLlib's name of it.
        config: The class of its configs.
        module: The RLModule that holds a model.
        learner: The learner that trains it.
        learner_mixin: What a user's own learner has to inherit from.
        stock_learner: RLlib's own learner, in whose place `learner` is put.
    """

    name: str
    config: type[AlgorithmConfig]
    module: type
    learner: type
    learner_mixin: type
    stock_learner: type

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


# A config of APPO is one of IMPALA too, so APPO comes first.
ALGORITHMS = (
    Algorithm("PPO", PPOConfig, RecAttnPPOModule, RecAttnPPOLearner, RecurrentPPOMixin, PPOTorchLearner),
    Algorithm("APPO", APPOConfig, RecAttnAPPOModule, RecAttnAPPOLearner, RecurrentVTraceMixin, APPOTorchLearner),
    Algorithm("IMPALA", IMPALAConfig, RecAttnPPOModule, RecAttnIMPALALearner, RecurrentVTraceMixin, IMPALATorchLearner),
)

# A config of BC is one of MARWIL. Its module has a value head all the same, so that PPO can go on where it ends.
OFFLINE_ALGORITHMS = (
    Algorithm(
        "MARWIL", MARWILConfig, RecAttnPPOModule, RecAttnMARWILLearner, RecurrentLearnerMixin, MARWILTorchLearner
    ),
)


def algorithm_of(config: Any, where: str) -> Algorithm:
    """Return the algorithm that a config is for.

    Args:
        config: The config.
        where: What the config was given to, for the error message.

    Raises:
        SettingsError: If the models do not work with it.
    """
    algorithms = (*ALGORITHMS, *OFFLINE_ALGORITHMS)
    for algorithm in algorithms:
        if isinstance(config, algorithm.config):
            return algorithm
    names = [algorithm.config.__name__ for algorithm in algorithms]
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
