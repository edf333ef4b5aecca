"""How the time of a training step falls with the number of ranks: measured here, predicted for more.

    t(R) = a + b * n / R  +  m * ceil(log2 R) * L  +  2 (R - 1) / R * G / W

    R    ranks                                        n    images in a batch
    a, b seconds of a step: fixed, and for an image   m    sums in a step
    L    latency: the time of the sum of one number   G    bytes of the gradients
    W    bytes a second in a sum

a and b are fitted to steps of one rank with several sizes of batch; L and W come from sums of two ranks. The third term
is that of a tree, the fourth that of a ring; no algorithm of MPI is faster in both. That sums run during the backward
pass is left out, so the model errs towards a longer time.
"""

import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from npse.bench import step as whole_step
from npse.bench.process import POOLS, ask
from npse.bench.report import Table, warnings
from npse.support import environment
from npse.support.extras import install
from npse.support.style import BLUE, GREY, ORANGE, figure, plain

PREDICTED = (8, 16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Model:
    """The model at the head of this file; times in milliseconds."""

    fixed: float
    image: float
    messages: int
    latency: float
    bytes: int
    bytes_per_ms: float

    def step(self, ranks, batch):
        """Return the milliseconds of a step."""
        return self.compute(batch / ranks) + self.communication(ranks)

    def compute(self, images):
        """Return the milliseconds that a rank computes."""
        return self.fixed + self.image * images

    def communication(self, ranks):
        """Return the milliseconds that sums over the ranks take."""
        if ranks == 1:
            return 0.0
        return (self.messages * math.ceil(math.log2(ranks)) * self.latency
                + 2 * (ranks - 1) / ranks * self.bytes / self.bytes_per_ms)

    def efficiency(self, ranks, batch):
        """Return the speed of ``ranks`` ranks as a part of ``ranks`` times that of one, for the same batch."""
        return self.step(1, batch) / (ranks * self.step(ranks, batch))

    def growing(self, ranks, images):
        """Return the efficiency if each rank has so many images, and the batch grows with the ranks."""
        return self.step(1, images) / self.step(ranks, images * ranks)


def mpiexec():
    """Return the path of mpiexec, that of the package mpich first; FileNotFoundError if there is none."""
    beside = Path(sys.executable).with_name("mpiexec")
    if found := str(beside) if beside.exists() else shutil.which("mpiexec"):
        return found
    raise FileNotFoundError(f"mpiexec is missing, which starts ranks of MPI; run: {install('mpi')}")


def launch(ranks, threads, **options):
    """Measure a step in so many ranks, see `npse.bench.rank`; ChildProcessError if it fails."""
    command = [mpiexec(), "-n", str(ranks), sys.executable, "-m", "npse.bench.rank",
               json.dumps({"threads": threads, **options})]
    ran = subprocess.run(command, env=os.environ | dict.fromkeys(POOLS, str(threads)), text=True, capture_output=True)
    try:
        return json.loads(ran.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        lines = ran.stderr.strip().splitlines() or [f"code {ran.returncode}"]
        raise ChildProcessError(f"the measurement with {ranks} ranks failed: {lines[-1]}") from None


def measure(ranks, threads, say, **options):
    """Measure with each number of ranks in ``ranks``, and fit the model.

    Parameters
    ----------
    ranks : sequence of int
    threads : int, of each rank
    say : function of a line
    options : model, batch_size, edition, seconds

    Returns
    -------
    dict
        ``rows``: one for each number of ranks; ``threads``; ``batch_size``; ``cores``; ``load``; ``one_process``: the
        milliseconds of one process with as many threads as there are ranks, by that number; ``model``: what `Model`
        takes.
    """
    load, found = environment.load(), {}
    for count in dict.fromkeys((1, 2, *ranks)):                   # the model needs one rank and two
        say(f"measuring {count} ranks" if count > 1 else "measuring one rank")
        found[count] = launch(count, threads, **options)
    one_process = {}
    for count in ranks:
        if 1 < count * threads <= environment.cores():
            say(f"measuring one process with {count * threads} threads")
            one_process[count] = ask(whole_step.measure, threads=count * threads, **options)["train"]["ms"]
    image, fixed = np.polyfit(*zip(*found[1]["compute"], strict=True), 1)
    two = found[2]
    rate = two["bytes"] / max(two["sum_ms"] - two["latency_ms"], 1e-6)
    model = Model(max(0.0, float(fixed)), float(image), two["messages"], two["latency_ms"], two["bytes"], rate)
    return {"rows": [{"ranks": count, **found[count]["step"]} for count in ranks], "one_ms": found[1]["step"]["ms"],
            "threads": threads, "batch_size": options["batch_size"], "cores": environment.cores(), "load": load,
            "one_process": one_process, "model": vars(model)}


def table(found, name):
    """Return the table of measured and predicted steps."""
    model, batch, threads = Model(**found["model"]), found["batch_size"], found["threads"]
    measured, rows = {row["ranks"]: row["ms"] for row in found["rows"]}, []
    for ranks in sorted({*measured, *PREDICTED}):
        ms = measured.get(ranks)
        same = found["one_process"].get(ranks)
        possible = ranks <= batch
        rows.append((str(ranks), f"{ms:.1f}" if ms else "-", f"{model.step(ranks, batch):.1f}" if possible else "-",
                     f"{model.communication(ranks):.2f}",
                     f"{found['one_ms'] / (ranks * ms):.0%}" if ms else "-",
                     f"{model.efficiency(ranks, batch):.0%}" if possible else "-",
                     f"{model.growing(ranks, batch):.0%}", f"{same:.1f}" if same else "-"))
    notes = [f"Model: {model.fixed:.2f} ms + {1e3 * model.image:.0f} us an image; {model.messages} sums of "
             f"{model.bytes / 1e6:.2f} MB in a step, latency {1e3 * model.latency:.0f} us, "
             f"{model.bytes_per_ms / 1e6:.2f} GB/s, both measured between two ranks on this machine. Ranks on other "
             "machines have the latency and the rate of their network.",
             "Efficiency: speed divided by ranks times the speed of one rank, for the same batch. Growing: with the "
             f"batch of {batch} images in each rank. One process: with as many threads as all ranks have."]
    over = [str(ranks) for ranks in measured if ranks * threads > found["cores"]]
    if over:
        notes.append(f"LOOK: with {', '.join(over)} ranks, several share a core of the {found['cores']}. Such a "
                     "measurement says nothing about as many ranks with a core each.")
    return Table(f"{name}, batch {batch}, threads a rank: {threads}",
                 ("ranks", "ms measured", "ms predicted", "of it sums", "efficiency", "predicted", "growing",
                  "one process"), rows, notes + warnings(found["load"]), spare=("of it sums", "growing"))


def picture(found, title):
    """Draw the time of a step and the efficiency against the number of ranks: measured points, lines of the model."""
    model, batch, counts = Model(**found["model"]), found["batch_size"], [2**k for k in range(9)]
    shared = [ranks for ranks in counts if ranks <= batch]        # each rank needs an image
    drawn = figure(9, 4, title)
    left, right = drawn.subplots(1, 2)
    rows = [row for row in found["rows"] if row["ranks"] * found["threads"] <= found["cores"]]
    over = [row for row in found["rows"] if row not in rows]
    left.plot(shared, [model.step(1, batch) / ranks for ranks in shared], color=GREY, linestyle=":", label="ideal")
    left.plot(shared, [model.step(ranks, batch) for ranks in shared], color=BLUE, label="model")
    right.plot(shared, [model.efficiency(ranks, batch) for ranks in shared], color=BLUE, label="same batch")
    right.plot(counts, [model.growing(ranks, batch) for ranks in counts], color=BLUE, linestyle="--",
               label="batch grows with the ranks")
    for chosen, style, label in ((rows, "o", "measured"), (over, "x", "measured, ranks share cores")):
        if chosen:
            ranks = [row["ranks"] for row in chosen]
            left.plot(ranks, [row["ms"] for row in chosen], style, color=ORANGE, label=label)
            right.plot(ranks, [found["one_ms"] / (row["ranks"] * row["ms"]) for row in chosen], style, color=ORANGE)
    left.set(xscale="log", yscale="log", xlabel="ranks", ylabel="milliseconds a step")
    right.set(xscale="log", xlabel="ranks", ylabel="efficiency", ylim=(0, 1.1))
    for axes in (left, right):
        axes.set_xticks(counts, map(str, counts))
        axes.minorticks_off()
        axes.legend(frameon=False, fontsize=8)
        plain(axes)
    return drawn
