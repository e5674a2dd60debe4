"""Which model for which kind of task: models, four small tasks, and the order of the runs.

PPO's settings are the same for all models and all tasks, but for what a task by its nature asks for: the length of the
rows that the learner reads, and how far it looks ahead (gamma). Nothing was tuned for one model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rllib_recattn.experiment.definition.spec import Experiment

STACKED = {"d_model": 64, "n_layers": 2, "n_heads": 2, "d_head": 32}
ENCODER = {"type": "mlp", "widths": [128]}
PPO: dict[str, Any] = {
    "num_env_runners": 0,
    "num_envs_per_env_runner": 32,
    "train_batch_size_per_learner": 4096,
    "minibatch_size": 512,
    "num_epochs": 4,
    "lr": 6e-4,
    "entropy_coeff": 0.02,
    "vf_loss_coeff": 0.5,
    "lambda_": 0.95,
}
SEEDS = (0, 1, 2)

# AGaLiTe with what GLA has and the published model has not, and with channels of which one does not oscillate.
REFINED = {"frequencies": "dct2", "conv_size": 4, "head_norm": True, "output_gate": True}

# Name → the model's block in an experiment. The LSTM has one layer, and about as many parameters as AGaLiTe.
MODELS: dict[str, dict[str, Any]] = {
    "gated_delta_net": {"name": "gated_delta_net", **STACKED},
    "gla": {"name": "gla", **STACKED},
    "gla-conv": {"name": "gla", "conv_size": 4, **STACKED},
    "agalite": {"name": "agalite", **STACKED},
    "agalite-conv": {"name": "agalite", "conv_size": 4, **STACKED},
    "agalite-refined": {"name": "agalite", **STACKED, **REFINED},
    "gtrxl": {"name": "gtrxl", "memory_length": 64, **STACKED},
    "lstm": {"name": "lstm", "d_model": 192},
    "delta_net": {"name": "delta_net", **STACKED},
    "kda": {"name": "kda", **STACKED},
    "hgrn2": {"name": "hgrn2", **STACKED},
    "hgrn2-conv": {"name": "hgrn2", "conv_size": 4, **STACKED},
    "galite-conv": {"name": "galite", "conv_size": 4, **STACKED},
}
# What separates AGaLiTe from GLA on the task on which they differ most: one thing changed at a time, and of the refined
# one, one thing left out. GaLiTe has AGaLiTe's gates and, like GLA, the whole outer product of which AGaLiTe keeps r
# terms.
ABLATION_TASK = "memory_s7"
ABLATIONS: dict[str, dict[str, Any]] = {
    "galite": {"name": "galite", **STACKED},
    **{
        f"agalite-{name}": {"name": "agalite", **STACKED, **change}
        for name, change in {
            "r-8": {"r": 8},
            "eta-1": {"eta": 1},
            "gate-bias-0": {"gate_bias": 0.0},
            "max-timescale-256": {"max_timescale": 256},
            "output-gain-4": {"output_gain": 4},
            "residual-sum": {"residual": "sum"},
            "dct2": {"frequencies": "dct2"},
            "head-norm": {"head_norm": True},
            "output-gate": {"output_gate": True},
        }.items()
    },
    **{
        f"agalite-refined-without-{name}": {"name": "agalite", **STACKED, **REFINED, **change}
        for name, change in {
            "dct2": {"frequencies": "distinct"},
            "conv": {"conv_size": 0},
            "head-norm": {"head_norm": False},
            "output-gate": {"output_gate": False},
        }.items()
    },
}


@dataclass(frozen=True)
class Task:
    """A task, and what it asks for by its nature.

    Attributes:
        title: What it is called.
        example: A tuned example of it, which has the environment and says when it is solved.
        budget: Environment steps after which a run ends unsolved.
        max_seq_len: Steps of a row.
        gamma: The discount factor.
    """

    title: str
    example: str
    budget: int
    max_seq_len: int
    gamma: float


# An answer in POPGym's two tasks is rewarded at once: what follows is noise, which a small gamma keeps out.
TASKS = {
    "repeat_previous": Task("POPGym RepeatPreviousEasy", "popgym-repeat-previous-easy-gtrxl-ppo", 400_000, 56, 0.3),
    "repeat_first": Task("POPGym RepeatFirstEasy", "popgym-repeat-first-easy-gtrxl-ppo", 400_000, 56, 0.3),
    "memory_s7": Task("MiniGrid-MemoryS7, 3 cells seen", "minigrid-memory-s7-gtrxl-ppo", 600_000, 32, 0.99),
    "tmaze_60": Task("T-Maze, 60 cells", "tmaze-60-agalite-ppo", 500_000, 64, 0.99),
}


@dataclass(frozen=True)
class Run:
    """One training run: a name of `MODELS` or `ABLATIONS`, a name of `TASKS`, a seed."""

    model: str
    task: str
    seed: int

    @property
    def name(self) -> str:
        """Where its result belongs, below the directory of results and without the suffix."""
        return f"{self.task}/{self.model}-seed-{self.seed}"

    def experiment(self) -> Experiment:
        """Build the experiment."""
        from benchmarks.training_runs import BUDGET, experiment_of
        from rllib_recattn.experiment.definition.model_block import check_model

        task = TASKS[self.task]
        base = experiment_of(task.example)
        block = {**MODELS, **ABLATIONS}[self.model]
        model = check_model({"encoder": ENCODER, "max_seq_len": task.max_seq_len} | block, self.name)
        config = {"env_config": base.config["env_config"], **PPO, "gamma": task.gamma}
        stop = base.stop | {BUDGET: task.budget}
        return base.model_copy(update={"config": config, "model": model, "stop": stop, "name": self.model})


def all_runs() -> Iterator[Run]:
    """List every run once, seed by seed, in the order in which they are worth their time."""
    for seed in SEEDS:
        for model in MODELS:
            yield from (Run(model, task, seed) for task in TASKS)
        if seed == SEEDS[0]:
            yield from (Run(model, ABLATION_TASK, seed) for model in ABLATIONS)
