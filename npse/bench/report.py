"""Tables of the measurements, as text. Nothing is measured or printed here."""

import inspect
from dataclasses import dataclass, field

from npse import reference
from npse.bench.compare import OURS
from npse.bench.variants import PASSES

BUSY = 0.5                       # load average above which numbers are doubtful
SHOWN = 0.95                     # share of the step that the table of ops shows call by call


@dataclass
class Table:
    """A table of text.

    A ``<`` before the name of a column marks a column of text. ``notes`` stand below the table. ``spare`` names the
    columns that are left out first where there is little room.
    """

    title: str
    columns: tuple
    rows: list
    notes: list = field(default_factory=list)
    spare: tuple = ()


def machine(rates):
    """Return the table of the machine's rates."""
    rows = [(row["core_type"] or "its own choice", f"{row['sgemm_gflops']:.0f}", f"{row['copy_cache_gbs']:.0f}",
             f"{row['copy_memory_gbs']:.0f}", row["blas"]) for row in rates["tried"]]
    notes = ["Percentages below refer to the best rate of each column; "
             f"the last cache holds {rates['cache_bytes'] >> 20} MiB."]
    notes += warnings(rates["load"])
    return Table(f"This machine, {rates['threads']} threads: multiplying, and copying in cache and memory",
                 ("<OpenBLAS kernels", "sgemm GFLOP/s", "cache GB/s", "memory GB/s", "<BLAS"), rows, notes)


def warnings(load):
    """Return a list with a warning if the load average before a measurement was high, else an empty one."""
    if (load or 0) <= BUSY:
        return []
    return [f"LOOK: other programs ran in the last minute (load {load:.1f}); "
            "if they still run, the numbers are not reliable."]


def gpu(rates):
    """Return the table of a GPU's rates."""
    found = rates["gpu"] or {"name": "Numba's simulator", "driver": None, "cuda": "none"}
    return Table(f"{found['name']}, driver {found['driver'] or 'unknown'}, CUDA {found['cuda']}",
                 ("<", "measured"), [("copying in its memory, GB/s", f"{rates['copy_memory_gbs']:.0f}"),
                                     ("multiply-adds in float32, GFLOP/s", f"{rates['multiply_add_gflops']:.0f}")],
                 ["Percentages below refer to these rates; tensor cores are not used."])


def step(result, model, batch_size, threads):
    """Return the table of the whole step and the evaluation."""
    names = {"train": "training step", "plain": "training step, kernel by kernel", "eval": "evaluation",
             "batch": "making the batch"}
    rows = [(name, f"{found['ms']:.2f}", f"{found['ms_min']:.2f}", f"{1e3 * batch_size / found['ms']:.0f}")
            for name, found in ((name, result.get(key)) for key, name in names.items()) if found]
    share = result["batch"]["ms"] / result["train"]["ms"]
    return Table(f"{model}, batch {batch_size}, {threads} threads, {result['mode']}",
                 ("<", "ms median", "ms min", "images/s"), rows,
                 [f"Making a batch (crop, flip, normalize) is {share:.1%} of a step; peak memory while training "
                  f"{_megabytes(result['peak_mb'])}."])


HOST_NOTES = ("Timed alone, an op finds its arguments in the caches; in a step it may not.",
              "Limit: per cent of this machine's sgemm, or of copying in cache or memory, whichever limits the op.")
DEVICE_NOTES = ("Times are from the device's own clock, of recorded calls over several copies of the arguments.",
                "Limit: per cent of its multiply-adds, or of copying in its memory, whichever limits the op.")


def ops(rows, train_ms, on_device=False):
    """Return the table of op calls by share of the step; the last row sums the calls with small shares."""
    alone, limit = DEVICE_NOTES if on_device else HOST_NOTES
    total = sum(row["ms_step"] for row in rows)
    shown, so_far = [], 0.0
    for row in rows:
        if so_far > SHOWN * total:
            break
        so_far += row["ms_step"]
        shown.append((row["op"], call(row["op"], row["arguments"]), str(row["count"]), f"{row['ms']:.3f}",
                      f"{row['ms_min']:.3f}", f"{row['ms_step'] / total:.1%}",
                      "-" if row["gflops"] is None else f"{row['gflops']:.1f}", f"{row['gbs']:.1f}",
                      f"{row['percent']:.0f} % {row['bound']}"))
    if rest := rows[len(shown):]:
        shown.append((f"{len(rest)} other calls", "", str(sum(row["count"] for row in rest)), "", "",
                      f"{1 - so_far / total:.1%}", "", "", ""))
    in_place = not any(row["op"] in ("sgd", "muon") for row in rows)
    missing = ", without the update of the parameters, which is made in place" if in_place else ""
    return Table("The ops of one training step, each timed alone",
                 ("<op", "<arguments", "calls", "ms", "ms min", "share", "GFLOP/s", "GB/s", "limit"), shown,
                 [f"Sum of all ops {total:.1f} ms{missing}; the whole step {train_ms:.1f} ms. {alone}",
                  f"{limit} Operations are those of the formula: an algorithm that needs fewer can exceed 100 %."],
                 spare=("ms min", "GB/s", "GFLOP/s"))


