"""What is trained to see who remembers for how long: models, corridors, budgets, and the order of the runs.

The settings of PPO are those of tuned_examples/tmaze-agalite-ppo.yaml. They differ between corridors only in what has
to grow with them: the rows that the learner reads and the fragments that they are cut from are longer than the
corridor. For one corridor they are the same for all models, but for the learning rate, which is searched for in the
same way for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.plain import PLAIN

if TYPE_CHECKING:
    from rllib_recattn.experiment.definition.spec import Experiment

BASE = "tmaze-agalite-ppo"
WITHOUT_GATES = "benchmarks.memory.without_gates:agalite_without_gates"
STACKED = {"d_model": 64, "n_layers": 2, "n_heads": 2, "d_head": 32}
LAYER = {**STACKED, "n_layers": 1}
LEARNING_RATES = (3e-4, 6e-4, 1.2e-3)
SEARCH_LENGTH, SEARCH_SEED, SEARCH_BUDGET = 20, 100, 200_000
ABLATION_LENGTH = 40
# Whether what the search chose on a short corridor suits a long one, and whether models differ in that.
RATE_MODELS, RATE_LENGTH = ("agalite", "gla"), 80
# GTrXL with two layers sees twice M steps back, so that M = 32 is too short for 80 cells.
CLAIM_MODELS, CLAIM_LENGTHS, SEEDS = (
    ("agalite", "hybrid", "gtrxl-32", "gtrxl-128", "lstm", "lstm-chrono"),
    (20, 40, 80),
    (0, 1, 2),
)

# Name → the model's block in an experiment. LSTM and GRU have one layer and about AGaLiTe's number of parameters.
MODELS: dict[str, dict[str, Any]] = {
    "agalite": {"name": "agalite", **STACKED, **PLAIN},
    # Gates that start with memories of up to 256 steps, more than the longest corridor but one has cells.
    "agalite-256": {"name": "agalite", "max_timescale": 256, **STACKED, **PLAIN},
    # Its one window is too short for 40 cells and more: what lies further back is for AGaLiTe to remember.
    "hybrid": {
        "name": "hybrid",
        "models": [{"name": "agalite", **LAYER, **PLAIN}, {"name": "gtrxl", "memory_length": 32, **LAYER}],
    },
    "gtrxl-128": {"name": "gtrxl", "memory_length": 128, **STACKED},
    "gtrxl-32": {"name": "gtrxl", "memory_length": 32, **STACKED},
    "lstm": {"name": "lstm", "d_model": 192},
    "lstm-chrono": {"name": "lstm", "d_model": 192, "max_timescale": 64},
    "gru": {"name": "gru", "d_model": 224},
    "gru-chrono": {"name": "gru", "d_model": 224, "max_timescale": 64},
    "gla": {"name": "gla", "conv_size": 0, **STACKED},
    "hgrn2": {"name": "hgrn2", **STACKED},
    "galite": {"name": "galite", **STACKED},
}
# What is changed in AGaLiTe, by itself.
ABLATIONS: dict[str, dict[str, Any]] = {
    "without-gates": {"name": WITHOUT_GATES},
    "max-timescale-2": {"max_timescale": 2},
    "max-timescale-256": {"max_timescale": 256},
    "eta-1": {"eta": 1},
    "r-1": {"r": 1},
    "r-4": {"r": 4},
    "frequencies-published": {"frequencies": "published"},
    "residual-sum": {"residual": "sum"},
    "gate-bias-0": {"gate_bias": 0.0},
    "output-gain-4": {"output_gain": 4},
    "output-gain-8": {"output_gain": 8},
}


@dataclass(frozen=True)
class Corridor:
    """What a length of the corridor asks for.

    Attributes:
        budget: Environment steps after which a run ends unsolved.
        max_seq_len: Steps of a row.
        n_envs: Environments that are stepped together.
        batch_size: Steps of a train batch; batch_size / n_envs is the length of a fragment, in which an episode of the
            shortest length lies whole more often than not.
        minibatch_size: Steps of a minibatch.
    """

    budget: int
    max_seq_len: int
    n_envs: int = 32
    batch_size: int = 4096
    minibatch_size: int = 512


CORRIDORS = {
    10: Corridor(budget=150_000, max_seq_len=16),
    20: Corridor(budget=250_000, max_seq_len=24),
    40: Corridor(budget=400_000, max_seq_len=48),
    80: Corridor(budget=600_000, max_seq_len=96, n_envs=16),
    160: Corridor(budget=900_000, max_seq_len=176, n_envs=16, batch_size=8192, minibatch_size=1056),
}


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        stage: "search", "grid", "rate" or "ablation".
        model: A name of `MODELS`, or of `ABLATIONS`.
        length: Cells of the corridor.
        seed: The seed.
        lr: The learning rate; None: the best of the search.
    """

    stage: str
    model: str
    length: int
    seed: int
    lr: float | None = None

    @property
    def name(self) -> str:
        """Where its result belongs, below the directory of results and without the suffix."""
        rate = "" if self.lr is None else f"-lr-{self.lr:g}"
        return f"{self.stage}/{self.model}-{self.length}{rate}-seed-{self.seed}"

    @property
    def tuned_as(self) -> str:
        """The model of the search whose learning rate it takes."""
        return "agalite" if self.stage == "ablation" else self.model

    @property
    def model_block(self) -> dict[str, Any]:
        """The model's block in an experiment, without the length of its rows."""
        return MODELS["agalite"] | ABLATIONS[self.model] if self.stage == "ablation" else MODELS[self.model]

    def experiment(self, lr: float) -> Experiment:
        """Build the experiment, to be trained with a learning rate."""
        from benchmarks.training_runs import BUDGET, experiment_of
        from rllib_recattn.experiment.definition.model_block import check_model
        from rllib_recattn.inputs.input_settings import WITHOUT_MLP

        corridor = CORRIDORS[self.length]
        base = experiment_of(BASE)
        settings = base.config | {
            # At random, the junction is 2 L² steps away: no limit cuts an episode off before.
            "env_config": {"corridor_length": self.length, "max_episode_steps": 20 * self.length**2},
            "num_envs_per_env_runner": corridor.n_envs,
            "train_batch_size_per_learner": corridor.batch_size,
            "minibatch_size": corridor.minibatch_size,
            "lr": lr,
        }
        budget = SEARCH_BUDGET if self.stage == "search" else corridor.budget
        # What there is to see of a T-Maze goes to the models as it is.
        block = {"encoder": WITHOUT_MLP, **self.model_block, "max_seq_len": corridor.max_seq_len}
        model = check_model(block, self.name)
        changed = {"config": settings, "model": model, "stop": base.stop | {BUDGET: budget}, "name": self.model}
        return base.model_copy(update=changed)


def all_runs() -> Iterator[Run]:
    """List every run once, in the order in which they are worth their time."""
    for model in MODELS:
        for lr in LEARNING_RATES:
            yield Run("search", model, SEARCH_LENGTH, SEARCH_SEED, lr)
    first = [Run("grid", model, length, SEEDS[0]) for length in CORRIDORS for model in MODELS]
    claims = [
        Run("grid", model, length, seed) for seed in SEEDS[1:] for length in CLAIM_LENGTHS for model in CLAIM_MODELS
    ]
    yield from first
    yield from claims
    for seed in SEEDS:
        yield from (Run("rate", model, RATE_LENGTH, seed, lr) for model in RATE_MODELS for lr in LEARNING_RATES)
    for seed in SEEDS:
        yield from (Run("ablation", change, ABLATION_LENGTH, seed) for change in ABLATIONS)
    done = {*first, *claims}
    everything = (Run("grid", model, length, seed) for seed in SEEDS for length in CORRIDORS for model in MODELS)
    yield from (run for run in everything if run not in done)
