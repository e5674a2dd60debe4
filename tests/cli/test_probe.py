import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from rllib_recattn.cli.main import main
from rllib_recattn.probing import probe as module
from rllib_recattn.probing.result import read_result
from rllib_recattn.probing.table import explanation, probe_tables
from rllib_recattn.probing.tasks import TASKS

TINY = ["--budget", "2", "--parameters", "2000"]
FEW = ["--tasks", "repeat-3, pairs", *TINY]


def run(*arguments):
    return CliRunner().invoke(main, ["probe", *arguments])


def test_it_prints_a_table_and_writes_the_numbers_and_a_figure(tmp_path):
    data, figure = tmp_path / "probe.json", tmp_path / "probe.png"
    files = ["--json", str(data), "--figure", str(figure)]
    done = run("gru", "{name: gla, conv_size: 4}", *FEW, *files)
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["model", "meters", "3", "pairs"] in rows
    assert ["chance", "25", "%", "12", "%"] in rows
    assert {" ".join(row[:-5]) for row in rows if row[-1:] == ["%"]} >= {"gru", "gla (conv_size 4)"}
    assert "where 2 do not suffice (one seed)" in done.stdout
    assert f"Wrote {data}\nWrote {figure}\n" in done.stdout
    content = json.loads(data.read_text())
    assert content["version"] == 1
    assert content["models"]["gla (conv_size 4)"]["block"]["conv_size"] == 4
    assert figure.read_bytes().startswith(b"\x89PNG")

    again = run("gru", "{name: gla, conv_size: 4}", *FEW, *files)
    assert again.stdout == done.stdout
    assert json.loads(data.read_text()) == content


def test_the_help_and_the_documentation_name_every_task():
    texts = [run("--help").output, (Path(__file__).parents[2] / "docs/probe.md").read_text(encoding="utf-8")]
    for text in texts:
        assert [task for task in TASKS if task not in " ".join(text.split())] == []


def test_all_models_are_those_of_the_catalog(monkeypatch):
    monkeypatch.setattr("rllib_recattn.models.registry.model_names", lambda: ["gru", "lstm"])
    done = run("{name: gru, n_layers: 2}", "lstm", "--all", "--tasks", "pairs", *TINY)
    assert done.exit_code == 0, done.output
    rows = [line.split("  ")[0].strip() for line in done.stdout.splitlines()]
    assert sorted(set(rows) & {"gru", "lstm", "gru (n_layers 2)"}) == ["gru", "gru (n_layers 2)", "lstm"]


def test_a_narrow_terminal_gets_several_tables_that_leave_out_nothing(tmp_path):
    path = tmp_path / "probe.json"
    assert run("gru", *TINY, "--json", str(path)).exit_code == 0
    result = read_result(path)
    headings = [column.stacked_heading for column in result.columns]
    for width, at_least in ((40, 4), (70, 2), (200, 1)):
        tables = probe_tables(result, Console(width=width, force_terminal=True))
        assert len(tables) >= at_least
        assert [column.header for table in tables for column in table.columns[2:]] == headings
        console = Console(width=width, force_terminal=True, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
        for table in tables:
            console.print(table)
        assert "…" not in console.export_text()
    in_a_file = probe_tables(result, Console(width=40, force_terminal=False))
    assert len(in_a_file) == 1


def test_sizes_that_differ_are_said(tmp_path):
    done = run("{name: gru, d_model: 8}", *FEW)
    assert "Sizes differ from 2,000 parameters: gru (d_model 8) 816." in done.stdout


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(tmp_path, monkeypatch):
    path = tmp_path / "probe.json"
    learn_task, calls = module.learn_task, []

    def interrupted(*arguments, **others):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return learn_task(*arguments, **others)

    monkeypatch.setattr(module, "learn_task", interrupted)
    done = run("gru", *FEW, "--json", str(path))
    assert done.exit_code == 130
    assert f"Interrupted with 1 of 2 tasks left: what is done is in {path}, and the same command goes on" in done.stderr
    assert "gru" in done.stdout
    assert run("gru", *FEW, "--json", str(path)).exit_code == 0
    assert len(calls) == 3

    calls.clear()
    done = run("gru", *FEW)
    assert done.exit_code == 130
    assert "nothing is kept: with --json FILE.json the same command would go on" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "Error: MODEL: should be named, or --all given; `rllib models` lists them"),
        (["grru"], "Error: unknown model 'grru': did you mean 'gru'"),
        (["{nme: gru}"], "Error: MODEL '{nme: gru}': the setting 'name' is missing"),
        (["{name: gru"], "Error: MODEL '{name: gru', line 1, column 11: not valid YAML"),
        (["{name: gru, d_modell: 3}"], "Error: model 'gru': unknown setting 'd_modell': did you mean 'd_model'"),
        (["{name: 3}"], "Error: unknown model 3: should be a name"),
        (["gru", "gru"], "Error: models: 'gru' is named twice"),
        (["gru", "--tasks", "pair"], "Error: tasks: unknown task 'pair': did you mean 'pairs'"),
        (["gru", "--tasks", ""], "Error: tasks: unknown task ''"),
        (["gru", "--budget", "0"], "Invalid value for '--budget': 0 is not in the range x>=1"),
        (["gru", "--json", "probe.txt"], "Error: --json 'probe.txt': should end in .json"),
        (["gru", "--json", "none/probe.json"], "Error: --json 'none/probe.json': there is no directory"),
        (["gru", "--figure", "probe.gif"], "Error: --figure 'probe.gif': should end in .png or .svg or .pdf"),
    ],
)
def test_what_is_wrong_ends_with_code_2_before_anything_is_computed(arguments, problem, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "learn_task", None)
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert problem in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_it_does_without_ray():
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('ray' in sys.modules))\n"
        "from rllib_recattn.cli.main import main\n"
        "main(['probe', '{name: gru}', '--tasks', 'pairs', '--budget', '1', '--parameters', '2000'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\nFalse\n")


def test_several_seeds_are_explained(tmp_path):
    path = tmp_path / "probe.json"
    assert run("gru", "--seeds", "2", "--tasks", "pairs", *TINY, "--json", str(path)).exit_code == 0
    assert "(median of 2 seeds)" in explanation(read_result(path))
