"""All that is to be known about npse on this machine's GPU, in one command and less than nine minutes.

    python benchmarks/gpu_report.py [--cifar10 FOLDER] [--out gpu_report]

It measures what the device can do, a training step and its ops, PyTorch's step beside it (if PyTorch is installed),
has the judge check every gradient on the device, and trains for as long as time is left. Each part is a process of its
own with a limit; one that fails or hangs leaves what it had found, and costs nobody else's numbers. What is known so
far is in OUT.md, a page for docs/results.md, and in OUT.json after every part. A checkout of npse, NumPy, Numba and
numba-cuda are enough to run it.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gpu_page import page

from npse import backend, data, models
from npse.bench import compare, flops, ops, step, workload
from npse.bench import gpu as device_rates
from npse.support import environment
from npse.support.files import write_atomically

MODEL, BATCH = "se_resnet20", 512
LEAST = 15.0                     # seconds below which a part is not begun
STARTING = 10.0                  # seconds of the training part in which it does not train
LONGEST = 80                     # epochs


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar10", type=Path, help="folder or archive with the official batches; without, the "
                                                     "built-in data set is trained on")
    parser.add_argument("--out", type=Path, default=Path("gpu_report"), help="of the report, without its ending")
    parser.add_argument("--minutes", type=float, default=8.5, help="after which no part goes on")
    parser.add_argument("--tiny", action="store_true", help="sizes that Numba's simulator has time for")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if lacking := backend.why_unavailable("cuda"):
        print(f"gpu_report: {lacking}", file=sys.stderr)
        return 2
    if options.tiny:
        shrink()
    if options.part:
        PARTS[options.part][0](options, lambda result: print(json.dumps(result), flush=True))
        return 0
    return report(options)


def report(options):
    """Run one part after the other, and write down after each what is known."""
    end = time.monotonic() + 60 * options.minutes
    found = {**environment.record(), "model": MODEL, "batch": batch(options), "parts": {}, "failures": {}}
    with tempfile.TemporaryDirectory() as folder:
        if options.cifar10:
            unpack(options.cifar10, Path(folder) / "cifar10")
        for part, (_, limit) in PARTS.items():
            began = time.monotonic()
            result, failure = ask(part, options, min(limit * (10 if options.tiny else 1), end - began), folder)
            if result is not None:
                found["parts"][part] = result
            if failure:
                found["failures"][part] = failure
            print(f"{part}: {failure or 'done'}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            write_atomically(options.out.with_suffix(".json"), json.dumps(found, indent=1) + "\n")
            write_atomically(options.out.with_suffix(".md"), page(found))
    print(page(found))
    return 1 if found["failures"] else 0


def ask(part, options, seconds, folder):
    """Run a part in a process of its own; return the last it told, and what went wrong (each may be None)."""
    if seconds < LEAST:
        return None, "not begun, no time was left"
    command = [sys.executable, __file__, "--part", part, "--seconds", str(seconds), *["--tiny"] * options.tiny]
    variables = os.environ | ({"NPSE_DATA_DIR": folder} if options.cifar10 else {}) | VARIABLES.get(part, {})
    with open(Path(folder) / "told", "w+") as told, open(Path(folder) / "said", "w+") as said:
        try:
            code = subprocess.run(command, env=variables, stdout=told, stderr=said, timeout=seconds).returncode
            failure = f"ended with code {code}" if code else None
        except subprocess.TimeoutExpired:
            failure = f"not done after {seconds:.0f} s"
        told.seek(0), said.seek(0)
        results = [line for line in told if line.startswith(("{", "[")) and line.endswith("\n")]
        words = said.read().strip().splitlines()
    if failure and words:
        failure += f": {words[-1]}"
    return (json.loads(results[-1]) if results else None), failure


def unpack(source, folder):
    """Write the official batches of CIFAR-10 where `npse.data` finds them."""
    from npse.data import sources

    folder.mkdir()
    for name, content in sources.read(source).items():
        (folder / name).write_bytes(content)


# The parts: each is given a function that is told what is known so far, once or again and again.

def compile_kernels(options, tell):
    """Compile all kernels in several processes; the other parts find them on disk."""
    from functools import partial

    from npse.cli.precompile import ops as of_all_ops

    compile_works(options, tell, *(step_of(size) for size in (BATCH, 128)), partial(of_all_ops, edition="cuda"))


def compile_works(options, tell, *works):
    """Compile the kernels of these works for this GPU."""
    from npse.cli.precompile import warm_up_cuda
    from npse.cuda.runtime import device

    began = time.monotonic()
    count = 0 if options.tiny else warm_up_cuda(*works, capability=device.capability())
    tell({"compiled": count, "seconds": time.monotonic() - began})


def step_of(batch_size):
    """A training step, as a work of `npse.cli.precompile`."""
    from functools import partial

    from npse.cli.precompile import training
    from npse.training import Config

    return partial(training, Config(model=MODEL, batch_size=batch_size), edition="cuda")


def measure_rates(options, tell):
    """What the device can do at best."""
    tell(device_rates.measure(threads=1))


def measure_npse(options, tell):
    """A training step as a run makes it; its ops; the ops of the targets that it has merged into others."""
    work = {"model": MODEL, "batch_size": batch(options), "edition": "cuda", "threads": environment.cores()}
    long, short = (0, 0) if options.tiny else (2, 0.05)           # seconds to go on with a step, with an op
    found = {"step": step.measure(**work, seconds=long)}
    tell(found)
    found["ops"] = ops.measure(**work, seconds=short)
    tell(found)
    work = workload.prepare(**work)
    tell(found | {"alone": alone(work.clock, work.repeated, batch(options), short)})


def measure_npse_tf32(options, tell):
    """The same step and evaluation with convolutions on tensor cores."""
    tell(step_with_variant(options))


def step_with_variant(options):
    """Measure a step and evaluation with the variant of the convolution that the environment of this part allows."""
    compile_works(options, lambda compiled: None, step_of(BATCH))
    return step.measure(model=MODEL, batch_size=batch(options), edition="cuda", threads=environment.cores(),
                        seconds=0 if options.tiny else 2)


def measure_winograd(options, tell):
    """The same with Winograd's algorithm where it should pay; and layers of wide networks with it and without."""
    found = {"step": step_with_variant(options)}
    tell(found)
    work = workload.prepare(MODEL, batch(options), "cuda", environment.cores())
    tell(found | {"layers": layers(work.clock, work.repeated, batch(options), options.tiny)})


