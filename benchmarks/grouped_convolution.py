"""Grouped, depthwise and dilated convolution of npse beside PyTorch (channels_last): the three passes, float32.

    python benchmarks/grouped_convolution.py [--threads 2] [--rounds 7] [--only depthwise]

Each engine has one process. They take turns: in a round both run a pass CALLS times, one after the other, so that they
meet the same noise of a shared machine. A time is the median of the calls of all rounds. A ratio is that of npse to
PyTorch, the median over the rounds; below 1 npse is faster. With --threads 1 the time is that of the processor, which
other work on the machine changes less.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
from functools import partial
from time import perf_counter, process_time, sleep

import numpy as np

CALLS, PAUSE = 5, 0.02           # s: threads of the other process have stopped polling by then
LAYERS = {                                     # N, size, channels in and out, filter, groups, stride, dilation
    "depthwise 3x3, 32x32x64": (64, 32, 64, 64, 3, 64, 1, 1),
    "depthwise 3x3, 16x16x256": (128, 16, 256, 256, 3, 256, 1, 1),
    "depthwise 3x3, 112x112x32": (32, 112, 32, 32, 3, 32, 1, 1),
    "depthwise 3x3, 14x14x512": (32, 14, 512, 512, 3, 512, 1, 1),
    "depthwise 3x3, stride 2, 32x32x128": (64, 32, 128, 128, 3, 128, 2, 1),
    "depthwise 3x3, stride 2, 112x112x64": (32, 112, 64, 64, 3, 64, 2, 1),
    "depthwise 5x5, 28x28x120": (32, 28, 120, 120, 5, 120, 1, 1),
    "depthwise 5x5, 14x14x672": (32, 14, 672, 672, 5, 672, 1, 1),
    "groups of 2, 32x32x64": (64, 32, 64, 64, 3, 32, 1, 1),
    "groups of 4, 56x56x128": (16, 56, 128, 128, 3, 32, 1, 1),
    "groups of 8, 28x28x256": (32, 28, 256, 256, 3, 32, 1, 1),
    "groups of 16, 14x14x512": (32, 14, 512, 512, 3, 32, 1, 1),
    "groups of 32, 7x7x1024": (32, 7, 1024, 1024, 3, 32, 1, 1),
    "groups of 8, stride 2, 56x56x256": (16, 56, 256, 256, 3, 32, 2, 1),
    "groups of 16, 32x32x64": (64, 32, 64, 64, 3, 4, 1, 1),
    "1x1, 3 groups of 80, 28x28x240": (32, 28, 240, 240, 1, 3, 1, 1),
    "dilation 2, 32x32x64": (32, 32, 64, 64, 3, 1, 1, 2),
    "dilation 4, 28x28x128": (16, 28, 128, 128, 3, 1, 1, 4),
}
PASSES = ("forward", "gradient of x", "gradient of w")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="layers whose name contains this")
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.engine:
        return serve(ENGINES[options.engine], options.threads)
    workers = [subprocess.Popen([sys.executable, __file__, "--engine", engine, "--threads", str(options.threads)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for engine in ENGINES]
    print("| layer | " + " | ".join(f"{name}: npse, ms | PyTorch, ms | ratio" for name in PASSES) + " |")
    print("|---|" + "---|" * 3 * len(PASSES))
    for layer in LAYERS:
        if options.only in layer:
            entries = [measure(workers, layer, which, options.rounds) for which in range(len(PASSES))]
            print(f"| {layer} | " + " | ".join(entries) + " |", flush=True)
    for worker in workers:
        worker.stdin.close()
        worker.wait()


def measure(workers, layer, which, rounds):
    times = [[], []]
    for _ in range(rounds):
        for taken, worker in zip(times, workers, strict=True):
            print(json.dumps([layer, which]), file=worker.stdin, flush=True)
            taken.append(json.loads(worker.stdout.readline()))
    ours, theirs = (statistics.median(itertools.chain(*taken)) for taken in times)
    ratio = statistics.median(statistics.median(a) / statistics.median(b) for a, b in zip(*times, strict=True))
    return f"{ours:.2f} | {theirs:.2f} | {ratio:.2f}"


def serve(passes, threads):
    """Run passes that standard input names, until it ends; write the milliseconds of each call."""
    clock, layer, runs = process_time if threads == 1 else perf_counter, None, ()
    for line in sys.stdin:
        wanted, which = json.loads(line)
        if wanted != layer:
            layer, runs = wanted, passes(threads, *LAYERS[wanted])
            for run in runs:
                run()
        runs[which]()
        times = []
        for _ in range(CALLS):
            start = clock()
            runs[which]()
            times.append(1e3 * (clock() - start))
        print(json.dumps(times), flush=True)
        sleep(PAUSE)


def npse_passes(threads, N, size, c_in, c_out, k, groups, stride, dilation):
    from npse import cpu

    cpu.set_threads(threads)
    how = groups, stride, dilation * (k // 2), dilation
    x, w = normal(N, size, size, c_in), normal(k, k, c_in // groups, c_out)
    dy = normal(*cpu.grouped_conv2d(x, w, *how).shape)
    return (partial(cpu.grouped_conv2d, x, w, *how), partial(cpu.grouped_conv2d_backward_x, dy, w, x.shape, *how),
            partial(cpu.grouped_conv2d_backward_w, dy, x, w.shape, *how))


def torch_passes(threads, N, size, c_in, c_out, k, groups, stride, dilation):
    import torch

    torch.set_num_threads(threads)
    padding = dilation * (k // 2)
    x, w = (torch.randn(shape).to(memory_format=torch.channels_last)
            for shape in ((N, c_in, size, size), (c_out, c_in // groups, k, k)))
    forward = partial(torch.nn.functional.conv2d, x, w, None, stride, padding, dilation, groups)
    dy = torch.randn_like(forward())
    backward = partial(torch.ops.aten.convolution_backward, dy, x, w, None, [stride] * 2, [padding] * 2, [dilation] * 2,
                       False, [0, 0], groups)
    return forward, lambda: backward([True, False, False]), lambda: backward([False, True, False])


ENGINES = {"npse": npse_passes, "torch": torch_passes}


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


if __name__ == "__main__":
    main()
