"""The page of results: tables, figures and verdicts follow from the benchmarks' JSON, and what is missing is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.measures import last_20, reach, success_at
from benchmarks.memory.plan import ABLATION_LENGTH
from benchmarks.results import comparisons, cost, phrases, readme, tmaze, whole_runs
from benchmarks.results.context import CONTEXT
from benchmarks.results.figures import draw_all
from benchmarks.results.memory import success_table
from benchmarks.results.page import FIGURES, page, paper_verdicts, target_verdicts
from benchmarks.results.ranking import ranking_table
from benchmarks.results.sources import ROOT, Sources
from benchmarks.results.verdicts import (
    IN_PART,
    MET,
    MISSED,
    NOT_MEASURED,
    REFUTED,
    REPRODUCED,
)


def point(env_steps, success_rate):
    return {"env_steps": env_steps, "success_rate": success_rate, "seconds": 2.0, "cpu_seconds": 1.0, "return": 0.5}


def run_of(points, seed=0, solved=False, **more):
    return {**more, "seed": seed, "solved": solved, **points[-1], "curve": points}


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_grid(benchmarks, model, length, success_rates, stage="grid", env_steps=1000):
    for seed, rate in enumerate(success_rates):
        points = [point(500, None), point(env_steps, rate)]
        run = run_of(points, seed, rate >= 0.95, model=model, length=length, lr=3e-4)
        write(benchmarks / "memory/runs" / stage / f"{model}-{length}-seed-{seed}.json", run)


def model_cost(acting, state, peak=100):
    times = {"acting_ms": acting, "training_ms_per_1024_tokens": {"B=8, T=128": 10.0}}
    return {"parameters": 10, "state_bytes": state, "training_peak_memory_bytes": peak, **times}


def write_cost(benchmarks, agalite=(1.0, 2.0), state=100):
    gtrxl = model_cost({"B=1": 2.0, "B=32": 4.0}, 1000)
    models = {
        cost.AGALITE: model_cost(dict(zip(("B=1", "B=32"), agalite, strict=True)), state, peak=300),
        cost.GTRXL: gtrxl,
        cost.USUAL: model_cost({"B=1": 10.0, "B=32": 20.0}, 1000),
        "LSTM": model_cost({"B=1": 0.25, "B=32": 0.5}, 20),
    }
    constant = {"acting_ms": {"64": 1.0, "4096": 1.0}, "state_bytes": {"64": 100, "4096": 100}}
    growth = {
        cost.AGALITE: constant,
        "LSTM": constant,
        cost.GROWING: {"acting_ms": {"64": 1.0, "4096": 10.0}, "state_bytes": {"64": 100, "4096": 6400}},
    }
    machine = {"cpu": "abacus", "cores": 2, "python": "3", "torch": "2"}
    content = {"command": "make cost", "machine": machine, "models": models, "growth": {"batch": 8, "models": growth}}
    write(benchmarks / cost.COST, content)


def beside(kernels, pytorch=9.0):
    cases = ("acting, B = 1", "acting, B = 8", "acting, B = 64", "training, B = 20, T = 24")
    agalite, gla = (kernels, pytorch), (0.7, 3.0)
    of_lstm = {
        f"{model}{path}": ratio
        for model, ratios in (("AGaLiTe", agalite), ("GLA", gla))
        for path, ratio in zip(("", " without kernels"), ratios, strict=True)
    }
    parameters = dict.fromkeys(("AGaLiTe", "LSTM", "GLA", "LSTM beside GLA"), 1)
    results = {case: {"of the LSTM's": of_lstm} for case in cases}
    return {"command": "make beside", "results": {"2 × 64": {"parameters": parameters, **results}}}


def verdicts(sources):
    return {v.claim: v for v in (*paper_verdicts(sources), *target_verdicts(sources))}


def test_verdicts_follow_from_the_figures(tmp_path):
    sources = Sources(tmp_path)
    write_cost(tmp_path)
    write(tmp_path / cost.BESIDE_LSTM, beside(kernels=1.1))
    found = verdicts(sources)
    ours = found["acting is at least 40 % cheaper than with our best GTrXL, M = 128"]
    assert ours[1:] == ("B = 1: 50 % cheaper; B = 32: 50 % cheaper", REPRODUCED)
    assert found["the state takes at least 50 % less memory"][1:] == ("M = 128: 90 % less", REPRODUCED)
    assert found["a training step's peak takes at least 50 % less memory"][1:] == ("M = 128: 200 % more", REFUTED)
    assert found["acting is at least 40 % cheaper than with our best GTrXL whose M is the context"].verdict == IN_PART
    assert found["acting, B = 1: at most 0.5 × an LSTM's time"][1:] == ("2 × 64: 1.10 ×", MISSED)
    assert found["acting, B = 64: at most 1.2 × an LSTM's time"].verdict == MET
    assert found["training: at most 1.5 × an LSTM's time"].verdict == MET
    text = page(sources, [])
    assert "What stands in the way" in text
    assert "| AGaLiTe, acting, B = 8 | ≤ 0.8 × | 1.10 × missed | 9.00 × missed |" in text
    assert "| GLA, acting, B = 8 | ≤ 0.8 × | 0.70 × met | 3.00 × missed |" in text
    assert "| cheapest step, B = 1 | LSTM, 0.25 ms | AGaLiTe, 1.00 ms | 2 of 3, 1.00 ms |" in text
    assert "| AGaLiTe / GTrXL | 1 ×, 1 × | 0.1 ×, 0.016 × |" in text
    assert draw_all(sources, tmp_path / "images") == ["cost-by-context", "cost-by-agents"]

    write_cost(tmp_path, agalite=(1.5, 1.0), state=600)
    write(tmp_path / cost.BESIDE_LSTM, beside(kernels=0.4))
    found = verdicts(sources)
    ours = found["acting is at least 40 % cheaper than with our best GTrXL, M = 128"]
    assert ours[1:] == ("B = 1: 25 % cheaper; B = 32: 75 % cheaper", IN_PART)
    assert found["the state takes at least 50 % less memory"].verdict == REFUTED
    assert found["acting, B = 1: at most 0.5 × an LSTM's time"].verdict == MET
    assert "What stands in the way" not in page(sources, [])


def test_context_and_loops(tmp_path):
    ratios = {
        batch: {"GTrXL, M = 128": ratio, "GTrXL, M = 4096": 0.04} for batch, ratio in (("B=1", 0.5), ("B=8", 0.7))
    }
    of_gtrxl = {"state_bytes": {"GTrXL, M = 128": 0.2, "GTrXL, M = 4096": 0.007}, "acting_ms": {"kernels": ratios}}
    write(tmp_path / CONTEXT, {"command": "make context", "results": {"4 × 128": {"AGaLiTe of GTrXL's": of_gtrxl}}})
    parts = {"sampling: model": 0.1, "sampling: environment": 0.2, "learner: forward": 0.3, "learner: backward": 0.4}
    measured = {"seconds": 1.0, "seconds_by_part": {**parts, "weight sync": 0.05}}
    by_model = {"AGaLiTe": measured, "RLlib's LSTM": measured}
    loop = {"models": by_model, "ratios": {"AGaLiTe / RLlib's LSTM": {"whole loop": {"median": 1.23}}}}
    every = {"command": "make loop", "env_steps_per_iteration": 4096}
    machine = {"cpu": "abacus", "cores": 2, "python": "3", "torch": "2"}
    write(tmp_path / cost.LOOP, {**every, "machine": machine, "results": {"2 × 64": loop}})
    write(tmp_path / cost.LOOP_MINIGRID, {**every, "results": {"AGaLiTe without kernels": measured}})
    sources = Sources(tmp_path)
    found = verdicts(sources)
    claim = "acting is at least 40 % cheaper than with our best GTrXL, M = 128, with the optional kernels"
    ours = found[f"{claim}, {cost.KERNELS_SERVE}"]
    assert ours[1:] == ("B = 1: 50 % cheaper; B = 8: 30 % cheaper", IN_PART)
    text = page(sources, [])
    assert "| 4 × 128, acting, B = 8, kernels | 0.7 × | 0.04 × |" in text
    assert "| 4 × 128, state | 0.2 × | 0.007 × |" in text
    assert "| T-Maze, 2 × 64 | AGaLiTe, with kernels | 1.00 s | 0.10 s | 0.25 s | 0.70 s | 1.23 × |" in text
    assert "| MiniGrid-MemoryS7 | AGaLiTe | 1.00 s | 0.10 s | 0.25 s | 0.70 s | – |" in text
    assert draw_all(sources, tmp_path / "images") == ["loop"]


def test_memory_and_wall_clock_of_whole_runs(tmp_path):
    def contender(rate, peak):
        memory = {"peak": peak, "added": peak - 333}
        by_process = {f"{process}_{key}_mib": mib for process in ("runner", "learner") for key, mib in memory.items()}
        return {"env_steps_per_second": rate, **by_process}

    models = {
        "AGaLiTe": contender(1000, 400),
        "GTrXL, M = 64": contender(900, 500),
        "GTrXL, M = 4096": contender(50, 900),
    }
    ratios = {name: {"env_steps_per_second": m["env_steps_per_second"] / 1000} for name, m in models.items()}
    results = {"2 × 64": {"models": models, "of AGaLiTe's": ratios}}
    write(tmp_path / whole_runs.WHOLE_RUNS, {"command": "make whole", "results": results})
    runs = [run_of([point(1000, 0.96)], solved=True)] * 5
    summary = {"solved": "5 of 5", "median_env_steps": 1000, "seconds_per_1000_env_steps": 0.5}
    clock = {
        "command": "make clock",
        "search": {"AGaLiTe": {"chosen": 3e-4}, "RLlib's LSTM": {"chosen": 6e-4}},
        "runs": {"AGaLiTe": runs, "RLlib's LSTM": runs},
        "summary": {
            "AGaLiTe": {**summary, "median_seconds": 30},
            "AGaLiTe without kernels": {**summary, "median_seconds": 60},
            "RLlib's LSTM": {**summary, "median_seconds": 40},
        },
    }
    write(tmp_path / whole_runs.WALL_CLOCK, clock)
    sources = Sources(tmp_path)
    found = verdicts(sources)
    runner = found["RLlib's runner peaks at half the memory of one with GTrXL, or less"]
    assert runner[1:] == ("2 × 64: 20 % less at M = 64 to 55 % less at M = 4096", IN_PART)
    added = found["RLlib's learner takes on, in training, half the memory of one with GTrXL, or less"]
    assert added[1:] == ("2 × 64: 59 % less at M = 64 to 88 % less at M = 4096", REPRODUCED)
    clock_verdict = whole_runs.wall_clock_verdict(clock)
    assert clock_verdict.found.startswith("AGaLiTe, with kernels: 25 % shorter; AGaLiTe: 50 % longer")
    assert clock_verdict.verdict == IN_PART
    text = page(sources, [])
    assert "| 2 × 64 | GTrXL, M = 4096 | 50 | 0.05 × | 900 MiB (+ 567) | 900 MiB (+ 567) |" in text
    assert "| RLlib's LSTM | 0.0006, chosen | 5 of 5 | 1 k | 40 | 0.50 |" in text
    # A better learning rate of the LSTM than the one that the search chose is the one to beat.
    clock["other_learning_rates"] = {"RLlib's LSTM": {"0.0012": {"summary": {**summary, "median_seconds": 25}}}}
    clock_verdict = whole_runs.wall_clock_verdict(clock)
    assert clock_verdict.found.startswith("AGaLiTe, with kernels: 20 % longer; AGaLiTe: 140 % longer")
    assert "0.0012" in clock_verdict.found
    assert clock_verdict.verdict == MISSED
    assert draw_all(sources, tmp_path / "images") == ["whole-runs"]


def test_success_is_what_was_reported_last():
    run = {"curve": [point(10, None), point(20, 0.5), point(30, 0.75), point(40, None)]}
    assert [success_at(run, steps) for steps in (5, 15, 20, 29, 30, 1000)] == [0, 0, 0.5, 0.5, 0.75, 0.75]


def test_the_last_20_are_of_those_that_did_not_solve_and_reported_something():
    low = {"solved": False, "curve": [point(0, 1.0), *[point(0, None)] * 5, *[point(0, 0.4)] * 14, point(0, 0.1)]}
    high = {"solved": False, "curve": [point(0, 0.8)] * 3}
    goal = {"solved": True, "curve": [point(0, 0.96)]}
    assert last_20([low], "success_rate") == pytest.approx((14 * 0.4 + 0.1) / 15)
    assert last_20([low, high, goal], "success_rate") == pytest.approx((0.38 + 0.8) / 2)
    assert last_20([goal], "success_rate") is None
    assert last_20([{"solved": False, "curve": [point(0, None)]}], "success_rate") is None


def test_a_reach_is_what_was_solved_of_what_was_run():
    def cell(*solved):
        return [{"solved": each} for each in solved]

    grid = {
        "lstm-chrono": {40: cell(True, True, False), 80: cell(True, True, True)},
        "gtrxl-32": {40: cell(True, True, True), 80: cell(False, False, False)},
        "hgrn2": {40: cell(True, True)},
    }
    assert reach(grid) == {
        80: {"3 of 3": ["lstm-chrono"], "0 of 3": ["gtrxl-32"]},
        40: {"3 of 3": ["gtrxl-32"], "2 of 2": ["hgrn2"], "2 of 3": ["lstm-chrono"]},
    }


def test_corridors_of_which_some_models_ran_some(tmp_path):
    write_grid(tmp_path, "agalite", 10, (0.9, 0.6, 0.6), env_steps=150_000)
    write_grid(tmp_path, "agalite", 20, (0.97,))
    write_grid(tmp_path, "gla", 10, (0.97,))
    write_grid(tmp_path, "gla", 20, (0.97, 0.47))
    points = [point(250_100, 0.5), point(300_000, 0.9)]
    write(tmp_path / "memory/runs/grid/lstm.json", run_of(points, model="lstm", length=20))
    sources = Sources(tmp_path)
    agalite, lstm, gla = success_table(sources.memory("grid")).splitlines()[2:]
    assert agalite == "| AGaLiTe | 0.70 [0.60, 0.90] (3) | 0.97 (1) | 0.94 (1) |"
    assert gla == "| GLA | 0.97 (1) | 0.72 [0.47, 0.97] (2) | 0.97 (1) |"
    # The batch that goes over the budget counts; what comes later does not.
    assert lstm == "| LSTM | – | 0.50 (1) | – |"
    text = page(sources, [])
    assert "| AGaLiTe | 0 of 3 | 1 of 1, 1 k, 1 s |" in text
    assert "- 20 cells: 1 of 1 by AGaLiTe; 1 of 2 by GLA; 0 of 1 by LSTM.\n" in text
    assert "- 10 cells: 1 of 1 by GLA; 0 of 3 by AGaLiTe.\n" in text, "and nothing of an LSTM, which was not run"
    assert {"success-by-corridor", "learning-curves"} <= set(draw_all(sources, tmp_path / "images"))
    assert (tmp_path / "images/learning-curves.png").read_bytes().startswith(b"\x89PNG")


def test_windows_that_suffice_and_windows_that_do_not(tmp_path):
    write_grid(tmp_path, "agalite", 80, (0.97, 0.98, 0.96))
    write_grid(tmp_path, "gtrxl-32", 80, (0.5, 0.52, 0.48))  # two layers see 64 steps back
    write_grid(tmp_path, "gtrxl-128", 80, (0.98, 0.97, 0.96))
    write_grid(tmp_path, "agalite", 40, (0.97,))
    write_grid(tmp_path, "gtrxl-32", 40, (0.97,))
    learning = {
        "agalite": {"0": run_of([point(1000, 0.3), point(9000, 0.96)], solved=True)},
        "gtrxl-4": {"0": run_of([point(1000, 0.4), point(5000, 0.5)])},
        "gtrxl-32": {"0": run_of([point(800, 0.99)], solved=True)},
    }
    write(tmp_path / "envs/learning/miniworld-memory-tmaze-long.json", {"command": "python -m x", "runs": learning})
    sources = Sources(tmp_path)
    too_short, suffices = (comparisons.comparisons(sources, window) for window in (False, True))
    assert [key[1] for key in too_short] == ["GTrXL (M = 32)", "GTrXL (M = 4)"]
    # At the step at which the first run ended unsolved.
    long = "MiniWorld MemoryTMaze, twice as long"
    assert too_short[long, "GTrXL (M = 4)"].ours.value == pytest.approx(0.3)
    assert suffices[long, "GTrXL (M = 32)"].ours.value == 0.95  # solved: what it ended with above that is chance
    assert {key[1] for key in suffices} == {"GTrXL (M = 32)", "GTrXL (M = 128)"}
    short, long_enough = comparisons.better_verdicts(sources)
    assert short.verdict == REPRODUCED
    assert "0.95 against 0.50, 1.90 ×, 3 seeds, intervals apart" in short.found
    assert long_enough.verdict == REFUTED
    text = page(sources, [])
    assert f"| {long} | AGaLiTe | 1 of 1 | 9 k | 1 s | goal | goal |" in text.replace(
        f"[{long}](../benchmarks/envs/learning/miniworld-memory-tmaze-long.json)", long
    )
    assert "<sub>`python -m x` with `--models agalite gtrxl-4 gtrxl-32 --seeds 0`</sub>" in text
    assert (
        "fewest steps, MiniWorld MemoryTMaze, twice as long | GTrXL (M = 32), 1 k (1 of 1) | AGaLiTe, 9 k (1 of 1) "
        "| 2 of 3, 9 k (1 of 1) |" in text
    )


def test_what_is_missing_is_said(tmp_path):
    sources = Sources(tmp_path)
    text = page(sources, [])
    assert text.count("Not measured yet") >= 12
    assert "images/results/" not in text
    assert {v.verdict for v in verdicts(sources).values()} == {NOT_MEASURED}
    (tmp_path / "images").mkdir()
    (tmp_path / "images/loop.png").write_text("of results that are gone")
    assert draw_all(sources, tmp_path / "images") == []
    assert not (tmp_path / "images/loop.png").exists()


def committed_figures():
    images = ROOT / "docs/images/results"
    return [name for name in FIGURES if (images / f"{name}.png").exists()]


def test_the_page_is_what_the_results_say():
    text = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    assert text == page(Sources(), committed_figures()), "python -m benchmarks.results"


def test_the_paragraph_of_the_readme_is_what_the_results_say():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = text.split(readme.BEGIN)[1].split(readme.END)[0].strip()
    assert shown == readme.block(Sources(), committed_figures()), "python -m benchmarks.results"


def test_every_figure_and_file_of_the_page_is_there():
    import re

    text = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert len(targets) > 20
    assert [target for target in targets if not (Path(ROOT / "docs") / target).exists()] == []


@pytest.mark.parametrize(("solved", "sign"), [("1 of 3", "> "), ("1 of 2", "> "), ("2 of 3", "")])
def test_a_median_of_runs_that_mostly_ended_unsolved_is_a_bound(tmp_path, solved, sign):
    n_solved, n_runs = map(int, solved.split(" of "))
    runs = [{"solved": index < n_solved, "env_steps": 800_000, "seconds": 300.4} for index in range(n_runs)]
    content = {"command": "make t-maze", "tasks": {"60": {"runs": {"RLlib's LSTM": runs}}}}
    write(tmp_path / tmaze.BESIDE_LSTM, content)
    text = page(Sources(tmp_path), [])
    assert f"| 60 cells | RLlib's LSTM | {solved} | {sign}800 k | {sign}300 |" in text
    assert f"60 cells: RLlib's LSTM {solved} ({sign}800 k)" in text


def test_seconds_of_two_processors_are_told_apart(tmp_path):
    for length, cpus in ((40, ["abacus", "abacus"]), (80, ["abacus", "slide rule"])):
        write_grid(tmp_path, "agalite", length, [0.96] * len(cpus))
        for seed, cpu in enumerate(cpus):
            path = tmp_path / f"memory/runs/grid/agalite-{length}-seed-{seed}.json"
            run = json.loads(path.read_text(encoding="utf-8"))
            write(
                path, {**run, "machine": {"cpu": cpu, "kernels": cpu == "slide rule"}, "cpu_seconds": 10.0 * (seed + 1)}
            )
    text = page(Sources(tmp_path), [])
    assert "| AGaLiTe | 2 of 2, 1 k, 15 sᵃ | 2 of 2, 1 k, 10 sᵃ / 20 sᵇ |" in text
    assert "Seconds were measured ᵃ on abacus, ᵇ on slide rule, with kernels: only those" in text


def test_the_hybrid_stands_between_its_halves_on_the_tasks_that_it_was_run_on(tmp_path):
    write_grid(tmp_path, "agalite", 80, (0.97, 0.98), env_steps=9000)
    write_grid(tmp_path, "hybrid", 80, (0.97,), env_steps=4000)
    write_grid(tmp_path, "agalite", 40, (0.97,))
    said = phrases.hybrid(Sources(tmp_path).memory("grid"), {})
    assert said == "T-Maze, 80 cells: AGaLiTe 2 of 2 after 9 k, Hybrid 1 of 1 after 4 k"
    ranked = ranking_table(Sources(tmp_path))
    assert "| fewest steps, T-Maze, 40 cells | AGaLiTe, 1 k (1 of 1) | – | 1 of 1, 1 k (1 of 1) |" in ranked
    assert "4 k (1 of 1) | AGaLiTe, 9 k (2 of 2) | 2 of 2, 9 k (2 of 2) |" in ranked


def test_ablations_name_what_fails_and_what_is_quickest_and_slowest():
    def cell(*ends):
        return {ABLATION_LENGTH: [{**run_of([point(end, 0.96)], solved=solved)} for end, solved in ends]}

    found = {
        "eta-1": cell((3000, True)),
        "r-1": cell((1000, True), (2000, True)),
        "r-4": cell((500, True), (9000, False)),
    }
    said = phrases.ablations({"agalite": cell((1000, True))}, found)
    assert said == (
        'not solved by every seed with "r 4"; '
        'solved soonest with "r 1" (2 k), latest with "eta 1" (3 k); as it is after 1 k'
    )