def layers(clock, repeated, N, tiny):
    """3x3 convolutions in two variants: rows with the milliseconds of y, dx and dw, by the name of the variant."""
    from npse.cuda.conv import VARIANTS

    rows, rng = [], np.random.default_rng(0)
    for H, C in [(4, 4)] if tiny else [(32, 64), (16, 64), (8, 64), (16, 128), (8, 256), (4, 512)]:
        x, dy = (backend.to_edition(rng.standard_normal((N, H, H, C), np.float32)) for _ in range(2))
        w = backend.to_edition(rng.standard_normal((3, 3, C, C), np.float32))
        row = {"images": N, "side": H, "channels": C}
        for name in ("register", "winograd"):
            forward, backward_x, backward_w = VARIANTS[name]
            row[name] = [ops.figures(ops.times(many, 0 if tiny else 0.05, clock=clock), count)["ms"]
                         for many, count in (repeated(forward, (x, w, 1, 1)),
                                             repeated(backward_x, (dy, w, x.shape, 1, 1)),
                                             repeated(backward_w, (dy, x, w.shape, 1, 1)))]
        rows.append(row)
    return rows


def alone(clock, repeated, N, seconds):
    """Batch norm and the plain join, forwards and backwards, on maps of the first stage: rows as of `ops.measure`."""
    edition, rng, H, C = backend.active(), np.random.default_rng(0), workload.PIXELS, 16
    x, dy, r = (backend.to_edition(rng.standard_normal((N, H, H, C), np.float32)) for _ in range(3))
    gamma, beta = (backend.to_edition(rng.standard_normal(C, np.float32)) for _ in range(2))
    s = backend.to_edition(rng.random((N, C), np.float32))
    _, mean, var = edition.batch_norm(x, gamma, beta)
    y, rows = edition.scale_add_relu(x, s, r), []
    for op, *arguments in (("batch_norm", x, gamma, beta), ("batch_norm_backward", dy, x, gamma, mean, var),
                           ("scale_add_relu", x, s, r), ("scale_add_relu_backward", dy, x, s, y)):
        def task(op=op, arguments=arguments):
            return getattr(edition, op)(*arguments)
        result = task()
        many, count = repeated(getattr(edition, op), arguments)
        found = ops.figures(ops.times(many, seconds, clock=clock), count)
        rows.append({"op": op, "arguments": ops.shapes(arguments), "count": 0, **found,
                     "flops": flops.flops(op, arguments, result), "bytes": flops.traffic(arguments, result)})
    return rows


