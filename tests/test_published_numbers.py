"""Each number that the page of results publishes is that of the benchmarks' JSON, computed in another way."""

from __future__ import annotations

import re
from collections import Counter
from statistics import median

import pytest

from tests.published import reading, training, verdicts
from tests.published.reading import NAMES, ROOT, k, learning, memory_runs, read, solved, solved_steps

PAGE = (ROOT / "docs/results.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def rows_of(text):
    """The rows of all tables but for their heads."""
    lines = text.splitlines()
    heads = {index - 1 for index, line in enumerate(lines) if line.startswith("|---")}
    return [line for index, line in enumerate(lines) if line.startswith("| ") and index not in heads]


def words(text):
    return " ".join(text.split())


def differences(text):
    """The rows that a page has and should not have, and those that it should have and has not."""
    found, right = Counter(rows_of(text)), Counter(verdicts.all_rows())
    return sorted((found - right).elements()), sorted((right - found).elements())


def test_every_row_of_every_table_is_right():
    wrong, missing = differences(PAGE)
    assert wrong == []
    assert missing == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("| 0.46 | 0.13 |", "| 0.51 | 0.17 |"),
        ("3 of 3, 562 k", "3 of 3, 462 k"),
        ("0.95 / 0.50 = 1.89", "0.95 / 0.50 = 1.98"),
    ],
)
def test_a_wrong_number_is_found(right, wrong):
    assert right in PAGE
    wrong_rows, missing = differences(PAGE.replace(right, wrong))
    assert len(wrong_rows) == len(missing) == 1


@pytest.mark.parametrize(
    ("task", "model", "key", "mean"),
    [
        ("mystery-path-grid", "lstm", "success_rate", 0.108),
        ("mystery-path-grid", "agalite", "success_rate", 0.126),
        ("minigrid-memory-s13", "agalite", "success_rate", 0.494),
        ("miniworld-memory-tmaze", "memoryless", "success_rate", 0.509),
        ("popgym-repeat-first-easy", "lstm", "return", 0.345),
    ],
)
def test_means_of_the_last_20_iterations(task, model, key, mean):
    assert reading.last_twenty(learning()[task][model], key) == [pytest.approx(mean, abs=5e-4)]


def reached():
    """Length → how many seeds of which models solved it, of those that were run."""
    lines = {}
    for (model, length), runs in memory_runs("grid").items():
        lines.setdefault(length, {})[NAMES[model]] = solved(runs)
    return lines


@pytest.mark.parametrize("text", [PAGE, README], ids=["page", "readme"])
def test_a_corridor_is_said_to_be_solved_by_those_that_ran_it(text):
    said = {}
    for length, outcomes in re.findall(r"- (\d+) cells: (\d of \d by .*)\.$", text, re.MULTILINE):
        for outcome in outcomes.split("; "):
            of, models = outcome.split(" by ")
            for model in re.split(r", (?!GTrXL M|M =)| and ", models):
                said.setdefault(int(length), {})[model] = of
    assert said == reached()
    assert said[80]["LSTM (max_timescale 64)"] == "3 of 3"
    assert said[40]["LSTM (max_timescale 64)"] == "2 of 3"
    assert "HGRN2" not in said[80]


