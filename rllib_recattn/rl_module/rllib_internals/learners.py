"""What of learners, and of what feeds them, is not public."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ray.rllib.core.rl_module.rl_module import RLModule

from rllib_recattn.private_names import private, wrap

_RATES = "to let the config's learning rate hold from the first update after a restore"


def learner_connector(learner: Any) -> Any:
    """Return the pipeline that makes train batches, of a learner or of a prelearner of recorded episodes, or None."""
    return private(learner, "_learner_connector", "to see which connectors there are, and to replace RLlib's")


def scales_gradients(learner: Any) -> bool:
    """Whether a learner scales gradients, as for mixed precision, where they overflow now and then."""
    return private(learner, "_grad_scalers", "to tell lost gradients from scaled ones") is not None


def set_learning_rates(learner: Any, timestep: int) -> None:
    """Give a learner's optimizers the learning rates that their schedules have after so many environment steps."""
    for optimizer, schedule in private(learner, "_optimizer_lr_schedules", _RATES).items():
        private(learner, "_set_optimizer_lr", _RATES)(optimizer, lr=schedule.update(timestep=timestep))


def modules_of_prelearner(prelearner: Any) -> Iterable[RLModule]:
    """Return the modules that a prelearner of recorded episodes has."""
    modules: Iterable[RLModule] = private(prelearner, "_module", "to learn how long a row may be").values()
    return modules


def number_of_minibatches(
    training_data: Any, episodes: Sequence[Any], n_learners: int, minibatch_size: int, n_epochs: int
) -> int:
    """Return how many minibatches each of several learners makes, as RLlib counts them."""
    count = private(training_data, "_compute_num_total_minibatches", "to have all learners make as many minibatches")
    return int(count(episodes, n_learners, minibatch_size, n_epochs))


def wrap_update(learner_group: Any, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Take part in how a group of learners is given episodes: no callback can."""
    wrap(learner_group, "update", wrapper, "to cut episodes between the rows of learners")
