"""What a setting names is imported only if it can mean anything, and whatever its import does is one clear error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rllib_recattn import importing
from rllib_recattn.errors import SettingsError
from rllib_recattn.importing import import_class, import_named, import_object, make_importable, make_importable_too


@pytest.mark.parametrize("module", ["antigravity", "idlelib.idle", "os", "this"])
def test_the_standard_library_is_refused_unimported(module: str) -> None:
    present = set(sys.modules)
    with pytest.raises(SettingsError, match=f"x.yaml: '{module}' is of Python's standard library"):
        import_named(module, "x.yaml")
    assert set(sys.modules) == present


@pytest.mark.parametrize("line", ["raise SystemExit(3)", "raise OSError('no disk')", "def (", "1 / 0"])
def test_a_module_that_fails_to_import_is_one_error(line: str, tmp_path, monkeypatch) -> None:
    (tmp_path / "fails_to_import.py").write_text(line)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError, match=r"x.yaml: the module 'fails_to_import' cannot be imported: "):
        import_named("fails_to_import", "x.yaml")


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Two folders, each with a module of the same name; afterwards all is as it was."""
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        (folder / "lies_beside.py").write_text(f"WHERE = {folder.name!r}")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(importing, "_folder", None)
    monkeypatch.setattr(importing, "_further", [])
    yield folders
    for name in ("lies_beside", "lies_further"):
        sys.modules.pop(name, None)


def test_what_lies_beside_the_experiment_counts_and_not_what_lay_beside_the_one_before(folders: list[Path]) -> None:
    for folder in (*folders, *folders):
        make_importable(folder)
        assert import_object("lies_beside:WHERE", "thing", "x.yaml") == folder.name
    assert [path for path in sys.path if "lies_beside" in path or path in map(str, folders)] == [str(folders[1])]


def test_a_further_folder_comes_behind_it_and_goes_with_it(folders: list[Path]) -> None:
    make_importable(folders[0])
    (folders[1] / "lies_further.py").write_text("WHERE = 'further'")
    make_importable_too(folders[1])
    assert importing.importable_folders() == [str(folder) for folder in folders]
    assert import_object("lies_beside:WHERE", "thing", "x.yaml") == "one"
    assert import_object("lies_further:WHERE", "thing", "x.yaml") == "further"
    make_importable(folders[0].parent)
    assert importing.importable_folders() == [str(folders[0].parent)]
    assert not {*map(str, folders)} & {*sys.path}


def test_it_hides_nothing_that_is_installed(folders: list[Path]) -> None:
    (folders[0] / "pydantic.py").write_text("WHERE = 'beside'")
    make_importable(folders[0])
    assert not hasattr(import_named("pydantic", "x.yaml"), "WHERE")
    with pytest.raises(SettingsError, match=rf"'pydantic' is .*__init__.py, not what lies in {folders[0]}, and has no"):
        import_class("pydantic.WHERE", object, "thing", "x.yaml")


def test_who_misses_a_module_is_told_where_to_put_it(folders: list[Path]) -> None:
    make_importable(folders[0])
    with pytest.raises(SettingsError, match=rf"or lie in {folders[0]}, beside the experiment's file, or on PYTHONPATH"):
        import_named("lies_nowhere", "x.yaml")
