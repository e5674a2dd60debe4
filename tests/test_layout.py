"""Arrows point down: which part of the package may import which, as pyproject.toml says."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "rllib_recattn"


@cache
def imports(path: Path) -> set[str]:
    """Dotted names of all imports in a file, those inside functions and by ``import_module("…")`` included."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and "import_module" in (vars(node.func).get("attr"), vars(node.func).get("id")):
            names |= {name.value for name in node.args[:1] if isinstance(name, ast.Constant)}
    return names


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def test_a_part_imports_only_what_is_below_it():
    """The floors are contracts of import-linter, which names the lines that break one."""
    command = [sys.executable, "-c", "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_every_part_has_a_floor():
    parts = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    parts |= {f"migration.{path.stem}" for path in (PACKAGE / "migration").iterdir() if path.stem[:2] != "__"}
    parts -= {"__init__", "_version", "__pycache__", "migration"}
    contracts = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    layers = contracts.partition("\nlayers = [")[2].partition("]")[0].replace("|", " ").replace('"', " ").split()
    assert {f"rllib_recattn.{part}" for part in parts} == {name.rstrip(",") for name in layers} - {""}


def test_no_file_imports_itself_by_way_of_others():
    files = {module_name(path): path for path in PACKAGE.rglob("*.py")}
    graph = {}
    for module, path in files.items():
        # What stands behind the name of a module is something in it.
        found = {name if name in files else name.rpartition(".")[0] for name in imports(path)}
        graph[module] = (found & files.keys()) - {module}
    assert sum(map(len, graph.values())) > len(graph)
    TopologicalSorter(graph).prepare()  # a CycleError names the files


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import rllib_recattn", ("ray", "torch")),
        ("import rllib_recattn.envs.tmaze_vector", ("ray", "torch")),
        ("import rllib_recattn as ra; ra.build_model; ra.list_models()", ("ray",)),
    ],
)
def test_importing_stays_cheap(statement, unwanted):
    check = f"import sys; {statement}; print([name for name in {unwanted!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
