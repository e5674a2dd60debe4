"""Where the figures of the page come from: the JSON that benchmarks have left."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

Json = Mapping[str, Any]
# Model → corridor length → its runs.
Cells = dict[str, dict[int, list[Json]]]


@dataclass(frozen=True)
class Sources:
    """The directories that are read.

    Attributes:
        benchmarks: Holds each benchmark's JSON at its place, such as models/cost.json; what is
            missing was not measured.
        memory_runs: Holds the runs of benchmarks.memory.grid by stage, if not in memory/runs of `benchmarks`.
    """

    benchmarks: Path = ROOT / "benchmarks"
    memory_runs: Path | None = None

    def read(self, place: str) -> Json | None:
        """Read a JSON file below benchmarks/; None if there is none."""
        path = self.benchmarks / place
        if not path.exists():
            return None
        content: Json = json.loads(path.read_text(encoding="utf-8"))
        return content

    def learning(self) -> dict[str, Json]:
        """Read the runs in other environments than T-Maze: task → content."""
        paths = sorted((self.benchmarks / "envs" / "learning").glob("*.json"))
        return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}

    def memory(self, stage: str) -> Cells:
        """Read the runs of a stage of benchmarks.memory.grid."""
        found: Cells = defaultdict(lambda: defaultdict(list))
        for path in sorted((self.searched_in / stage).glob("*.json")):
            run = json.loads(path.read_text(encoding="utf-8"))
            found[run["model"]][run["length"]].append(run)
        return found

    @property
    def searched_in(self) -> Path:
        """The directory of the runs of benchmarks.memory.grid."""
        return self.memory_runs or self.benchmarks / "memory" / "runs"
