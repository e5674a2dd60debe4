"""The results of all benchmarks on one page: docs/results.md with its figures, and the two that the README shows.

    python -m benchmarks.results [--memory-runs DIRECTORY] [--out DIRECTORY]

Reads the JSON that the other benchmarks have left, and trains and measures nothing. What is missing there is named on
the page as not measured.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.results.figures import draw_all
from benchmarks.results.page import page
from benchmarks.results.readme import write_block
from benchmarks.results.sources import ROOT, Sources


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory-runs", type=Path, help="runs of benchmarks.memory.grid in another place")
    parser.add_argument("--out", type=Path, help="where to write, in the place of docs/ and the README")
    arguments = parser.parse_args()
    sources = Sources(memory_runs=arguments.memory_runs)
    docs = arguments.out or ROOT / "docs"
    drawn = draw_all(sources, docs / "images" / "results")
    (docs / "results.md").write_text(page(sources, drawn), encoding="utf-8")
    if arguments.out is None:
        write_block(sources, drawn)


if __name__ == "__main__":
    main()