def test_sentences_of_the_page():
    grid, tasks, probe = memory_runs("grid"), learning(), read("memory/probe.json")["variants"]
    cost = read("models/cost.json")
    growth, models = cost["growth"]["models"], cost["models"]
    page = words(PAGE)

    def after(model, runs, short=False):
        name = "Hybrid" if short and model == "hybrid" else NAMES[model]
        of = solved(runs)
        return f"{name} {of}" + (f" after {k(solved_steps(runs))}" if not of.startswith("0") else "")

    for task in ("minigrid-memory-s7", "miniworld-memory-tmaze", "miniworld-memory-tmaze-long"):
        assert ", ".join(after(model, runs) for model, runs in tasks[task].items()) in page
    for task, by_model in training.all_tasks().items():
        shown = [m for m in ("agalite", "hybrid", "gtrxl", "gtrxl-128") if m in by_model]
        if "hybrid" in shown:
            assert f"{task}: {', '.join(after(m, by_model[m], short=True) for m in shown)}" in page
    for model in ("agalite", "gla", "lstm", "lstm-chrono"):
        lengths = [length for length in reading.BUDGETS if (model, length) in grid]
        said = [f"{length} cells {solved(grid[model, length])}" for length in lengths]
        assert f"{', '.join(said[:-1])} and {said[-1]}" in page
    for length, models_of_kind in (
        (40, ("agalite", "gla", "hgrn2")),
        (80, ("agalite", "gla")),
        (160, ("agalite", "gla")),
    ):
        outcomes = []
        for model in models_of_kind:
            runs = [run for run in grid[model, length] if run["solved"]]
            first = [next(p["env_steps"] for p in run["curve"] if p["success_rate"] is not None) for run in runs]
            rest = median(run["env_steps"] - begin for run, begin in zip(runs, first, strict=True))
            outcomes.append(f"{NAMES[model]} {solved(grid[model, length])} after {k(rest)}")
        assert f"{length} cells: {', '.join(outcomes)}" in page
    told = []
    for model in ("agalite", "gtrxl-32", "lstm"):
        seeds = probe[model]["repeat, 20 steps"]
        known = [seed["updates"] for seed in seeds]
        right = f"{100 * median(seed['right'] for seed in seeds):.0f} % right"
        told.append(f"{NAMES[model]}: {right if None in known else f'{median(known):.0f}'}")
    assert f"Updates until a symbol is repeated three steps later: {'; '.join(told)}." in page
    ours, theirs = growth["AGaLiTe"]["acting_ms"], growth["GTrXL, M = context"]
    assert f"AGaLiTe: {ours['4096'] / ours['64']:.2f} × the time after 4,096 steps as after 64." in page
    grown = (
        theirs["acting_ms"]["4096"] / theirs["acting_ms"]["64"],
        theirs["state_bytes"]["4096"] / theirs["state_bytes"]["64"],
    )
    for text in (page, words(README)):
        assert f"{grown[0]:.0f} × the time and {grown[1]:.0f} × the state with M = 4,096 as with M = 64" in text
    peaks = [models[name]["training_peak_memory_bytes"] for name in ("AGaLiTe", "GTrXL, M = 128")]
    difference = reading.percent_less(peaks[0] / peaks[1], "less", "more")
    assert f"{peaks[0] / 2**20:.0f} MiB against {peaks[1] / 2**20:.0f} MiB, {difference}" in page
    acting = []
    for name, words_of in (
        ("GTrXL, M = 128, keys recomputed", "one that recomputes its keys"),
        ("GTrXL, M = 128", "this package's"),
    ):
        ratios = [models["AGaLiTe"]["acting_ms"][b] / models[name]["acting_ms"][b] for b in ("B=1", "B=128")]
        ends = [reading.percent_less(ratio, "cheaper", "dearer") for ratio in ratios]
        acting.append(f"beside {words_of}, {ends[0]} at B = 1 and {ends[1]} at B = 128")
    assert "; ".join(acting) in page
    ablations = {c: runs for (c, _), runs in memory_runs("ablation").items()}
    done = {c: solved_steps(runs) for c, runs in ablations.items() if all(r["solved"] for r in runs)}
    soonest, latest = min(done, key=lambda c: done[c]), max(done, key=lambda c: done[c])
    failed = [f'"{c.replace("-", " ")}"' for c in ablations if c not in done]
    assert f"not solved by every seed with {' and '.join(failed)}; solved soonest with" in page
    ends = [f'"{change.replace("-", " ")}" ({k(done[change])})' for change in (soonest, latest)]
    assert f"{ends[0]}, latest with {ends[1]}" in page


