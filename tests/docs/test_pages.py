"""What pages show can be done, and the messages that they explain are those of the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

import rllib_recattn as ra
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.algorithm.variants import build_variants
from rllib_recattn.experiment.definition.load import load_experiment

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```\n", page(name), re.DOTALL)


@pytest.fixture
def recall(tmp_path, monkeypatch):
    """The environment and the experiment of docs/own-environment.md, as files beside each other."""
    for name, text in re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", page("own-environment"), re.DOTALL):
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_the_environment_of_the_page_is_solved_by_who_remembers(recall):
    from gymnasium.utils.env_checker import check_env
    from recall import Recall

    env = Recall(delay=3)
    check_env(env, skip_render_check=True)
    for seed in range(4):
        seen, _ = env.reset(seed=seed)
        steps = [env.step(int(seen[0] > 0)) for _ in range(3)]
        assert [done for _, _, done, _, _ in steps] == [False, False, True]
        assert steps[-1][4] == {"success": True}


def test_the_experiment_of_the_page_is_built(recall):
    config = build_config(load_experiment(recall / "recall.yaml"))
    assert config.env_config == {"delay": 10}


def test_the_python_of_the_page_runs(recall):
    (code,) = re.findall(r"<!-- beside recall.py -->\n```python\n(.*?)```", page("own-environment"), re.DOTALL)
    namespace = {}
    exec(code, namespace)
    assert namespace["config"].model_config["max_seq_len"] == 12


@pytest.mark.parametrize(("name", "variants"), [("sweeps", True), ("evaluate", False)])
def test_the_experiment_of_another_page_is_built(name, variants, tmp_path):
    (text,) = blocks(name, "yaml")
    path = tmp_path / "experiment.yaml"
    path.write_text(text, encoding="utf-8")
    assert (len(build_variants(load_experiment(path))) > 1) is variants


def test_the_config_of_the_first_agent_is_that_of_the_readme():
    code = blocks("first-agent", "python")[0].partition("algorithm =")[0]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert code.partition("ra.use_model")[0].strip() in readme


def test_the_extras_of_the_page_are_those_of_the_package():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = text.partition("[project.optional-dependencies]")[2].partition("\n[project.scripts]")[0]
    table = page("install").partition("<!-- the extras of pyproject.toml -->")[2].partition("<!-- end -->")[0]
    named = {
        name for row in re.findall(r"^\|([^|]*)\|", table, re.MULTILINE) for name in re.findall(r"`([\w-]+)`", row)
    }
    # What only developers need, and a name that is kept without a meaning, are not for users.
    assert named == set(re.findall(r"^([\w-]+) = \[", extras, re.MULTILINE)) - {"dev", "docs", "kernels"}


def test_models_that_are_recommended_are_there(own_models):
    names = {info.name for info in ra.list_models()}
    rows = page("choosing-a-model").partition("| begin with |")[2].splitlines()
    named = {name for row in rows if row.count("|") == 4 for name in re.findall(r"`(\w+)`", row.split("|")[2])}
    assert len(named) > 5
    assert named - {"max_timescale"} <= names


def strings() -> list[str]:
    """All strings of the package's code; what is filled in is an ellipsis."""
    found = []
    for path in (ROOT / "rllib_recattn").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                found.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_the_messages_of_the_page_are_the_codes():
    shown = re.findall(r"^\| `([^`]+)` \|", page("troubleshooting"), re.MULTILINE)
    assert len(shown) > 30
    known = strings()
    unknown = []
    for message in shown:
        pattern = ".*".join(re.escape(part.strip()) for part in message.split("…"))
        if not any(re.search(pattern, text, re.DOTALL) for text in known):
            unknown.append(message)
    assert unknown == []


def test_yaml_of_pages_is_yaml():
    for path in DOCS.rglob("*.md"):
        for text in re.findall(r"^```yaml\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            yaml.safe_load(text)
