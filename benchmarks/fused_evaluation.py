"""What is gained in evaluation if one op does what follows a convolution, while its output is in registers or caches?

    python benchmarks/fused_evaluation.py [--models se_resnet20 se_resnet8] [--batch 128] [--rounds 15]

The other program is the same edition with an op for the convolution and others for the batch norm, the gates, the sum
and the ReLU. Both predict in turns; the ratio is the median over the rounds.
"""

import argparse
import statistics
from time import perf_counter

import numpy as np

from npse import backend, cpu, models
from npse.support import environment
from npse.support.wrapped import Overlay


def conv2d_batch_norm_inference(x, w, gamma, beta, mean, var, stride=1, padding=0, eps=1e-5):
    return cpu.batch_norm_inference(cpu.conv2d(x, w, stride, padding), gamma, beta, mean, var, eps)


def conv2d_batch_norm_inference_relu(x, w, gamma, beta, mean, var, stride=1, padding=0, eps=1e-5):
    return cpu.batch_norm_inference_relu(cpu.conv2d(x, w, stride, padding), gamma, beta, mean, var, eps)


def conv2d_se_add_relu_inference(x, w, gamma, beta, mean, var, r, w1=None, w2=None, b1=None, b2=None, stride=1,
                                 padding=0, eps=1e-5):
    c, _, _, means = cpu.conv2d_moments(x, w, stride, padding)
    z = cpu.batch_norm_inference(means[:, None, None], gamma, beta, mean, var, eps)[:, 0, 0]
    s = np.ones_like(z) if w1 is None else cpu.excite(z, w1, w2, b1, b2)
    return cpu.bn_scale_add_relu(c, gamma, beta, mean, var, s, r, eps)


EDITIONS = {"one op": cpu,
            "several ops": Overlay(cpu, conv2d_batch_norm_inference=conv2d_batch_norm_inference,
                               conv2d_batch_norm_inference_relu=conv2d_batch_norm_inference_relu,
                               conv2d_se_add_relu_inference=conv2d_se_add_relu_inference)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["se_resnet20", "se_resnet8"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    print(f"{environment.processor()}, {environment.cores()} cores, commit {environment.commit()}; "
          f"batch {options.batch}")
    print(f"{'network':<20} {'one op, ms':>11} {'several, ms':>12}  ratio")
    for name in options.models:
        one, several = measure(name, options.batch, options.rounds).values()
        ratios = [theirs / ours for ours, theirs in zip(one, several, strict=True)]
        print(f"{name:<20} {1e3 * statistics.median(one):>11.1f} {1e3 * statistics.median(several):>12.1f}  "
              f"{statistics.median(ratios):.2f}")


def measure(name, batch, rounds):
    """Return the seconds of all rounds, by edition."""
    network = models.build(name).eval()
    x = np.random.default_rng(0).standard_normal((batch, 32, 32, 3), np.float32)
    times = {edition: [] for edition in EDITIONS}
    for number in range(rounds + 1):
        for edition, ops in EDITIONS.items():
            with backend.using_edition(ops):
                network.predict(x)                                # takes memory of its own sizes
                began = perf_counter()
                network.predict(x)
                if number:
                    times[edition].append(perf_counter() - began)
    return times


if __name__ == "__main__":
    main()
