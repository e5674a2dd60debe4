"""The rows of docs/results.md on what models cost, made without the code that writes them."""

from __future__ import annotations

from itertools import product

from tests.published.reading import KERNEL_NAMES, read, row, two_or_three_digits


def cost_rows():
    rows, cost = [], read("models/cost.json")
    models, growth = cost["models"], cost["growth"]["models"]
    for name in ("AGaLiTe", "GTrXL, M = 128", "GTrXL, M = 128, keys recomputed", "LSTM"):
        m = models[name]
        times = [f"{m['acting_ms'][b]:.2f} ms" for b in ("B=1", "B=8", "B=32", "B=128")]
        training = f"{m['training_ms_per_1024_tokens']['B=8, T=128']:.0f} ms"
        peak, state = m["training_peak_memory_bytes"] / 1024**2, m["state_bytes"] / 1024
        rows.append(row(name, *times, training, f"{peak:.0f} MiB", f"{state:,.0f} KiB"))
    contexts = ("64", "256", "1024", "4096")
    for name in ("AGaLiTe", "GTrXL, M = context", "LSTM"):
        m = growth[name]
        rows.append(
            row(name, *(f"{m['acting_ms'][c]:.2f} ms, {m['state_bytes'][c] / 1024:,.0f} KiB" for c in contexts))
        )
    ours, theirs = growth["AGaLiTe"], growth["GTrXL, M = context"]
    ratios = [
        ", ".join(two_or_three_digits(ours[key][c] / theirs[key][c]) for key in ("acting_ms", "state_bytes"))
        for c in contexts
    ]
    rows.append(row("AGaLiTe / GTrXL", *ratios))
    return rows


def context_rows():
    rows = []
    for size, result in read("models/context.json")["results"].items():
        ratios = result["AGaLiTe of GTrXL's"]
        for path, by_batch in ratios["acting_ms"].items():
            for batch, cells in by_batch.items():
                what = f"{size}, acting, {batch.replace('=', ' = ')}, {path}"
                rows.append(row(what, *(f"{cell:.2g} ×" for cell in cells.values())))
        rows.append(row(f"{size}, state", *(f"{cell:.2g} ×" for cell in ratios["state_bytes"].values())))
    return rows


def beside_lstm_rows():
    results = read("models/beside_lstm.json")["results"]
    limits = {"acting, B = 1": 0.5, "acting, B = 8": 0.8, "acting, B = 64": 1.2}
    rows = []
    for model, case in product(("AGaLiTe", "GLA", "GTrXL, M = 128", "Gated DeltaNet"), results["2 × 64"]):
        limit = limits.get(case, 1.5 if case.startswith("training") else None)
        if limit is None or (case.startswith("training") and model.startswith("GTrXL")):
            continue
        cells = []
        for size in ("2 × 64", "4 × 128"):
            for name in (model, f"{model} without kernels"):
                ratio = results[size][case]["of the LSTM's"][name]
                cells.append(f"{ratio:.2f} × {'met' if ratio <= limit else 'missed'}")
        rows.append(row(f"{model}, {case}", f"≤ {limit:.1f} ×", *cells))
    return rows


def loop_rows():
    rows = []
    loop, minigrid = read("training/loop.json"), read("training/loop_minigrid.json")
    measured = [
        (f"T-Maze, {size}", model, m, result["ratios"])
        for size, result in loop["results"].items()
        for model, m in result["models"].items()
    ]
    measured += [("MiniGrid-MemoryS7", model, m, None) for model, m in minigrid["results"].items()]
    for task, model, m, ratios in measured:
        parts = m["seconds_by_part"]
        acting = parts["sampling: model"]
        learner = sum(seconds for part, seconds in parts.items() if part.startswith("learner"))
        rest = sum(parts.values()) - acting - learner
        of_lstm = "–"
        if ratios is not None:
            ratio = ratios.get(f"{model} / RLlib's LSTM")
            of_lstm = "1" if ratio is None else f"{ratio['whole loop']['median']:.2f} ×"
        cells = [f"{seconds:.2f} s" for seconds in (m["seconds"], acting, rest, learner)]
        rows.append(row(task, KERNEL_NAMES.get(model, model), *cells, of_lstm))
    return rows


def whole_run_rows():
    rows = []
    for size, result in read("training/whole_runs.json")["results"].items():
        for model, m in result["models"].items():
            ratio = result["of AGaLiTe's"][model]["env_steps_per_second"]
            memory = [f"{m[f'{p}_peak_mib']:,.0f} MiB (+ {m[f'{p}_added_mib']:,.0f})" for p in ("runner", "learner")]
            name = model.replace("AGaLiTe with", "AGaLiTe, with")
            rows.append(row(size, name, f"{m['env_steps_per_second']:,.0f}", f"{ratio:.2f} ×", *memory))
    return rows


def plumbing_rows():
    rows = []
    for r in read("states/states.json")["results"]:
        if r["envs"] >= 32 and r["state_kib"] >= 56:
            figure = (
                f"{r['stock_to_sparse']['bytes_per_step']:.1f} × fewer bytes per step, "
                f"sampling {r['sampling_speedup']:.2f} × as fast"
            )
            case = f"states of {r['state_kib']} KiB, {r['envs']} environments"
            rows.append(row("sparse states", case, figure, "[states.json](../benchmarks/states/states.json)"))
    for r in read("training/packing.json")["results"]:
        if r["model"] == "agalite":
            figure, case = f"updates {r['speedup']['median']:.2f} × as fast", f"{r['task']}, rows of {r['max_seq_len']}"
            rows.append(row("packed rows", case, figure, "[packing.json](../benchmarks/training/packing.json)"))
    link = "[bytes_per_step.json](../benchmarks/model_v2/bytes_per_step.json)"
    for model, r in read("model_v2/bytes_per_step.json")["results"].items():
        figure = f"{r['ratio']:.2f} × the bytes per step of RLlib's own way"
        rows.append(row("views on the old API stack", model, figure, link))
    return rows
