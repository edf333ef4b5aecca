"""Does the time of a training step depend on how much of the second-level cache a block of the convolution takes?

    python benchmarks/block_sizes.py [--model se_resnet20] [--batch 128] [--rounds 15]

The two bounds, of the direct and of Winograd's convolution, are changed from 2^17 to 2^21 bytes. All settings take
turns, a step each; an entry is the median of the ratios to the step with the bounds as they are, in the same round.
"""

import argparse
import statistics
from pathlib import Path
from time import perf_counter

import numpy as np

from npse import backend, cpu, models
from npse.cpu.conv_kernels import direct, winograd
from npse.support import environment
from npse.training import SGD, Step

USUAL = direct.SCRATCH_BYTES, winograd.SCRATCH_BYTES
TRIED = [USUAL, *((2**power, USUAL[1]) for power in (17, 18, 20, 21)),
         *((USUAL[0], 2**power) for power in (17, 19, 20))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="se_resnet20")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    times = measure(options)
    level_2 = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")
    print(f"{environment.processor()}, {environment.cores()} cores, commit {environment.commit()}, second-level cache "
          f"{level_2.read_text().strip() if level_2.exists() else 'unknown'}; {options.model}, batch {options.batch}")
    print("direct, KB  winograd, KB  step, ms  ratio")
    for setting, taken in times.items():
        ratio = statistics.median(mine / usual for mine, usual in zip(taken, times[USUAL], strict=True))
        print(f"{setting[0] // 1024:>10}  {setting[1] // 1024:>12}  {1e3 * statistics.median(taken):>8.1f}  "
              f"{ratio:.2f}")


def measure(options):
    """Return the seconds of all rounds, by setting."""
    rng = np.random.default_rng(0)
    with backend.using_edition(cpu):
        network = models.build(options.model, input_gradient=False)
        step = Step(network, SGD(network), 0.1)
        x, labels = rng.standard_normal((options.batch, 32, 32, 3), np.float32), rng.integers(0, 10, options.batch)
        times = {setting: [] for setting in TRIED}
        for number in range(options.rounds + 1):
            for setting in TRIED:
                direct.SCRATCH_BYTES, winograd.SCRATCH_BYTES = setting
                step.plain(x, labels, 0.01)                       # takes memory of the new sizes
                began = perf_counter()
                step.plain(x, labels, 0.01)
                if number:
                    times[setting].append(perf_counter() - began)
    return times


if __name__ == "__main__":
    main()
