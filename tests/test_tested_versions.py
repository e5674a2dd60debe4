from __future__ import annotations

import re
import warnings
from importlib import metadata
from pathlib import Path

import pytest

from rllib_recattn import tested_versions
from rllib_recattn.tested_versions import TESTED_RAY, UntestedVersionWarning, warn_of_newer_ray

ROOT = Path(__file__).parents[1]


@pytest.fixture
def warnings_with(monkeypatch):
    def of(version):
        def find(package):
            if version is None:
                raise metadata.PackageNotFoundError(package)
            return version

        monkeypatch.setattr(tested_versions.metadata, "version", find)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warn_of_newer_ray.cache_clear()
            for _ in range(3):
                warn_of_newer_ray()
        return caught

    yield of
    monkeypatch.undo()
    warn_of_newer_ray.cache_clear()


@pytest.mark.parametrize("version", [*TESTED_RAY, "2.57.0", "2.60.3", "2.9.3", None])
def test_tested_versions_older_ones_and_none_are_silent(warnings_with, version):
    assert not warnings_with(version)


@pytest.mark.parametrize("version", ["2.61.0", "3.0.0.dev0", "2.100.0rc1"])
def test_a_newer_version_warns_once_and_names_the_versions(warnings_with, version):
    (warning,) = warnings_with(version)
    assert warning.category is UntestedVersionWarning
    assert f"tested with ray {TESTED_RAY[0]} … {TESTED_RAY[1]}, and ray {version} is installed" in str(warning.message)


def test_the_parts_that_load_ray_warn():
    for part in ("rl_module", "model_v2"):
        assert "\nwarn_of_newer_ray()\n" in (ROOT / "rllib_recattn" / part / "__init__.py").read_text(encoding="utf-8")


def test_the_versions_are_those_that_the_tests_run_with():
    oldest = re.search(r"^RAY := (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    newest = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert (oldest[1], newest[1]) == TESTED_RAY
    required = re.search(r"ray\[rllib\]>=([\d.]+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert TESTED_RAY[0].startswith(required[1])
