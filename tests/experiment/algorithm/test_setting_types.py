from collections.abc import Callable
from typing import Any, Optional, Union

import pytest

from rllib_recattn.experiment.algorithm.setting_types import can_be_written, describe, matches, plain_part


class SomeClass:
    pass


@pytest.mark.parametrize(
    ("annotation", "plain"),
    [
        (int, int),
        (Any, Any),
        (Optional[int], Optional[int]),  # noqa: UP045
        (SomeClass, None),
        (Callable[[int], str], None),
        (type[SomeClass], None),
        (Union[dict[str, Any], SomeClass, None], Optional[dict[str, Any]]),  # noqa: UP007, UP045
        (dict[str, SomeClass], None),
        (Optional["Unresolved"], type(None)),  # noqa: F821
        (tuple[int, ...], list[int]),
        (list[tuple[int, float | str]], list[list[int | float | str]]),
    ],
)
def test_the_plain_part_of_an_annotation(annotation, plain):
    assert plain_part(annotation) == plain


@pytest.mark.parametrize(
    ("annotation", "expected"), [(int, True), (int | SomeClass, True), (SomeClass | None, False), (SomeClass, False)]
)
def test_what_can_be_written(annotation, expected):
    assert can_be_written(annotation) is expected


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (1, float, True),
        (1.0, int, False),
        (True, int, False),
        (True, float, False),
        ("1", int, False),
        (1, bool, False),
        ([[0, 0.1], [5, 1]], float | list[tuple[int, float]], True),
        ([0.1], float | list[list[float]], False),
        ({"a": 1}, dict, True),
        ({"a": "b"}, dict[str, float], False),
        ("anything", Any, True),
    ],
)
def test_nothing_is_coerced(value, annotation, expected):
    assert matches(value, annotation) is expected


@pytest.mark.parametrize(
    ("annotation", "null", "text"),
    [
        (int, False, "a whole number"),
        (int | float | None, False, "a number"),
        (int | str, True, "a whole number, a string or null"),
        (bool | list[int], False, "true or false or a list"),
        (Any, False, "a value"),
    ],
)
def test_descriptions(annotation, null, text):
    assert describe(annotation, null) == text