def judge(options, tell):
    """Every gradient of every op on the device: finite differences in float64, float32 against float64, the book."""
    from npse.gradcheck import CASES, check_case

    edition, book, results = backend.with_numpy_results(backend.edition("cuda")), backend.edition("reference"), []
    for number, case in enumerate(CASES[:2] if options.tiny else CASES, start=1):
        results += check_case(case, edition, 0, book)
        errors = [result.error for result in results if result.judged == "gradient"]
        tell({"cases": number, "of": len(CASES), "checks": len(results), "worst": max(errors, default=0.0),
              "wrong": [str(result) for result in results if not result.ok]})


def train(options, tell):
    """As many epochs as fit the time, with the default settings; the rate falls to zero at the last."""
    from npse.training import Config, prepare, run
    from npse.training.budget import seconds_per_epoch

    backend.use("cuda")
    config = Config(data="cifar10" if "NPSE_DATA_DIR" in os.environ else "shapes", model=MODEL, epochs=1)
    if not options.tiny:
        epochs = (options.seconds - STARTING) / seconds_per_epoch(config)
        config = dataclasses.replace(config, epochs=int(np.clip(epochs, 1, LONGEST)))
    began = time.monotonic()
    nowhere = Nowhere(lambda row: tell({**row, "data": config.data, "epochs": config.epochs,
                                        "minutes": (time.monotonic() - began) / 60}))
    run(prepare(config), nowhere, nowhere)


class Nowhere:
    """Reporter and folder of a run that leaves nothing but what its epochs tell."""

    def __init__(self, epoch_done):
        self.epoch_done = epoch_done

    def _nothing(self, *arguments):
        pass

    say = began = stepped = append_metrics = save_best = save_last = _nothing


def measure_torch(options, tell):
    """The same step in one of PyTorch's modes."""
    from npse.bench import torch_peer

    tell(torch_peer.measure(MODEL, batch(options), environment.cores(), 3.0, **TORCH[options.part]))


TORCH = compare.torch_modes("cuda")
WITHOUT_TF32, WITH_TF32 = ({mode: (measure_torch, 100 if setting["compiled"] else 45)
                            for mode, setting in TORCH.items() if setting["tf32"] is tf32} for tf32 in (False, True))
VARIABLES = {"npse, tf32 on": {"NPSE_CUDA_CONVOLUTION": "tensor"},          # of the environment of a part
             "npse, Winograd": {"NPSE_CUDA_CONVOLUTION": "winograd"}}
# and the most seconds of each; the last are the least missed
PARTS = {"kernels": (compile_kernels, 120), "rates": (measure_rates, 60), "npse": (measure_npse, 120),
         "judge": (judge, 100), **WITHOUT_TF32, "training": (train, 130),
         "npse, Winograd": (measure_winograd, 60), "npse, tf32 on": (measure_npse_tf32, 60), **WITH_TF32}


def batch(options):
    return 2 if options.tiny else BATCH


def shrink():
    """A small network and small images for the simulator."""
    from npse.bench import gpu_rates

    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    few = argparse.Namespace(name="few", images=images[:2], labels=np.array([0, 1]), test_images=images[2:],
                             test_labels=np.array([0, 1]), classes=("a", "b"), mean=workload.MEAN, std=workload.STD)
    models.build = lambda name, classes, **settings: models.resnet(8, widths=(4, 4, 4), classes=classes)
    data.load = lambda name: few
    workload.PIXELS, workload.READ_EVERY, gpu_rates.REPEATS, step.WARM = 8, 1, 1, 0


if __name__ == "__main__":
    sys.exit(main())
