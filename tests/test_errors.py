"""Messages of errors stay readable, whatever users wrote that they repeat."""

from __future__ import annotations

import pickle
from typing import Annotated

import pytest
from pydantic import Field

from rllib_recattn.errors import Settings, SettingsError, SettingsWarning, validate


def test_short_messages_are_left_as_they_are() -> None:
    message = "x.yaml: maze.model: d_model = 'größer ‒ 日本': should be a whole number\nx.yaml: maze.env: unknown"
    assert str(SettingsError(message)) == message


def test_long_lines_keep_their_beginning_and_end() -> None:
    message = str(SettingsError(f"x.yaml: lr = {'9 ' * 5000!r}: should be a number"))
    assert len(message) == 600
    assert message.startswith("x.yaml: lr = '9 9 9")
    assert message.endswith("9 ': should be a number")


@pytest.mark.parametrize("kind", [SettingsError, SettingsWarning])
def test_long_numbers_and_words_are_not_repeated_whole(kind) -> None:
    number = "1234567890" * 500
    assert str(kind(f"x.yaml: lr = {number}: should be a number")) == (
        "x.yaml: lr = 12345678901234567890…1234567890 (5000 digits): should be a number"
    )
    assert len(str(kind(f"unknown model {'k' * 3000!r}, {number}"))) < 150
    path = "/".join(["a-directory-with-a-rather-long-name-of-sixty-characters-or-so"] * 5)
    assert str(kind(f"there is no file {path!r}")) == f"there is no file {path!r}"


def test_a_number_that_python_does_not_write_is_refused_like_others() -> None:
    class Sizes(Settings):
        size: Annotated[int, Field(lt=9)]

    with pytest.raises(SettingsError, match="where: size = int of more than 4300 digits: input should be less than 9"):
        validate(Sizes, {"size": 10**5000}, "where")
    with pytest.raises(SettingsError, match="where: size = list of more than"):
        validate(Sizes, {"size": [10**5000]}, "where")


def test_long_lists_are_cut_after_whole_lines() -> None:
    lines = [f"x.yaml: maze.config: unknown setting 'setting_{index}'" for index in range(100)]
    *kept, rest = str(SettingsError("\n".join(lines))).split("\n")
    assert kept == lines[: len(kept)]
    assert rest == f"… and {100 - len(kept)} more"
    assert 1500 < len("\n".join(kept)) <= 1900


def test_what_cannot_be_printed_is_written_as_an_escape() -> None:
    message = str(SettingsError("a\ud800b\x1b[31m\tc\u202e\nd"))
    assert message == "a\\ud800b\\x1b[31m\\tc\\u202e\nd"
    message.encode()


def test_errors_survive_the_way_from_another_process() -> None:
    error = SettingsError("\n".join(f"{'x' * 900}\ud800{index}" for index in range(9)))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