def call(op, arguments):
    """Return the shapes of a call, each once, and its integers, such as ``128x32x32x16 3x3x16x16 s1 p1``."""
    names = list(inspect.signature(getattr(reference, op)).parameters)
    shown = {}
    for name, value in zip(names, arguments, strict=False):
        if isinstance(value, int) or (value and value not in shown.values()):
            shown[name] = value
    return " ".join(_shape(value) if isinstance(value, list) else f"{name[0]}{value}" for name, value in shown.items())


def variants(rows, rates):
    """Return the table of the convolution by stage and variant, with the three passes side by side."""
    found = {}
    for row in rows:
        found.setdefault((_shape(row["x"]), _shape(row["w"]), row["variant"]), {})[row["pass"]] = row
    stages = list(dict.fromkeys(key[:2] for key in found))
    shown = []
    for key in sorted(found, key=lambda key: stages.index(key[:2])):
        by_pass = [found[key].get(op) for op in PASSES]
        errors = [row["error"] for row in by_pass if row and row["error"] is not None]
        shown.append((*key, *(cell for row in by_pass for cell in _variant(row, rates["sgemm_gflops"])),
                      f"{max(errors):.0e}" if errors else "-"))
    notes = ["Percentages are of sgemm. Difference: the largest from the book, relative to the book's largest value."]
    if any(row.get("extrapolated") for row in rows):
        notes.append("Python loops: one thread; a few pixels are timed, and the time is scaled to all pixels.")
    return Table("The convolution in each variant",
                 ("<x", "<w", "<variant", "forward ms", "GFLOP/s", "dx ms", "GFLOP/s", "dw ms", "GFLOP/s",
                  "difference"),
                 shown, notes, spare=("difference", "GFLOP/s"))


def _variant(row, sgemm):
    if row is None:
        return "-", "-"
    return (f"~{row['ms']:.0f}" if row.get("extrapolated") else f"{row['ms']:.2f}",
            f"{row['gflops']:.3g} ({100 * row['gflops'] / sgemm:.0f} %)")


def versus(found, failures, batch_size, rounds):
    """Return the table of npse and its peers, with the ratios of their times."""
    ours = found["modes"][OURS]
    rows = [(mode, *(cell for kind in ("train_ms", "eval_ms") for cell in _compared(row[kind], ours[kind], batch_size)),
             _megabytes(row["peak_mb"]) if row["train_ms"] else "-") for mode, row in found["modes"].items()]
    notes = [f"{title}: npse is {found[f'{kind}_ratio']:.2f} times as fast as {found[f'{kind}_best']} "
             f"({min(found[f'{kind}_ratios']):.2f} .. {max(found[f'{kind}_ratios']):.2f} over {rounds} rounds)."
             for title, kind in (("Training", "train"), ("Evaluation", "eval")) if f"{kind}_best" in found]
    return Table("npse and its peers: medians over fresh, interleaved processes",
                 ("<", "train ms", "images/s", "to npse", "eval ms", "images/s", "to npse", "peak memory"), rows,
                 notes + [f"{mode} failed and is left out: {reason}" for mode, reason in failures.items()],
                 spare=("images/s",))


def _compared(milliseconds, ours, batch_size):
    if milliseconds is None:
        return "-", "-", "-"
    return f"{milliseconds:.1f}", f"{1e3 * batch_size / milliseconds:.0f}", f"{milliseconds / ours:.2f}"


def _shape(sizes):
    return "x".join(map(str, sizes))


def _megabytes(value):
    return "unknown" if value is None else f"{value:.0f} MB"
