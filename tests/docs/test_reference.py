"""What the site's reference is written from is on its pages, all of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest
import yaml

import rllib_recattn as ra
from docs.site.command_line import command_line, commands
from docs.site.experiment_file import experiment_file
from docs.site.markdown import attributes
from docs.site.model_settings import model_settings
from docs.site.python_api import BESIDE, public_functions, python_api
from rllib_recattn.cli.main import main
from rllib_recattn.experiment.definition.schedulers import SCHEDULERS
from rllib_recattn.experiment.definition.searchers import SEARCHERS
from rllib_recattn.importing import import_named

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "schema" / "experiment.schema.json").read_text(encoding="utf-8"))["$defs"]


def test_every_command_is_there_with_every_option():
    page = command_line()
    shown = [name for name, _, _ in commands()]
    assert {name.split()[0] for name in shown} == set(main.list_commands(click.Context(main)))
    assert "train file" in shown
    assert re.findall(r"^(#+) ", page, re.MULTILINE) == ["##"] * len(shown), "a line of a help text is a heading"
    for name, command, context in commands():
        section = page.partition(f"\n## rllib {name}\n")[2].partition("\n## ")[0]
        for parameter in command.get_params(context):
            if getattr(parameter, "hidden", False):
                continue
            written = parameter.opts if isinstance(parameter, click.Option) else [parameter.make_metavar(context)]
            assert all(text.strip("[].") in section for text in written), (name, parameter.name)


def test_every_model_is_there_with_every_setting(own_models):
    page = model_settings()
    for info in ra.list_models():
        section = page.partition(f"\n## `{info.name}`\n")[2].partition("\n## ")[0]
        assert re.findall(r"^\| `(\w+)` ", section, re.MULTILINE) == list(info.settings.model_fields), info.name


def test_every_public_name_is_there():
    page = python_api()
    for name in ra.__all__:
        assert re.search(rf"rllib_recattn\.{name}\b", page.replace("\\_", "_")), name


@pytest.mark.parametrize("place", sorted({*public_functions().values(), *BESIDE.values()}))
def test_what_mkdocstrings_is_to_write_is_where_the_page_says(place):
    module, _, name = place.rpartition(".")
    assert getattr(import_named(module, "reference"), name).__doc__


@pytest.mark.parametrize(
    "block", ["experiment", "tune", "checkpoint", "logging", "multi_agent", "config", "stop", "search"]
)
def test_every_key_of_the_schema_is_there(block):
    page = experiment_file()
    for key, schema in SCHEMA[block]["properties"].items():
        gone = schema.get("deprecated") and "description" not in schema
        assert gone or f"| `{key}` |" in page, key


@pytest.mark.parametrize("name", [*SCHEDULERS, *SEARCHERS])
def test_every_scheduler_and_searcher_is_there(name):
    assert f"| **`{name}`** |" in experiment_file()


def test_keys_of_the_top_level_have_meanings():
    rows = experiment_file().partition("\n## `stop`")[0].splitlines()
    keys = [row for row in rows if row.startswith("| `")]
    assert len(keys) > 10
    assert [row for row in keys if row.rstrip("| ").count("|") < 4] == []


def test_attributes_of_a_docstring_are_read():
    text = (
        "A block.\n\n    Attributes:\n        one: The :class:`~a.b.First`,\n            and more.\n"
        "        two: ``x``.\n\n    Not this: no."
    )
    assert attributes(text) == {"one": "The `First`, and more.", "two": "`x`."}
    assert attributes(None) == attributes("No such section.") == {}


class Configuration(yaml.SafeLoader):
    """Reads mkdocs.yml, but for the functions that it names."""


Configuration.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def pages_of(nav) -> set[str]:
    if isinstance(nav, str):
        return {nav}
    return set().union(*(pages_of(each) for each in (nav.values() if isinstance(nav, dict) else nav)))


def test_every_page_has_a_place_in_the_menu():
    configuration = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Configuration)
    there = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages_of(configuration["nav"]) if not page.startswith("repository/")} == there
