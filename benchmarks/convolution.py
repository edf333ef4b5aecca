"""The three passes of a convolution in each variant of npse, beside this machine's matrix product and PyTorch.

    python benchmarks/convolution.py [--loops] [--torch] [--threads 2] [--rounds 3]

Layers are those of SE-ResNet-20 on 32x32 images, and two of wide networks, at batch 128, float32. Every engine runs in
fresh processes that take turns, so that no threads of another stand in the way and all meet the same noise. An entry is
the fastest of all runs, in ms, and its rate as a share of sgemm's: of the fastest float32 product of two 2048 x 2048
matrices that NumPy's BLAS library can be told to make here.
"""

import argparse
import json
import os
import subprocess
import sys
from functools import partial
from time import perf_counter

import numpy as np

BATCH, RUNS = 128, 15
LAYERS = {                                     # map, channels in and out, filter, stride, padding
    "stage 1": (32, 16, 16, 3, 1, 1),
    "stage 2": (16, 32, 32, 3, 1, 1),
    "stage 3": (8, 64, 64, 3, 1, 1),
    "stem": (32, 3, 16, 3, 1, 1),
    "128 wide": (8, 128, 128, 3, 1, 1),
    "256 wide": (7, 256, 256, 3, 1, 1),
    "stride 2": (32, 16, 32, 3, 2, 1),
    "projection": (32, 16, 32, 1, 2, 0),
}
CORES = ("", "SKYLAKEX", "HASWELL")            # OPENBLAS_CORETYPE; "" lets the library choose


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes for each engine")
    parser.add_argument("--loops", action="store_true", help="also the first variant, compiled loops")
    parser.add_argument("--torch", action="store_true", help="also PyTorch")
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--product", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.product:
        return print(fastest(product()))
    if options.engine:
        return print(json.dumps({layer: list(map(fastest, ENGINES[options.engine](options.threads, *geometry)))
                                 for layer, geometry in LAYERS.items()}))
    engines = [engine for engine in ENGINES
               if (options.loops or engine != "loops") and (options.torch or "torch" not in engine)]
    rate, times = measure(engines, options)
    print(f"sgemm {rate:.0f} GFLOP/s\n{'':24}{'forward':>16}{'gradient of x':>16}{'gradient of w':>16}   ms, %")
    for layer in LAYERS:
        ideal = 1e-6 * operations(*LAYERS[layer]) / rate
        for engine in engines:
            entries = (f"{ms:9.2f} {ideal / ms:6.0%}" if ms else f"{'-':>16}" for ms in times[engine, layer])
            print(f"{layer:12}{engine:12}{''.join(entries)}")


def measure(engines, options):
    """Return the rate of the matrix product, in GFLOP/s, and {(engine, layer): fastest ms of the three passes}."""
    rate, times = 0, {}
    for _ in range(options.rounds):
        for core in CORES:
            blas = {"OPENBLAS_NUM_THREADS": str(options.threads)} | ({"OPENBLAS_CORETYPE": core} if core else {})
            rate = max(rate, 2e-6 * 2048**3 / float(ask("--product", **blas)))
        for engine in engines:
            answer = ask("--engine", engine, "--threads", str(options.threads))
            for layer, found in json.loads(answer).items():
                best = times.get((engine, layer), found)
                times[engine, layer] = [a and min(a, b) for a, b in zip(best, found, strict=True)]
    return rate, times


def ask(*words, **environment):
    return subprocess.run([sys.executable, __file__, *words], env=os.environ | environment, check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def operations(size, c_in, c_out, k, stride, padding):
    return 2 * BATCH * ((size + 2 * padding - k) // stride + 1)**2 * c_out * k * k * c_in


def product():
    """A float32 product of two 2048 x 2048 matrices, ready to run."""
    a, b, c = normal(2048, 2048), normal(2048, 2048), np.empty((2048, 2048), np.float32)
    return partial(np.matmul, a, b, out=c)


def npse_passes(variant, threads, size, c_in, c_out, k, stride, padding):
    from npse import cpu
    from npse.cpu import conv

    cpu.set_threads(threads)
    ops = conv.VARIANTS[variant]
    if (variant in ("sliding", "winograd") and stride > 1) or (variant == "winograd" and c_in < 16):
        return None, None, None
    x, w = normal(BATCH, size, size, c_in), normal(k, k, c_in, c_out)
    dy = normal(*ops.conv2d(x, w, stride, padding).shape)
    return (lambda: ops.conv2d(x, w, stride, padding), lambda: ops.conv2d_backward_x(dy, w, x.shape, stride, padding),
            lambda: ops.conv2d_backward_w(dy, x, w.shape, stride, padding))


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


ENGINES = {variant: partial(npse_passes, variant) for variant in ("loops", "matrix", "tile", "sliding", "winograd")} | {
    "torch nchw": partial(torch_passes, "contiguous_format"),
    "torch nhwc": partial(torch_passes, "channels_last"),
}


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def fastest(run):
    """Milliseconds; None where there is nothing to run."""
    if run is None:
        return None
    run()
    times = []
    for _ in range(RUNS):
        start = perf_counter()
        run()
        times.append(1e3 * (perf_counter() - start))
    return min(times)


if __name__ == "__main__":
    main()
