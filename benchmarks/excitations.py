"""What each structure in place of the two dense layers costs in a training step of SE-ResNet-20, as a table.

    python benchmarks/excitations.py [--edition cpu] [--threads 2] [--rounds 21] [--batch 128] [--model se_resnet20]

Networks with each structure, with each squeeze, and the network without excitations take turns, a step each, in an
order that is drawn anew for each round. So all meet the same noise, and an entry compares a step with that of ``se`` in
the same round: the median of these ratios, and their quartiles.
"""

import argparse
import os
import platform
from time import perf_counter

import numpy as np

from npse import backend, models
from npse.layers import EXCITATIONS, SQUEEZES
from npse.training.config import Config
from npse.training.step import Step

NETWORKS = {"no excitation": {"se": False}, **{name: {"excitation": name} for name in EXCITATIONS},
            **{f"se, {name}": {"squeeze": name} for name in SQUEEZES if name != "mean"},
            "se, hidden_norm": {"hidden_norm": True}}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edition", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--model", default="se_resnet20")
    parser.add_argument("--only", nargs="*", choices=NETWORKS, help="these networks, beside that with se")
    options = parser.parse_args()
    ops = backend.use(options.edition)
    if options.edition == "cpu":
        ops.set_threads(options.threads)
    names = list(dict.fromkeys(["se", *(options.only or NETWORKS)]))
    times = measure({name: NETWORKS[name] for name in names}, options)
    report(times, options)


def measure(networks, options):
    """Return the times of all rounds by network, in seconds."""
    rng = np.random.default_rng(0)
    x = backend.to_edition(rng.standard_normal((options.batch, 32, 32, 3)).astype(np.float32))
    labels = backend.to_edition(rng.integers(10, size=options.batch))
    steps = {name: step_of(options.model, given) for name, given in networks.items()}
    for step in steps.values():                                  # compile, and take memory from the pool
        step.plain(x, labels, 0.01)
        step.plain(x, labels, 0.01)
    times = {name: [] for name in steps}
    for _ in range(options.rounds):
        for name in rng.permutation(list(steps)):
            start = perf_counter()
            loss, _ = steps[name].plain(x, labels, 0.01)
            float(backend.to_host(loss))
            times[name].append(perf_counter() - start)
    return times


def step_of(model, options):
    network = models.build(model, input_gradient=False, **options).to_device().train()
    return Step(network, Config().optimizer_for(network), smoothing=0.1)


def report(times, options):
    of_se = np.array(times["se"])
    print(f"{options.model}, batch {options.batch}, {options.edition} edition, {options.threads} threads on "
          f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}, Python {platform.python_version()}, "
          f"NumPy {np.__version__}; a step with se takes {1000 * np.median(of_se):.0f} ms, {options.rounds} rounds\n")
    print("| network | step relative to `se` | quartiles |\n|---|---|---|")
    for name, found in times.items():
        low, middle, high = np.percentile(np.array(found) / of_se, (25, 50, 75))
        print(f"| {name} | {middle:.2f} | {low:.2f} to {high:.2f} |", flush=True)


if __name__ == "__main__":
    main()
