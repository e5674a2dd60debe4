"""What the type checker is told of classes that have no types."""

from __future__ import annotations

import ast
import inspect
from types import ModuleType


def expected_of(module: ModuleType, name: str) -> list[str]:
    """Return the attributes and methods that a class of a module has for the type checker, and not at run time."""
    tree = ast.parse(inspect.getsource(module))
    (kind,) = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name)
    values = [node.target.id for node in kind.body if isinstance(node, ast.AnnAssign)]
    return values + [node.name for node in kind.body if isinstance(node, ast.FunctionDef)]
