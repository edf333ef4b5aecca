"""The page that `gpu_report.py` writes: what it found, as Markdown for docs/results.md."""

from npse.bench import flops, ops
from npse.bench.report import call

LARGE = 2**24                    # bytes: below, a call is over before all of the device is at work


def page(found):
    """Return the report as Markdown."""
    parts, device = found["parts"], found["gpu"] or {"name": "Numba's simulator", "driver": None, "cuda": None}
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items() if version)
    lines = [f"## On a GPU: {device['name']}", "",
             f"`python benchmarks/gpu_report.py`, commit {found['commit']}; driver {device['driver']}, "
             f"CUDA {device['cuda']}; {versions}.", "",
             *table(("what", "target", "measured"), targets(found))]
    if "kernels" in parts:
        lines += ["", f"{parts['kernels']['compiled']} kernels were compiled in {parts['kernels']['seconds']:.0f} s; "
                      "later processes load them."]
    if "rates" in parts:
        lines += ["", f"Copying in its memory {parts['rates']['copy_memory_gbs']:.0f} GB/s, multiply-adds in float32 "
                      f"{parts['rates']['multiply_add_gflops'] / 1e3:.1f} TFLOP/s, both measured."]
    if "judge" in parts:
        lines += ["", *verdict(parts["judge"])]
    lines += ["", *table(("", "training step, ms", "images/s", "evaluation, ms", "device memory, MB"), steps(found))]
    lines += ["", *table(("op", "arguments", "calls a step", "ms", "GB/s", "TFLOP/s", "limit"), single_ops(found))]
    if "layers" in parts.get("npse, Winograd", {}):
        lines += ["", *table(("3x3 convolution", "ms of y, dx, dw", "by Winograd's algorithm"), layers(parts))]
    if found["failures"]:
        lines += ["", "Not, or not wholly, measured:", "",
                  *(f"* {part}: {reason}" for part, reason in found["failures"].items())]
    return "\n".join(lines) + "\n"


def table(columns, rows):
    """Lines of a Markdown table; none without rows."""
    rows = list(rows)
    return [f"| {' | '.join(row)} |" for row in (columns, ("---",) * len(columns), *rows)] if rows else []


def targets(found):
    """What was aimed at, and what came of it."""
    modes, rows, run = steps(found), limited(found), found["parts"].get("training")
    yield (f"{found['model']}, batch {found['batch']}, float32, training images/s",
           "PyTorch eager's without tf32; better, torch.compile's",
           "; ".join(f"{mode} {rate}" for mode, _, rate, *_ in modes if "tf32 on" not in mode) or "-")
    yield ("ops bound by memory (calls that move more than 16 MB), of the copy rate", "70 %",
           span(row for row in rows if row["bound"] == "memory" and row["bytes"] > LARGE))
    yield ("3x3 convolutions, of the multiply-add rate", "50 %",
           span(row for row in rows if flops.pass_of(row["op"]) and [3, 3] in
                [shape[:2] for shape in row["arguments"] if isinstance(shape, list)]))
    yield (f"CIFAR-10, {found['model']}, test accuracy", "92 %",
           f"{run['accuracy']:.2%} on {run['data']} after {run['epoch']} of {run['epochs']} epochs, "
           f"{run['minutes']:.1f} min, {run['images_per_second']:.0f} images/s while training" if run else "-")


def span(rows):
    """Mean, weighted by time, and range of how near rows come to their limit."""
    rows = list(rows)
    if not rows:
        return "-"
    times = [row["ms"] * max(row["count"], 1) for row in rows]
    mean = sum(row["percent"] * ms for row, ms in zip(rows, times, strict=True)) / sum(times)
    percents = [row["percent"] for row in rows]
    return f"{mean:.0f} % ({min(percents):.0f} .. {max(percents):.0f} % over {len(rows)} different calls)"


def limited(found):
    """Rows of the ops of a step and of those timed alone, with what limits each."""
    npse, rates = (found["parts"].get(part) for part in ("npse", "rates"))
    return ops.against(npse.get("ops", []) + npse.get("alone", []), rates) if npse and rates else []


def verdict(found):
    """What the judge says; what is wrong, line by line."""
    done = "every case" if found["cases"] == found["of"] else f"{found['cases']} of {found['of']} cases"
    wrong = f"{len(found['wrong'])} WRONG" if found["wrong"] else "all right"
    yield (f"The judge on the device, float64 and float32, {done}: {found['checks']} checks, {wrong}; worst relative "
           f"error {found['worst']:.1e}.")
    yield from ["", *(f"* {line}" for line in found["wrong"][:20])] if found["wrong"] else []


def steps(found):
    """A training step of npse and of each mode of PyTorch that ran."""
    modes = {part: result.get("step", result) for part, result in found["parts"].items()
             if part.startswith(("npse", "torch"))}
    if plain := modes.get("npse", {}).get("plain"):
        modes["npse, kernel by kernel"] = {**modes["npse"], "train": plain}
    return [(mode, f"{row['train']['ms']:.2f}", f"{1e3 * found['batch'] / row['train']['ms']:.0f}",
             f"{row['eval']['ms']:.2f}", "-" if row["peak_mb"] is None else f"{row['peak_mb']:.0f}")
            for mode, row in modes.items()]


def layers(parts):
    """The layers of wide networks with Winograd's algorithm and without."""
    for row in parts["npse, Winograd"]["layers"]:
        yield (f"{row['images']} maps of {row['side']}x{row['side']}, {row['channels']} channels",
               *(", ".join(f"{ms:.3f}" for ms in row[variant]) for variant in ("register", "winograd")))


def single_ops(found):
    """Every op by itself."""
    for row in limited(found):
        yield (row["op"], call(row["op"], row["arguments"]), str(row["count"] or "-"), f"{row['ms']:.4f}",
               f"{1e-6 * row['bytes'] / row['ms']:.0f}",
               f"{1e-9 * row['flops'] / row['ms']:.2f}" if row["flops"] else "-",
               f"{row['percent']:.0f} % {row['bound']}")
