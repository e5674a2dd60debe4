"""What the README shows of experiments is what the files are."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.experiment.definition.yaml_file import read_yaml
from rllib_recattn.experiment.evaluation.evaluate import evaluate_checkpoint
from rllib_recattn.models.registry import model_names

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "tuned_examples"


def blocks(language: str) -> list[tuple[str | None, str]]:
    """The code blocks of a language, each with the file that it is said to be."""
    return re.findall(rf"(?:<!-- file: (\S+) -->\n)?```{language}\n(.*?)```\n", README, re.DOTALL)


def test_its_table_of_models_is_the_catalog(own_models):
    table = README.partition("\n## The models\n")[2].partition("```")[0]
    named = {name for row in re.findall(r"^\|([^|]*)\|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert named == set(model_names())


def test_a_block_that_is_said_to_be_a_file_is_that_file():
    shown = [(path, text) for path, text in blocks("yaml") if path]
    assert shown
    for path, text in shown:
        assert text == (ROOT / path).read_text(encoding="utf-8"), path


def test_an_experiment_with_the_name_of_a_tuned_example_is_that_example():
    for path, text in blocks("yaml"):
        for name in re.findall(r"^([\w-]+):", text, re.MULTILINE):
            if (EXAMPLES / f"{name}.yaml").exists():
                assert path == f"tuned_examples/{name}.yaml"


def test_the_script_that_loads_an_agent_counts_as_rllib_does(finished_run):
    code = next(text for _, text in blocks("python") if "load_agent" in text)
    small = {
        '"results/tmaze-agalite-ppo"': repr(str(finished_run.result.run_dir)),
        '"rllib_recattn/TMaze-v0"': '"rllib_recattn/TMaze-v0", corridor_length=3, max_episode_steps=12',
        "100": "30",
    }
    assert all(text in code for text in small)
    for text, smaller in small.items():
        code = code.replace(text, smaller)
    with redirect_stdout(io.StringIO()) as output:
        exec(code, {})
    evaluated = evaluate_checkpoint(finished_run.result.run_dir, episodes=30)
    successes = sum(bool(episode.success) for episode in evaluated.episodes)
    assert output.getvalue() == f"{successes} of 30 episodes succeeded\n"


def test_the_config_in_python_is_that_of_the_tuned_example():
    code = next(text for _, text in blocks("python") if "PPOConfig" in text)
    namespace = {}
    exec(code.split("algorithm = ")[0], namespace)
    shown = namespace["config"]
    example = load_experiment(EXAMPLES / "tmaze-agalite-ppo.yaml")
    expected = build_config(example)
    settings = read_yaml(example.path)[example.name]["config"]
    for key in (*settings, "env", "gym_env_vectorize_mode", "model_config"):
        assert getattr(shown, key) == getattr(expected, key), key
