import math

import pytest

from rllib_recattn.errors import SettingsError, readable
from rllib_recattn.experiment.definition.yaml_file import dump_yaml, parse_yaml, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1e5", 100_000.0),
        ("-2.5E+2", -250.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1_000.5", 1000.5),
        ("400_000", 400_000),
        ("+7", 7),
        ("-0", 0),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("1__0", "1__0"),
        ("_1", "_1"),
        ("nan", "nan"),
        ("'1e5'", "1e5"),
        ("!!str 5", "5"),
        ("!!float 3", 3.0),
        ("~", None),
        ("null", None),
        ("", None),
        ('{"a": [1, 2.5]}', {"a": [1, 2.5]}),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    read = parse_yaml(f"key: {text}", "test")["key"]
    assert read == value
    assert type(read) is type(value)


def test_merges_are_overridden_by_the_keys_beside_them():
    text = "base: &base {lr: 1, gamma: 2}\nused: {<<: *base, lr: 3}\nlist: {<<: [*base, {lr: 4, x: 5}]}"
    data = parse_yaml(text, "test")
    assert data["used"] == {"lr": 3, "gamma": 2}
    assert data["list"] == {"lr": 1, "gamma": 2, "x": 5}


def test_aliases_repeat_a_value():
    assert parse_yaml("a: &a [1, 2]\nb: *a", "test") == {"a": [1, 2], "b": [1, 2]}


_TEN_TO_THE_EIGHT = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{chr(ord(name) - 1)}'] * 10)}]\n" for name in "bcdefgh"
)


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "line 3, column 1", "duplicate key 'a', first used in line 1"),
        ("x:\n  a: 1\n  'a': 2", "line 3, column 3", "duplicate key 'a', first used in line 2"),
        ("a: !!python/object/apply:os.system [ls]", "line 1, column 4", "python/object/apply:os.system"),
        ("a: !custom 3", "line 1, column 4", "'!custom' is not allowed"),
        ("a: !!binary aGk=", "line 1, column 4", "only plain data"),
        ("a: !!int many", "line 1, column 4", "'many' is no whole number"),
        ("a: !!float many", "line 1, column 4", "'many' is no number"),
        ("a: !!bool many", "line 1, column 4", "neither true nor false"),
        ("a: !!map 3", "line 1, column 4", "expected a mapping"),
        ("a: !!seq 3", "line 1, column 4", "sequence"),
        ("a: .nan", "line 1, column 4", "not a number"),
        ("a: !!float nan", "line 1, column 4", "not a number"),
        ("a: &a [1, *a]", "line 1, column 4", "contains itself"),
        ("a: &a {<<: *a}", "line 1, column 4", "contains itself"),
        (_TEN_TO_THE_EIGHT, "line 5, column 4", "more than 100000 values"),
        ("a: *b", "line 1, column 4", "undefined alias"),
        ("a: [1,\n b: 2", "line 2, column 6", "expected ',' or ']'"),
        ("a: b: c", "line 1, column 5", "mapping values are not allowed here"),
        ("a:\n\tb: 1", "line 2, column 1", "indent with spaces"),
        ("--- 1\n--- 2", "line 2, column 1", "single document"),
        ("? [1, 2]\n: 3", "line 1, column 3", "a key must be a string or a number"),
        ("[" * 5000, "test", "nested too deeply"),
        ("a: \x00", "position 3", "special characters are not allowed"),
        ("# only a comment\n", "test", "empty"),
        ("", "test", "empty"),
    ],
)
def test_what_is_refused_is_named_with_its_place(text, place, problem):
    with pytest.raises(SettingsError) as error:
        parse_yaml(text, "test")
    message = str(error.value)
    assert message.startswith("test")
    assert place in message
    assert problem in message
    assert "\n" not in message


def test_no_tag_runs_code(tmp_path):
    with pytest.raises(SettingsError):
        parse_yaml(f"a: !!python/object/apply:pathlib.Path.touch [{tmp_path / 'made'}]", "test")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("missing.yaml", None, "there is no such file"),
        ("latin.yaml", "a: é".encode("latin-1"), "UTF-8: byte 3"),
        ("script.py", b"print('hello')", "a Python file"),
        ("n" * 300, None, "cannot be read"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, problem):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError) as error:
        read_yaml(path)
    assert str(error.value).startswith(readable(f"{path}: "))
    assert problem in str(error.value)


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="a directory; expected a YAML file"):
        read_yaml(tmp_path)


def test_byte_order_mark_and_windows_lines_are_read(tmp_path):
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: caf\xc3\xa9\r\n")
    assert read_yaml(path) == {"a": 1, "b": "café"}


def test_what_is_written_is_read_back():
    shared = [1, 2]
    data = {
        "numbers": [1e-5, 3e20, 7, math.inf, -0.5],
        "texts": ["1e5", "400_000", "true", "yes", "", "~", "a: b", "é"],
        "other": [None, True, {}, []],
        "shared": [shared, shared],
    }
    text = dump_yaml(data)
    assert parse_yaml(text, "test") == data
    assert "&" not in text
