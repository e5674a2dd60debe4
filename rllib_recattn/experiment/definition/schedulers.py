"""The trial schedulers of Ray Tune that an experiment can name, and the arguments that they take.

Names, arguments and defaults are Ray's, but for these: time is counted in training iterations everywhere, and ``max_t``
is what the experiment's stop criteria say of ``time_attr``.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from rllib_recattn.errors import Settings, SettingsError

TIME_ATTRS = (
    "training_iteration",
    "num_env_steps_sampled_lifetime",
    "env_runners/num_env_steps_sampled_lifetime",
    "env_runners/num_episodes_lifetime",
    "time_total_s",
)
"""The metrics that grow all the time, in which schedulers can count."""


class Scheduler(Settings):
    """Base of all: what time is.

    Attributes:
        time_attr: The metric that counts it, one of `TIME_ATTRS`.
    """

    name: Literal["fifo", "asha", "hyperband", "median", "pbt", "pb2"]
    time_attr: str = "training_iteration"


class FifoBlock(Scheduler):
    """All trials train until the stop criteria end them."""

    name: Literal["fifo"] = "fifo"


class AshaBlock(Scheduler):
    """Asynchronous successive halving: at certain times a trial goes on only if it is among the best so far.

    Attributes:
        max_t: When a trial ends at the latest; None: the stop criterion of `time_attr`.
        grace_period: The time before which no trial is stopped.
        reduction_factor: One in so many trials goes on, and the next time to decide is so much later.
        brackets: How many ladders of such times trials are divided among.
    """

    name: Literal["asha"] = "asha"
    max_t: int | None = Field(default=None, gt=0)
    grace_period: int = Field(default=1, gt=0)
    reduction_factor: float = Field(default=4, gt=1)
    brackets: int = Field(default=1, gt=0)

    @model_validator(mode="after")
    def _grace_fits(self) -> AshaBlock:
        if self.max_t is not None and self.grace_period > self.max_t:
            raise SettingsError(f"grace_period = {self.grace_period}: should be at most max_t = {self.max_t}")
        return self


class HyperBandBlock(Scheduler):
    """Synchronous successive halving, which pauses trials until the others have come as far.

    Attributes:
        max_t: When a trial ends at the latest; None: the stop criterion of `time_attr`.
        reduction_factor: One in so many trials goes on.
    """

    name: Literal["hyperband"] = "hyperband"
    max_t: int | None = Field(default=None, gt=0)
    reduction_factor: float = Field(default=3, gt=1)


class MedianBlock(Scheduler):
    """Stops a trial whose best result is worse than the median of the others' running means.

    Attributes:
        grace_period: The time before which no trial is stopped.
        min_samples_required: How many other trials have to have come as far.
        min_time_slice: How long a trial trains, while there are too few, before another one has its turn.
    """

    name: Literal["median"] = "median"
    grace_period: float = Field(default=10, ge=0)
    min_samples_required: int = Field(default=3, gt=0)
    min_time_slice: int = Field(default=0, ge=0)


class Population(Scheduler):
    """Trials that do badly go on from a copy of one that does well, with changed settings.

    Attributes:
        perturbation_interval: The time between two such exchanges.
        quantile_fraction: The share of trials that are copied, and of those that copy.
    """

    perturbation_interval: float = Field(default=10, gt=0)
    quantile_fraction: float = Field(default=0.25, gt=0, le=0.5)


class PbtBlock(Population):
    """Population-based training: settings are changed at random.

    Attributes:
        burn_in_period: The time before the first exchange.
        resample_probability: How often a setting is drawn again rather than changed a little.
        perturbation_factors: What a number is multiplied by, one or the other.
    """

    name: Literal["pbt"] = "pbt"
    burn_in_period: float = Field(default=0, ge=0)
    resample_probability: float = Field(default=0.25, ge=0, le=1)
    perturbation_factors: tuple[float, float] = Field(default=(1.2, 0.8), strict=False)


class Pb2Block(Population):
    """Population-based bandits: a Gaussian process chooses the settings. Needs scikit-learn."""

    name: Literal["pb2"] = "pb2"


SCHEDULERS: dict[str, type[Scheduler]] = {
    "fifo": FifoBlock,
    "asha": AshaBlock,
    "hyperband": HyperBandBlock,
    "median": MedianBlock,
    "pbt": PbtBlock,
    "pb2": Pb2Block,
}

SCHEDULER_ALIASES = {
    "async_hyperband": "asha",
    "median_stopping_rule": "median",
    "population_based_training": "pbt",
}
"""Other names that Ray has for them."""


def __getattr__(name: str) -> Any:
    # The pickles of runs that an earlier version began have the classes under names without Block.
    if f"{name}Block" in globals():
        return globals()[f"{name}Block"]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
