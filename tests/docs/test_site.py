"""The site is built without a warning, and its links lead somewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import rllib_recattn as ra
from docs.site.check_links import broken_links
from docs.site.python_api import public_functions
from docs.site.repository_files import with_links

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_no_link_is_broken(site):
    broken, elsewhere = broken_links(site)
    assert broken == []
    assert elsewhere > 50


def test_the_reference_is_written(site):
    text = {path.stem: path.read_text(encoding="utf-8") for path in (site / "reference").glob("*.html")}
    assert all(f'id="{info.name}"' in text["models"] for info in ra.list_models())
    assert 'id="rllib-train-file"' in text["command-line"]
    for name, place in public_functions().items():
        section = text["python"].partition(f'<h2 id="{place}"')[2].partition("<h2 ")[0]
        assert "&gt;&gt;&gt;" in section, f"no example of {name}"
    assert not any("written here" in page for page in text.values())


def test_what_can_be_searched_holds_the_reference(site):
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    assert "padding_share" in index
    assert "reference/python.html" in index


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html#there">1</a><a href="c.html">2</a><a href="b.html#not">3</a>')
    (tmp_path / "b.html").write_text('<p id="there"><a href="https://example.org">4</a></p><img src="no.png">')
    assert broken_links(tmp_path) == (["a.html: b.html#not", "a.html: c.html", "b.html: no.png"], 1)


@pytest.mark.parametrize(
    ("path", "link", "on_the_site"),
    [
        ("docs/dqn.md", "sampling.md#a", "sampling.md#a"),
        ("docs/dqn.md", "../tuned_examples/x.yaml", "repository/tuned_examples/x.yaml.md"),
        ("docs/dqn.md", "../tests/", "repository/tests/index.md"),
        ("docs/reference/models.md", "../../CHANGELOG.md", "../repository/CHANGELOG.md"),
        ("CONTRIBUTING.md", "docs/dqn.md#a", "../dqn.md#a"),
        ("benchmarks/README.md", "models/cost.json", "models/cost.json"),
        ("docs/dqn.md", "https://example.org/x", "https://example.org/x"),
        ("docs/dqn.md", "#below", "#below"),
    ],
)
def test_a_link_leads_to_the_same_on_the_site(path, link, on_the_site):
    assert with_links(f"[`a`]({link}) and `[b]({link})`", path) == f"[`a`]({on_the_site}) and `[b]({link})`"
