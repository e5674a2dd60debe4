"""Which modules belong to installed packages."""

from __future__ import annotations

import sys

import pytest

from rllib_recattn.errors import SettingsError
from rllib_recattn.installed import require_installed


@pytest.mark.parametrize(
    "module", ["ray.rllib.callbacks.callbacks", "yaml", "click.core", "rllib_recattn.rl_module.metrics"]
)
def test_modules_of_installed_packages(module):
    require_installed(module, "here")


@pytest.mark.parametrize("module", ["os.path", "sys", "no_such_package"])
def test_modules_of_none(module):
    with pytest.raises(SettingsError, match=rf"^here: .*'{module.partition('.')[0]}'"):
        require_installed(module, "here")


EDITABLE = '{{"url": "file://{directory}", "dir_info": {{"editable": true}}}}'


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """A directory on Python's path, with a package that ends the test when it is imported."""
    package = tmp_path / "lying_around"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_package_that_lies_around_is_refused_without_running_it(directory):
    with pytest.raises(SettingsError, match=r"'lying_around' \(.*lying_around\) belongs to no installed package"):
        require_installed("lying_around.callbacks", "here")
    assert "lying_around" not in sys.modules


@pytest.mark.parametrize(
    "files",
    [
        {"top_level.txt": "lying_around\n"},
        {"RECORD": "lying_around/__init__.py,,\n"},
        {"direct_url.json": EDITABLE},
        {"direct_url.json": EDITABLE, "top_level.txt": "lying_around\n"},
    ],
    ids=lambda files: "+".join(files),
)
def test_installed_with_metadata_or_editable_it_is_accepted(directory, files):
    metadata = directory / "its_name-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: its-name\nVersion: 1.0\n")
    for name, text in files.items():
        (metadata / name).write_text(text.format(directory=directory))
    require_installed("lying_around.callbacks", "here")
    assert "lying_around" not in sys.modules


@pytest.mark.parametrize(
    "files",
    [
        {"RECORD": "not_lying_around/__init__.py,,\n"},
        {"direct_url.json": EDITABLE, "top_level.txt": "another\n"},  # as tests beside a package are
    ],
    ids=lambda files: "+".join(files),
)
def test_another_packages_metadata_beside_it_is_not_enough(directory, files):
    metadata = directory / "other-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    for name, text in files.items():
        (metadata / name).write_text(text.format(directory=directory))
    with pytest.raises(SettingsError, match="belongs to no installed package"):
        require_installed("lying_around", "here")


def test_the_name_of_an_installed_package_does_not_help_another_directory(tmp_path, monkeypatch):
    (tmp_path / "mypy_extensions.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mypy_extensions", raising=False)
    with pytest.raises(SettingsError, match="belongs to no installed package"):
        require_installed("mypy_extensions", "here")
