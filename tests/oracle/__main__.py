"""``python -m tests.oracle --count N --seed S``; see the package."""

from __future__ import annotations

import argparse
import tempfile
import time
import traceback
from pathlib import Path

import torch

from tests.oracle.cases import draw
from tests.oracle.compare import TOLERANCE
from tests.oracle.harness import check


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="of the first config; the others follow it")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    worst: dict[str, float] = {}
    failed, n_steps, n_rounded, start = [], 0, 0, time.monotonic()
    for seed in range(arguments.seed, arguments.seed + arguments.count):
        case = draw(seed)
        with tempfile.TemporaryDirectory() as directory:
            try:
                report = check(case, Path(directory))
                problems = report.problems
                n_steps += report.n_steps
                n_rounded += report.n_rounded
                worst = {key: max(worst.get(key, 0), report.worst.get(key, 0)) for key in {*worst, *report.worst}}
            except Exception:
                problems = [traceback.format_exc()]
        if problems:
            failed.append(seed)
            print(f"seed {seed}: {case}", *problems[:4], sep="\n  ", flush=True)
    print(f"{arguments.count} configs, {n_steps:,} steps, {time.monotonic() - start:.0f} s; largest differences:")
    for name, difference in sorted(worst.items()):
        print(f"  {name}: {difference:.1e}")
    print(f"  larger ones that rounding explains: {n_rounded}")
    print(f"{len(failed)} apart by more than {TOLERANCE}" + (f": seeds {failed}" if failed else ""))
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
