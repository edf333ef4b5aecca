"""Milliseconds of the three passes of a convolution: the rungs of npse's ladder, and PyTorch's two layouts beside them.

    python benchmarks/convolution.py [--loops] [--torch] [--threads 2]

Layers are those of SE-ResNet-20 on 32x32 images at batch 128, float32. Each engine runs in a process of its own, so
that the threads of one do not wait on the cores of another. Each entry is the fastest and the median of 15 runs.
"""

import argparse
import subprocess
import sys
from functools import partial
from statistics import median
from time import perf_counter

import numpy as np

BATCH = 128
LAYERS = {                                     # map, channels in and out, filter, stride, padding
    "stage 1": (32, 16, 16, 3, 1, 1),
    "stage 2": (16, 32, 32, 3, 1, 1),
    "stage 3": (8, 64, 64, 3, 1, 1),
    "stem": (32, 3, 16, 3, 1, 1),
    "stride 2": (32, 16, 32, 3, 2, 1),
    "projection": (32, 16, 32, 1, 2, 0),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--loops", action="store_true", help="also the first rung, compiled loops")
    parser.add_argument("--torch", action="store_true", help="also PyTorch")
    parser.add_argument("--engine", choices=ENGINES, help="this one only, without the heading")
    options = parser.parse_args()
    if options.engine:
        return measure(options.engine, options.threads)
    print(f"{'':26}{'forward':>16}{'gradient of x':>16}{'gradient of w':>16}   ms, fastest / median", flush=True)
    wanted = ["npse"] + ["npse_loops"] * options.loops + ["torch nchw", "torch nhwc"] * options.torch
    for engine in wanted:
        command = [sys.executable, __file__, "--engine", engine, "--threads", str(options.threads)]
        subprocess.run(command, check=True)


def measure(engine, threads):
    for layer, geometry in LAYERS.items():
        times = [milliseconds(run) for run in ENGINES[engine](threads, *geometry)]
        numbers = "".join(f"{fast:9.2f} /{middle:5.2f}" for fast, middle in times)
        print(f"{engine + ' ' + layer:26}{numbers}", flush=True)


def npse_passes(rung, threads, size, c_in, c_out, k, stride, padding):
    from npse import cpu
    from npse.cpu import conv

    cpu.set_threads(threads)
    forward, backward_x, backward_w = (
        getattr(conv, f"conv2d{which}{rung}") for which in ("", "_backward_x", "_backward_w"))
    x, w = normal(BATCH, size, size, c_in), normal(k, k, c_in, c_out)
    dy = normal(*forward(x, w, stride, padding).shape)
    return (lambda: forward(x, w, stride, padding), lambda: backward_x(dy, w, x.shape, stride, padding),
            lambda: backward_w(dy, x, w.shape, stride, padding))


def torch_passes(layout, threads, size, c_in, c_out, k, stride, padding):
    import torch

    torch.set_num_threads(threads)
    x, w = (torch.randn(shape).to(memory_format=getattr(torch, layout))
            for shape in ((BATCH, c_in, size, size), (c_out, c_in, k, k)))
    forward = partial(torch.nn.functional.conv2d, x, w, stride=stride, padding=padding)
    dy = torch.randn_like(forward())
    backward = partial(torch.ops.aten.convolution_backward, dy, x, w, None, [stride] * 2, [padding] * 2, [1, 1], False,
                       [0, 0], 1)
    return forward, lambda: backward([True, False, False]), lambda: backward([False, True, False])


ENGINES = {
    "npse": partial(npse_passes, ""),
    "npse_loops": partial(npse_passes, "_loops"),
    "torch nchw": partial(torch_passes, "contiguous_format"),
    "torch nhwc": partial(torch_passes, "channels_last"),
}


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def milliseconds(run, repeats=15):
    run()
    times = []
    for _ in range(repeats):
        start = perf_counter()
        run()
        times.append(1e3 * (perf_counter() - start))
    return min(times), median(times)


if __name__ == "__main__":
    main()
