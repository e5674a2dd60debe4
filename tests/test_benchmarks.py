"""What the README says of benchmarks is what their results say."""

import json
from pathlib import Path

import torch

import rllib_recattn as ra
from benchmarks.envs import short_window
from benchmarks.models.cost_report import BEGIN, END, table
from benchmarks.training_runs import experiment_of
from rllib_recattn.experiment.algorithm.build import build_config

ROOT = Path(__file__).parents[1]


def result(path: str):
    return json.loads((ROOT / "benchmarks" / path).read_text(encoding="utf-8"))


def test_the_table_of_costs_is_that_of_the_result():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme.split(BEGIN)[1].split(END)[0].strip()
    assert shown == table(result("models/cost.json"))


def test_every_model_of_the_catalog_has_solved_t_maze():
    runs = result("tmaze/catalog.json")["runs"]
    examples = {path.stem for path in (ROOT / "tuned_examples").glob("tmaze-10-*-ppo.yaml")}
    assert {run["example"] for run in runs.values()} == examples
    assert all(run["solved"] and run["success_rate"] >= 0.95 for run in runs.values())


def test_the_agent_without_memory_forgets_at_once():
    model = ra.build_model("benchmarks.envs.memoryless:memoryless", input_dim=3, d_model=8)
    x = torch.randn(2, 5, 3)
    together, _ = model(x, model.initial_state(2))
    alone, _ = model(x[:, 4:], model.initial_state(2))
    torch.testing.assert_close(together[:, 4:], alone)


def test_the_agent_without_memory_differs_from_agalite_in_the_model_alone(ray_session):
    agalite, memoryless = (experiment_of(f"minigrid-memory-s7-{model}-ppo") for model in ("agalite", "memoryless"))
    assert memoryless.model.name == "benchmarks.envs.memoryless:memoryless"
    changed = {"model": agalite.model}
    assert memoryless.model_copy(update=changed) == agalite
    assert memoryless.model.encoder == agalite.model.encoder
    config = build_config(memoryless).training(train_batch_size_per_learner=256, minibatch_size=128, num_epochs=1)
    algorithm = config.env_runners(num_envs_per_env_runner=4).build_algo()
    try:
        assert algorithm.train()["learners"]["default_policy"]["num_module_steps_trained"] >= 256
    finally:
        algorithm.stop()


def test_the_long_maze_differs_from_its_example_in_length_and_window_alone():
    model, change = short_window.MODELS["gtrxl-4"]
    example = f"{short_window.TASK}-{model}-ppo"
    base = experiment_of(example)
    longer = experiment_of(example, {"env_config": short_window.LONGER, "model": change})
    assert longer.model.settings == base.model.settings | change
    assert longer.config["env_config"] == short_window.LONGER
    unchanged = {"config": base.config, "model": longer.model.model_copy(update={"settings": base.model.settings})}
    assert longer.model_copy(update=unchanged) == base
