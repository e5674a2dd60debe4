"""Which model for which kind of task: models, four small tasks, and the order of the runs.

PPO's settings are the same for all models and all tasks, but for what a task by its nature asks for: the length of the
rows that the learner reads, and how far it looks ahead (gamma). Nothing was tuned for one model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.plain import PLAIN

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


def hybrid_above(model: dict[str, Any]) -> dict[str, Any]:
    """Return the block of a hybrid: a layer of a model, and above it one of attention to the last 16 steps."""
    layer = {**STACKED, "n_layers": 1}
    return {"name": "hybrid", "models": [{**model, **layer}, {"name": "gtrxl", "memory_length": 16, **layer}]}


# Name → the model's block in an experiment. The LSTM has one layer, and about as many parameters as AGaLiTe.
MODELS: dict[str, dict[str, Any]] = {
    "gated_delta_net": {"name": "gated_delta_net", **STACKED},
    # Decays that start with memories of up to 256 steps, in the place of 64.
    "gated_delta_net-256": {"name": "gated_delta_net", "max_timescale": 256.0, **STACKED},
    "gla": {"name": "gla", "conv_size": 0, **STACKED},
    "gla-conv": {"name": "gla", "conv_size": 4, **STACKED},
    "agalite": {"name": "agalite", **STACKED},
    "agalite-plain": {"name": "agalite", **STACKED, **PLAIN},
    "gtrxl": {"name": "gtrxl", "memory_length": 64, **STACKED},
    "lstm": {"name": "lstm", "d_model": 192},
    "delta_net": {"name": "delta_net", **STACKED},
    "kda": {"name": "kda", **STACKED},
    "hgrn2": {"name": "hgrn2", "conv_size": 0, **STACKED},
    "hgrn2-conv": {"name": "hgrn2", "conv_size": 4, **STACKED},
    "galite-conv": {"name": "galite", "conv_size": 4, **STACKED},
    "gla-conv-rotary": {"name": "gla", "conv_size": 4, "rotary": True, **STACKED},
    "hybrid-gla": hybrid_above({"name": "gla", "conv_size": 4}),
    "hybrid-gated_delta_net": hybrid_above({"name": "gated_delta_net"}),
}
# What separates AGaLiTe from GLA on the task on which they differ most: one thing changed at a time. GaLiTe has
# AGaLiTe's gates and, like GLA, the whole outer product of which AGaLiTe keeps r terms.
ABLATION_TASK = "memory_s7"
ABLATIONS: dict[str, dict[str, Any]] = {
    "galite": {"name": "galite", "conv_size": 0, **STACKED},
    **{
        f"agalite-{name}": {"name": "agalite", **STACKED, **change}
        for name, change in {
            "without-dct2": {"frequencies": "distinct"},
            "without-conv": {"conv_size": 0},
            "without-head-norm": {"head_norm": False},
            "without-output-gate": {"output_gate": False},
            "r-8": {"r": 8},
            "eta-1": {"eta": 1},
            "gate-bias-0": {"gate_bias": 0.0},
            "max-timescale-256": {"max_timescale": 256},
            "residual-sum": {"residual": "sum"},
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
