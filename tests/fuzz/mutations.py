"""Strategies that make bad experiments out of good ones."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.experiments import contents, texts

UNKNOWN_KEY = "qwzx_unknown"

JUNK_TEXTS = (
    *(
        "",
        " ",
        "\t",
        "null",
        "1e5",
        "PPO",
        "lstm",
        "agalite",
        "CartPole-v1",
        "ünïcödé",
        "日本語",
        "\u202e",
        "\ud800",
        "\0",
    ),
    *(
        "../..",
        "~nobody-at-all/x",
        "/dev/null/x",
        "s3://bucket",
        "~",
        "a" * 300,
        "x" * 5000,
        "<<",
        "*",
        "{}",
        "%s",
        "{0}",
    ),
    *("os.system", "subprocess.Popen", "os:system", "no_such_module_at_all:Env-v0", "no_such_module_at_all.Class"),
    *("antigravity:X-v0", "this.Class", "builtins.eval", "__main__.Class", ":", "a:", ":a", "..a:b", "rllib_recattn"),
    *(
        "ray.rllib.callbacks.callbacks.RLlibCallback",
        "torch.nn.Linear",
        "gymnasium.Env",
        "tests.experiment.crowd.Crowd",
    ),
)
"""Texts that mean something in other places, name code, or cannot be paths."""

_NUMBERS = (0, 1, -1, 2, 7, 10**9, 10**30, 10**400, -(10**400), 0.5, -0.0, 1e-320, 1e308, float("inf"), float("-inf"))

scalars = st.one_of(
    st.sampled_from([None, True, False, float("nan")]),
    st.sampled_from(_NUMBERS),
    st.sampled_from(JUNK_TEXTS),
    st.integers(-100, 100),
    st.floats(-10, 10),
    st.text(max_size=12),
)
keys = st.one_of(
    st.sampled_from(
        ["name", "type", "model", "config", "grid_search", "sample_from", "choice", "uniform", "env", "", "."]
    ),
    st.sampled_from([0, 1, -1, 1.5, True, None, "a.b", "a[0]", "\ud800", "\0", "k" * 3000]),
    st.text(max_size=8),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=6,
)
"""Any plain data."""

domains = st.builds(
    lambda word, argument: {word: argument},
    st.sampled_from(["grid_search", "choice", "uniform", "loguniform", "randint", "qrandint", "randn", "sample_from"]),
    st.one_of(values, st.lists(scalars, min_size=1, max_size=3)),
)

Place = tuple[Any, ...]


def _places(data: Any) -> list[Place]:
    """List the keys and indices that lead to each value inside plain data, however deep it is."""
    places: list[Place] = []
    left: list[tuple[Place, Any]] = [((), data)]
    while left:
        place, value = left.pop()
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        inner = [((*place, key), item) for key, item in items]
        places += [found for found, _ in inner]
        left += inner
    return places


def _at(data: Any, place: Place) -> Any:
    for key in place:
        data = data[key]
    return data


def _misspelt(draw: st.DrawFn, key: Any) -> Any:
    text = str(key)
    index = draw(st.integers(0, len(text)))
    return text[:index] + draw(st.sampled_from(["", "z", "_", " ", "é", text])) + text[index + 1 :]


def _mutate(draw: st.DrawFn, data: Any) -> None:
    places = _places(data)
    if not places:
        return
    *parents, key = draw(st.sampled_from(places))
    parent = _at(data, tuple(parents))
    action = draw(
        st.sampled_from(["delete", "rename", "replace", "replace", "insert", "splice", "domain", "nest", "deep"])
    )
    if action == "delete":
        del parent[key]
    elif action == "rename" and isinstance(parent, dict):
        parent[_misspelt(draw, key)] = parent.pop(key)
    elif action == "insert" and isinstance(parent, dict):
        parent[draw(keys)] = draw(values)
    elif action == "splice":
        other = draw(st.sampled_from(contents()))
        parent[key] = copy.deepcopy(_at(other, draw(st.sampled_from(_places(other)))))
    elif action == "domain":
        parent[key] = draw(domains)
    elif action == "nest":
        parent[key] = draw(st.sampled_from([[parent[key]], {key: parent[key]}, [parent[key]] * 2]))
    elif action == "deep":
        for _ in range(draw(st.sampled_from([30, 100]))):
            parent[key] = [parent[key]]
    else:
        parent[key] = draw(values)


@st.composite
def mutated_contents(draw: st.DrawFn) -> Any:
    """Draw an experiment with one to four mutations, as plain data."""
    data = copy.deepcopy(draw(st.sampled_from(contents())))
    for _ in range(draw(st.integers(1, 4))):
        _mutate(draw, data)
    return data


FREE = ("several-agents", "config", "env_config")
"""Where any key may stand: an environment that is named by its class does what it likes with its settings."""


@st.composite
def contents_with_an_unknown_key(draw: st.DrawFn) -> tuple[Any, str]:
    """Draw an experiment that is right but for one key that nobody knows, and say where that stands."""
    data = copy.deepcopy(draw(st.sampled_from(contents())))
    blocks = [place for place in _places(data) if isinstance(_at(data, place), dict) and place != FREE]
    place = draw(st.sampled_from(blocks))
    _at(data, place)[UNKNOWN_KEY] = draw(st.sampled_from([None, True, 0, 1e9, "text", [], [1], {}, {"a": None}]))
    return data, ".".join(map(str, place))


SNIPPETS = (
    *(
        "\t",
        "\n",
        "\r",
        " ",
        ":",
        ": ",
        "- ",
        "#",
        "{",
        "}",
        "[",
        "]",
        ",",
        "'",
        '"',
        "&a ",
        "*a",
        "*b",
        "!",
        "!!",
        "|",
        ">",
    ),
    *(
        "%YAML 3.0\n",
        "---\n",
        "...\n",
        "? ",
        "<<: *a",
        "&a [*a]",
        "\x00",
        "\x07",
        "\ufeff",
        "\u2028",
        "\x85",
        "\U0001f600",
    ),
    *("[" * 3000, "{a: " * 3000, "- " * 3000, "9" * 5000, "1e999", ".nan", "-.inf", "0o8", "0x", "1__0", "!!int 'x'"),
    *('!!python/object/apply:os.system ["exit 1"]', "!!python/name:os.system", "!!python/module:antigravity"),
    *('!!python/object/new:subprocess.Popen [["true"]]', "!!binary aGk=", "!!set {a}", "!!timestamp 2001-01-01"),
    *('"\\ud800"', '"\\0"', "!!float x", "!!bool 3", "!!null x", "!!map [1]", "!!seq {a: 1}", "!!str [1]", "!!merge x"),
)


@st.composite
def mutated_files(draw: st.DrawFn) -> bytes:
    """Draw the bytes of an experiment's file, cut, doubled and with other text put in between."""
    text = draw(st.sampled_from(texts()))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.sampled_from([0, 0, 1, 5, 40]))
        new = draw(st.one_of(st.sampled_from(SNIPPETS), st.text(max_size=5), st.just(text[start:end] * 2)))
        text = text[:start] + new + text[end:]
    content = text.encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 9)) == 0:
        index = draw(st.integers(0, len(content)))
        content = content[:index] + draw(st.binary(max_size=3)) + content[index:]
    return content
