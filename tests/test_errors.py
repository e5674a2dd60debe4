"""Messages of errors stay readable, whatever users wrote that they repeat."""

from __future__ import annotations

import pickle

from rllib_recattn.errors import SettingsError


def test_short_messages_are_left_as_they_are() -> None:
    message = "x.yaml: maze.model: d_model = 'größer ‒ 日本': should be a whole number\nx.yaml: maze.env: unknown"
    assert str(SettingsError(message)) == message


def test_long_lines_keep_their_beginning_and_end() -> None:
    message = str(SettingsError(f"x.yaml: lr = {'9' * 5000!r}: should be a number"))
    assert len(message) == 600
    assert message.startswith("x.yaml: lr = '999")
    assert message.endswith("99': should be a number")


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
