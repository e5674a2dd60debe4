"""What code hosts and pre-commit are told is what the Makefile has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def commands(workflow: Path) -> list[str]:
    """What a workflow runs, once for each value of its matrix."""
    found = []
    for job in yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values():
        targets = job.get("strategy", {}).get("matrix", {}).get("target", [""])
        for step in job["steps"]:
            found += [step["run"].replace("${{ matrix.target }}", target) for target in targets if "run" in step]
    return found


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_targets_of_the_makefile_and_nothing_else(workflow):
    assert commands(workflow)
    for command in commands(workflow):
        word, target = command.split()
        assert (word, target in TARGETS) == ("make", True), command


def test_workflows_run_all_that_has_to_pass():
    ran = {command.split()[1] for workflow in WORKFLOWS for command in commands(workflow)}
    assert ran >= {"check", "test", "test-slow", "test-ray", "docs", "dist", "wheels"}


def test_pre_commit_runs_the_checks_of_the_makefile():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    entries = {hook["entry"].removeprefix(".venv/bin/") for hook in hooks}
    check = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\ncheck:")[2].partition("\n\n")[0]
    for command in re.findall(r"\$\(BIN\)/(.*)", check):
        assert command.replace(" --check", "").removesuffix(" .") in entries, command