def test_sentences_of_the_readme():
    readme = words(README)
    s7 = {m: [r["env_steps"] for r in runs if r["solved"]] for m, runs in learning()["minigrid-memory-s7"].items()}
    thousands = {m: [f"{round(steps, -3):,}" for steps in sorted(of)] for m, of in s7.items()}
    assert thousands["lstm"] == []
    assert f"AGaLiTe solves it after {thousands['agalite'][0]} and {thousands['agalite'][1]} steps" in readme
    assert f"GTrXL after {thousands['hybrid'][0]} and {thousands['hybrid'][1]}" in readme
    assert f"GTrXL after {thousands['gtrxl'][0]} both times" in readme
    assert thousands["gtrxl"][0] == thousands["gtrxl"][1]
    rows = rows_of(README)
    for length, task in read("tmaze/learning.json")["tasks"].items():
        for model, runs in task["runs"].items():
            sign = reading.more(runs)
            steps, seconds = (median(r[key] for r in runs) for key in ("env_steps", "seconds"))
            last = f" {sign}{round(steps, -3):,} | {sign}{seconds:.0f} |"
            assert any(
                line.endswith(last) and f"| {model.removeprefix('RLlib' + chr(39) + 's ')} | {solved(runs)}" in line
                for line in rows
            ), (length, model, last)
    clock = read("tmaze/wall_clock.json")
    ends = {m: [median(r[key] for r in runs) for key in ("env_steps", "seconds")] for m, runs in clock["runs"].items()}
    written = {m: (f"{round(steps, -3):,} steps", f"{seconds:.0f} seconds") for m, (steps, seconds) in ends.items()}
    kernels, plain, lstm = (written[m] for m in ("AGaLiTe", "AGaLiTe without kernels", "RLlib's LSTM"))
    assert f"after {kernels[0]} and {kernels[1]} with its kernels, {plain[0]} and {plain[1]} without" in readme
    assert f"RLlib's LSTM after {lstm[0]} and {lstm[1]}" in readme
    models = read("models/cost.json")["models"]

    def ratios(theirs, batches):
        return [models[theirs]["acting_ms"][b] / models["AGaLiTe"]["acting_ms"][b] for b in batches]

    one = ", ".join(f"{r:.1f}" for r in ratios("GTrXL, M = 128, keys recomputed", ("B=1", "B=8", "B=32")))
    assert "{}, {} and {} × as fast with 1, 8 and 32 agents".format(*one.split(", ")) in readme
    two = [f"{r:.1f}" for r in ratios("GTrXL, M = 128", ("B=1", "B=8", "B=32", "B=128"))]
    assert "{}, {}, {} and {} × as fast with 1, 8, 32 and 128 agents at M = 128".format(*two) in readme
    state = models["AGaLiTe"]["state_bytes"] / models["GTrXL, M = 128"]["state_bytes"]
    training = [models[m]["training_ms_per_1024_tokens"]["B=8, T=128"] for m in ("AGaLiTe", "LSTM")]
    assert f"its state is {state:.2f} times as large" in readme
    assert f"An LSTM with as many parameters is trained {training[0] / training[1]:.1f} × as fast" in readme
    beside = read("models/beside_lstm.json")["results"]
    cases = [case for case in beside["2 × 64"] if case != "parameters"]
    of_lstm = {case: sorted(r[case]["of the LSTM's"]["AGaLiTe"] for r in beside.values()) for case in cases}
    one, eight, many = (of_lstm[f"acting, B = {b}"] for b in (1, 8, 64))
    assert (
        f"it is {one[0]:.2f} and {one[1]:.2f} times for one agent, {eight[0]:.1f} to {eight[1]:.1f} times for eight"
        in readme
    )
    assert f"{many[0]:.1f} to {many[1]:.1f} times for 64" in readme
    passes = [r for c, both in of_lstm.items() if c.startswith("training") for r in both]
    assert f"a learner's pass {min(passes):.2f} to {max(passes):.2f} times" in readme
    both = {
        case: [r[case]["of the LSTM's"][model] for r in beside.values() for model in ("GLA", "Gated DeltaNet")]
        for case in cases
    }
    one, eight, many = (both[f"acting, B = {b}"] for b in (1, 8, 64))
    assert f"take {min(one):.2f} to {max(one):.2f} times an LSTM's time for one agent" in readme
    assert (
        f"agent, {min(eight):.1f} to {max(eight):.1f} times for eight and {min(many):.1f} to {max(many):.1f} " in readme
    )
    passes = [r for case, ratios in both.items() if case.startswith("training") for r in ratios]
    assert f"for 64, and a learner's pass {min(passes):.2f} to {max(passes):.2f} times ([measured]" in readme


