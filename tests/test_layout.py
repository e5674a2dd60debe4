"""Arrows point down: which part of the package may import which."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rllib_recattn"
FLOORS = {  # part → what of the package it may import besides itself
    "errors": set(),
    "algorithms": set(),
    "success": set(),
    "importing": {"errors"},
    "tested_versions": set(),
    "old_paths": set(),
    "private_names": {"tested_versions"},
    "checkpoint_files": {"errors"},
    "ray_internals": {"private_names"},
    "checkpoint_pickles": {"ray_internals"},
    "local_ray": {"ray_internals"},
    "scope": {"errors"},
    "models": {"errors", "importing", "private_names"},
    "inputs": {"errors", "importing"},
    "envs": {"errors", "importing", "private_names", "success"},
    "rl_module": {
        "errors",
        "tested_versions",
        "private_names",
        "algorithms",
        "checkpoint_files",
        "checkpoint_pickles",
        "importing",
        "inputs",
        "models",
        "success",
    },
    "model_v2": {"errors", "tested_versions", "private_names", "inputs", "models", "success"},
    "migration.command_line": {"errors", "experiment"},
    "migration.model_dict": {"errors", "inputs", "model_v2", "rl_module"},
    "migration.old_files": {"errors", "algorithms", "migration.model_dict", "scope"},
    "migration.checkpoints": {
        "errors",
        "algorithms",
        "checkpoint_files",
        "checkpoint_pickles",
        "local_ray",
        "inputs",
        "models",
        "rl_module",
        "model_v2",
    },
    "experiment": {
        "errors",
        "algorithms",
        "success",
        "tested_versions",
        "private_names",
        "ray_internals",
        "checkpoint_files",
        "checkpoint_pickles",
        "importing",
        "local_ray",
        "inputs",
        "models",
        "rl_module",
        "model_v2",
        "migration.model_dict",
        "migration.old_files",
        "scope",
        "envs",
    },
    "migration.conversion": {
        "errors",
        "experiment",
        "migration.model_dict",
        "migration.old_files",
        "rl_module",
    },
    "cli": {"errors", "models", "experiment", "migration.command_line", "migration.conversion", "_version"},
    "__main__": {"cli"},
}
EXPERIMENT_FLOORS = {  # likewise, within rllib_recattn/experiment
    "tune_internals": set(),
    "definition": set(),
    "algorithm": {"definition"},
    "cluster": {"definition", "tune_internals"},
    "records": {"definition"},
    "figures": {"records"},
    "reports": {"definition", "figures", "records"},
    "checkpoints": {"definition", "records", "tune_internals"},
    "training": {
        "algorithm",
        "checkpoints",
        "cluster",
        "definition",
        "figures",
        "records",
        "reports",
        "tune_internals",
    },
    "evaluation": {"checkpoints"},
    "inspection": {"checkpoints", "evaluation", "figures"},
}
ROOMS = {  # folders beside one another within a part → what of the part itself they may import; None: anything
    "rl_module": ({"faults", "fixes", "inputs", "packing", "sparse_states"}, None),
    "experiment.training": ({"loggers", "progress"}, {"trial"}),
}
FOREIGN = {"models": {"ray", "gymnasium"}, "inputs": {"ray"}, "envs": {"ray", "torch"}}
FOREIGN |= {f"migration.{room}": {"ray", "torch"} for room in ("command_line", "model_dict", "old_files")}
EXPERIMENT_FOREIGN = {part: {"ray", "torch"} for part in ("definition", "records", "figures", "reports")}


def imports(path: Path) -> set[str]:
    """Dotted names of all imports in a file, those inside functions and by ``import_module("…")`` included."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names |= {name.value for name in node.args[:1] if isinstance(name, ast.Constant)}
    return names


def part_of(name: str) -> str:
    """The part that a module belongs to; those of what came before stand on floors of their own."""
    part, _, rest = name.removeprefix("rllib_recattn.").partition(".")
    return f"{part}.{rest.split('.')[0]}" if part == "migration" else part


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("part", FLOORS)
def test_a_part_imports_only_what_is_below_it(part):
    path = PACKAGE.joinpath(*part.split("."))
    alone = path.with_suffix(".py")
    files = [alone] if alone.exists() else sorted(path.rglob("*.py"))
    assert files
    for path in files:
        used = imports(path)
        own = {part_of(name) for name in used if name.startswith("rllib_recattn.")}
        assert own <= FLOORS[part] | {part}, path
        assert not {name.split(".")[0] for name in used} & FOREIGN.get(part, set()), path


@pytest.mark.parametrize("part", EXPERIMENT_FLOORS)
def test_a_part_of_an_experiment_imports_only_what_is_below_it(part):
    files = sorted((PACKAGE / "experiment" / part).rglob("*.py"))
    assert files
    for path in files:
        used = imports(path)
        own = {name.split(".")[2] for name in used if name.startswith("rllib_recattn.experiment.")}
        assert own <= EXPERIMENT_FLOORS[part] | {part}, path
        assert not {name.split(".")[0] for name in used} & EXPERIMENT_FOREIGN.get(part, set()), path


@pytest.mark.parametrize(
    ("part", "room"), [(part, room) for part, (rooms, _) in ROOMS.items() for room in sorted(rooms)]
)
def test_rooms_do_not_know_each_other(part, room):
    rooms, shared = ROOMS[part]
    parent = f"rllib_recattn.{part}."
    files = sorted(PACKAGE.joinpath(*part.split("."), room).glob("*.py"))
    assert files
    for path in files:
        others = {name.removeprefix(parent).split(".")[0] for name in imports(path) if name.startswith(parent)} - {room}
        assert not others & rooms, path
        assert shared is None or others <= shared, path


def test_no_file_imports_itself_by_way_of_others():
    files = {module_name(path): path for path in PACKAGE.rglob("*.py")}
    graph = {}
    for module, path in files.items():
        # What stands behind the name of a module is something in it.
        found = {name if name in files else name.rpartition(".")[0] for name in imports(path)}
        graph[module] = (found & files.keys()) - {module}
    assert sum(map(len, graph.values())) > len(graph)
    TopologicalSorter(graph).prepare()  # a CycleError names the files


def test_every_part_has_a_floor():
    parts = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    parts |= {f"migration.{path.stem}" for path in (PACKAGE / "migration").iterdir() if path.stem[:2] != "__"}
    assert parts - {"__init__", "_version", "__pycache__", "migration"} == set(FLOORS)
    parts = {path.stem for path in (PACKAGE / "experiment").iterdir() if path.is_dir() or path.suffix == ".py"}
    assert parts - {"__init__", "__pycache__"} == set(EXPERIMENT_FLOORS)


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
