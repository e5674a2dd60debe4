"""Only the modules ``*_internals`` touch what other packages keep to themselves.

Keys of RLlib's settings that begin with an underscore are none of that: users write them.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import rllib_recattn

PACKAGE = Path(rllib_recattn.__file__).parent
ATTRIBUTE_FUNCTIONS = {"getattr", "setattr", "hasattr", "delattr", "attrgetter", "methodcaller"}
DOCUMENTED = {"_replace", "_asdict", "_fields", "_make"}  # of named tuples


def is_private(name: str) -> bool:
    return name.startswith("_") and name != "_" and not (name.startswith("__") and name.endswith("__"))


def last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def is_internals(path: Path) -> bool:
    return any(part.removesuffix(".py").endswith("_internals") for part in path.relative_to(PACKAGE).parts)


@cache
def trees() -> dict[Path, ast.AST]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def _strings(tree: ast.AST) -> set[str]:
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@cache
def theirs() -> set[str]:
    """What the internals modules ask others for is not ours, wherever a class of ours has it too."""
    return {name for path, tree in trees().items() if is_internals(path) for name in _strings(tree) if is_private(name)}


def defined_in(node: ast.ClassDef) -> set[str]:
    """Private attributes that a class of ours makes: methods, values, fields, and what its methods set."""
    fields = any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
    names = set()
    for each in ast.walk(node):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(each.name)
        elif isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store) and _is_own(each.value):
            names.add(each.attr)
    for each in node.body:
        if isinstance(each, ast.Assign):
            names |= {target.id for target in each.targets if isinstance(target, ast.Name)}
        elif isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and (fields or each.value):
            names.add(each.target.id)
    return {name for name in names if is_private(name)}


def _is_own(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id in ("self", "cls")


@cache
def classes() -> dict[str, ast.ClassDef]:
    return {node.name: node for tree in trees().values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def of_class(node: ast.ClassDef) -> set[str]:
    """Private attributes of a class that it or a base of ours makes."""
    bases = [classes()[name] for base in node.bases if (name := ast.unparse(base).split(".")[-1]) in classes()]
    return defined_in(node).union(*(of_class(base) for base in bases if base is not node))


def violations(tree: ast.AST) -> Iterator[str]:
    in_file = DOCUMENTED | {
        name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for name in defined_in(node)
    }

    def visit(node: ast.AST, own: set[str]) -> Iterator[str]:
        if isinstance(node, ast.ClassDef):
            own = of_class(node)
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            is_super = isinstance(node.value, ast.Call) and last_name(node.value.func) == "super"
            known = theirs() | own if is_super else (own if _is_own(node.value) else in_file) - theirs()
            if node.attr not in known:
                yield f"{node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                if parts[0] != "rllib_recattn" and any(map(is_private, parts)):
                    yield f"{node.lineno}: import {alias.name}"
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("rllib_recattn"):
            for alias in node.names:
                if any(map(is_private, [*(node.module or "").split("."), alias.name])):
                    yield f"{node.lineno}: from {node.module} import {alias.name}"
        elif isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg and is_private(keyword.arg):
                    yield f"{node.lineno}: argument {keyword.arg}"
            if last_name(node.func) in ATTRIBUTE_FUNCTIONS:
                for argument in node.args:
                    begins = argument.values[0] if isinstance(argument, ast.JoinedStr) else argument
                    text = begins.value if isinstance(begins, ast.Constant) else ""
                    if isinstance(text, str) and is_private(text if begins is argument else text + "…"):
                        yield f"{node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            is_path = "." in node.value and all(map(str.isidentifier, parts := node.value.split(".")))
            if node.value in theirs() or (is_path and parts[0] != "rllib_recattn" and any(map(is_private, parts))):
                yield f"{node.lineno}: {node.value!r}"
        for child in ast.iter_child_nodes(node):
            yield from visit(child, own)

    yield from visit(tree, set())


def test_nothing_outside_touches_what_others_keep_to_themselves():
    found = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path, tree in trees().items()
        if not is_internals(path)
        for line in violations(tree)
    ]
    assert not found, "belongs into a module *_internals:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "code",
    [
        "from ray._private import worker",
        "import ray._raylet",
        "from ray.tune.registry import _global_registry",
        "runner._seed = 3",
        "class A(B):\n  def f(self): return self._seed",
        "class A(B):\n  _seed: int\n  def f(self): return self._seed",
        "class A(B):\n  def f(self): return super()._nobody_replaces()",
        "getattr(runner, '_seed', None)",
        "getattr(config, f'_{name}')",
        "names = ['_learner_connector']",
        "importlib.import_module('ray._private.utils')",
        "SampleBatch({}, _zero_padded=True)",
    ],
)
def test_what_is_found(code):
    assert list(violations(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "class A:\n  def f(self): self._ours = 1\n  def g(self, other): return other._ours + self._ours",
        "class A(B):\n  def _forward(self, x): return super()._forward(x)",
        "class A:\n  _ours = 1\n  def f(cls): return cls._ours",
        "named._replace(port=1)",
        "import rllib_recattn._version",
        "getattr(kind, '__name__', '')",
        "column = '_mean'",
    ],
)
def test_what_is_ours(code):
    assert not list(violations(ast.parse(code)))


def subclasses(kind: type) -> Iterator[type]:
    for each in type.__subclasses__(kind):
        yield each
        yield from subclasses(each)


def is_ours(kind: type) -> bool:
    return str(kind.__module__).startswith("rllib_recattn")


def replaced() -> set[tuple[str, str]]:
    """Private names of classes of ours that a base of others has too, each with its class."""
    found = set()
    for kind in filter(is_ours, set(subclasses(object))):
        if "<locals>" in kind.__qualname__:  # RLlib and Ray make some of ours, with all of their names
            continue
        for position, each in enumerate(kind.__mro__):
            for name in vars(each) if is_ours(each) else ():
                if name.startswith("_") and not name.endswith("__") and name not in ("_backward_cls", "_abc_impl"):
                    bases = (base for base in kind.__mro__[position:] if not is_ours(base))
                    if any(name in vars(base) for base in bases):
                        found.add((f"{each.__module__}.{each.__qualname__}", name))
    return found


def test_replaced_methods_are_listed():
    """A method of ours with the name of an undocumented one of theirs stands in a table, and a test looks for it."""
    for path, tree in trees().items():
        if path.stem != "__main__" and any(isinstance(node, ast.ClassDef) for node in ast.walk(tree)):
            name = ".".join(("rllib_recattn", *path.relative_to(PACKAGE).with_suffix("").parts))
            importlib.import_module(name.removesuffix(".__init__"))
    found = replaced()
    assert {name for _, name in found} >= {"_forward", "_apply", "_get_new_config"}
    assert not [each for each in found if each[1] not in theirs()]