def test_other_ratios_of_the_readme():
    readme = words(README)
    context = read("models/context.json")["results"]
    kernels = {
        size: [1 / by["GTrXL, M = 128"] for by in of["AGaLiTe of GTrXL's"]["acting_ms"]["kernels"].values()]
        for size, of in context.items()
    }
    large, small = sorted(kernels["4 × 128"]), sorted(kernels["2 × 64"])
    assert f"acts {large[0]:.1f} to {large[-1]:.1f} × as fast as GTrXL at M = 128" in readme
    assert f"and {small[0]:.1f} to {small[-1]:.1f} × with 2 layers of width 64" in readme
    acting = read("models/gtrxl_acting.json")["results"]
    faster = [
        r["step_ms"]["recomputed"] / r["step_ms"]["inputs"] for case, r in acting.items() if case.startswith("M=128")
    ]
    assert f"at M = 128 {min(faster):.0f} to {max(faster):.0f} times as fast" in readme
    throughput = read("envs/tmaze_throughput.json")["rllib_env_runner_with_default_ppo_module"]["32 envs"]
    rates = {kind: median(of) for kind, of in throughput["steps_per_cpu_second"].items()}
    assert f"samples {rates['vectorised'] / rates['sync']:.1f} times as fast as 32 single ones" in readme
    (packed,) = [
        r
        for r in read("training/packing.json")["results"]
        if r["model"] == "agalite" and r["max_seq_len"] == 64 and "20 cells" in r["task"]
    ]
    assert f"an update of AGaLiTe is {packed['speedup']['median']:.1f} × as fast" in readme
    views = read("model_v2/bytes_per_step.json")["results"]["AGaLiTe"]["ratio"]
    assert f"{views:.2f} of the bytes of RLlib's own way for AGaLiTe" in readme
    beside = read("tmaze/learning.json")["tasks"]["20"]["runs"]
    ours, lstm = ([r["env_steps"] for r in beside[m]] for m in ("AGaLiTe", "RLlib's LSTM"))
    assert median(ours) / median(lstm) == pytest.approx(0.9, abs=0.01), "a tenth fewer steps in the median"
    assert sum(steps > max(lstm) for steps in ours) == 1, "one seed of three behind the LSTM's slowest"
    tried = read("tmaze/wall_clock.json")["other_learning_rates"]["RLlib's LSTM"].values()
    best = min(median(r["seconds"] for r in other["runs"]) for other in tried)
    assert f"the best rate in hindsight brings the LSTM to {best:.0f} seconds" in readme


def test_tables_of_the_readme():
    rows = rows_of(README)
    models = read("models/cost.json")["models"]
    ours = models["AGaLiTe"]
    for name, m in models.items():
        (line,) = [line for line in rows if line.startswith(f"| {name} | ") and " ms" in line]
        for key, value in (
            ("B=1", m["acting_ms"]["B=1"]),
            ("B=32", m["acting_ms"]["B=32"]),
        ):
            ratio = "" if name == "AGaLiTe" else f" ({value / ours['acting_ms'][key]:.2g} ×)"
            assert f"| {value:.2f} ms{ratio} |" in line
        assert f"| {m['training_ms_per_1024_tokens']['B=8, T=128']:.0f} ms" in line
        assert f"| {m['training_peak_memory_bytes'] / 2**20:.0f} MiB" in line
        assert f"| {m['state_bytes'] / 1024:.0f} KiB" in line
        assert f"| {m['parameters'] / 1e6:.2f} M" in line
    for name, m in read("training/whole_runs.json")["results"]["4 × 128"]["models"].items():
        (line,) = [line for line in rows if line.startswith(f"| {name} | {m['env_steps_per_second']:,.0f}")]
        assert f"| {m['runner_added_mib']:,.0f} MiB" in line
        assert f"| {m['learner_added_mib']:,.0f} MiB" in line


