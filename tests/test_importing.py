"""What a setting names is imported only if it can mean anything, and whatever its import does is one clear error."""

from __future__ import annotations

import sys

import pytest

from rllib_recattn.errors import SettingsError
from rllib_recattn.importing import import_named


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