# Example → the benchmark's task and model.
EXAMPLES = {
    **{f"minigrid-memory-s7-{m}-ppo": ("minigrid-memory-s7", m) for m in ("agalite", "gtrxl", "hybrid", "lstm")},
    "minigrid-memory-s13-agalite-ppo": ("minigrid-memory-s13", "agalite"),
    **{f"miniworld-memory-tmaze-{m}-ppo": ("miniworld-memory-tmaze", m) for m in ("agalite", "gtrxl", "lstm")},
    **{f"mystery-path-grid-{m}-ppo": ("mystery-path-grid", m) for m in ("agalite", "gtrxl", "lstm")},
    **{
        f"{task}-{m}-ppo": (task, m)
        for task in ("popgym-repeat-first-easy", "popgym-repeat-previous-easy")
        for m in ("agalite", "gtrxl", "hybrid", "lstm")
    },
    "popgym-repeat-first-easy-agalite-appo": ("popgym-repeat-first-easy-appo", "agalite"),
}


def header(example):
    """The first lines of a tuned example, without what they say of other settings."""
    lines = (ROOT / f"tuned_examples/{example}.yaml").read_text(encoding="utf-8").splitlines()
    text = words(" ".join(line[2:] for line in lines if line.startswith("# ")))
    return text, re.split(r"(?=To be expected|It is NOT|It was NOT)", text, maxsplit=1)[-1].split(" With ")[0]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_first_lines_of_an_example_say_what_its_run_came_to(example):
    task, model = EXAMPLES[example]
    runs = learning()[task][model]
    run = runs[0]
    _, said = header(example)
    if run["solved"]:
        assert said.startswith("To be expected: ")
        success = "" if run["success_rate"] is None else f"success {run['success_rate']:.2f} and "
        outcome = f"{success}a return of {run['return']:.2f} after {round(run['env_steps'], -3):,} steps"
        assert said.startswith(f"To be expected: {outcome}")
        if len(runs) > 1 and "with seed 1" in said:
            assert f"({round(runs[1]['env_steps'], -3):,} with seed 1)" in said
        return
    assert "NOT learned" in said or "rises and falls" in said
    assert "of the last 20 iterations" in said
    numbers = [float(number) for number in re.findall(r"(?:success was|return was|the return|It was) (\d\.\d\d)", said)]
    assert numbers
    allowed = {f"{reading.last_twenty([run], k)[0]:.2f}" for k in ("return", "success_rate") if run[k] is not None}
    assert {f"{number:.2f}" for number in numbers} <= allowed
    for index, other in enumerate(runs[1:], start=1):
        means = f"({reading.last_twenty([other], 'success_rate')[0]:.2f} with seed {index}; means"
        assert means in said


def test_every_example_that_quotes_figures_is_checked_or_has_no_curve():
    quoting = {
        path.stem
        for path in (ROOT / "tuned_examples").glob("*.yaml")
        if re.search(r"success \d|return of \d|success was", header(path.stem)[0])
    }
    without = {path for path in quoting if "curve" in header(path)[0] and "not kept" in header(path)[0]}
    assert without == {
        "minigrid-memory-s13-gtrxl-ppo",
        "minigrid-memory-s13-lstm-ppo",
        "miniworld-memory-tmaze-agalite-appo",
    }
    assert quoting - without <= set(EXAMPLES)
