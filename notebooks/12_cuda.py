# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 12 · CUDA without a GPU, and with one
#
# The [CUDA edition](../docs/cuda.md) of npse, and equation (4) as its example · 40 minutes
#
# [One thread](#One-thread) ·
# [Grid and block](#Grid-and-block) ·
# [A launch in ten lines of Python](#A-launch-in-ten-lines-of-Python) ·
# [The real thing, in the simulator](#The-real-thing,-in-the-simulator) ·
# [What memory delivers](#What-memory-delivers) ·
# [What a launch costs](#What-a-launch-costs) ·
# [Occupancy](#Occupancy) ·
# [With a GPU](#With-a-GPU) ·
# [Typical mistakes](#Typical-mistakes) ·
# [Questions](#Questions) ·
# [Now write it yourself](#Now-write-it-yourself) ·
# [Next](#Next)
#
# A graphics processor (GPU) does not run a loop faster. It runs the *body* of the loop, thousands of times at once. So
# the first step is a change of view: write what happens to one number, and leave out the loop.
#
# You need no GPU for this page. A simulator runs every thread in plain Python, slowly, and counts every number it
# reads. At the end you can write a kernel, say which of its threads have nothing to do, and see in a picture why one
# of two kernels that compute the same will be the slower one.

# %%
# On Colab and Kaggle this cell installs npse, at the version of this page.
# Where npse is installed it does nothing.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("npse") is None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "npse==0.1.0"], check=True)

# %%
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import npse
from npse.bench import ops as bench_ops
from npse.bench.static import occupancy
from npse.bench.workload import prepare
from npse.notebook import Play, Source, Worked
from npse.notebook.figures import cuda as figures
from npse.reference import scale
from npse.support.arithmetic import ceil_div

# %% [markdown]
# ## One thread
#
# The example is equation (4), in which every number of a map is multiplied by its gate:
#
# $$y[n,i,j,c] = s[n,c] \ u[n,i,j,c]$$

# %%
Source(scale)

# %% [markdown]
# As loops it would read: for every $n$, every pixel, every $c$, do one multiplication. No multiplication waits for
# another one. That is what makes it good work for a GPU. A *kernel* is the body of these loops, written as a function
# of
# *one thread*. The thread asks "which one am I?", and does the work of that number:
#
#     @cuda.jit
#     def scale_kernel(u, s, y):
#         t = cuda.grid(1)                    # which thread am I?
#         if t < y.size:                      # is there a number for me?
#             pixel, channel = t // u.shape[1], t % u.shape[1]
#             y[pixel, channel] = u[pixel, channel] * s[channel]
#
# Nothing is returned. A kernel writes its result into an array that it was given. (For one picture the pixels are
# taken as one axis here, so `u` has the shape `(pixels, channels)`.)

# %% [markdown]
# ## Grid and block
#
# Threads come in *blocks* of equal size, and all blocks together are the *grid*. Thread `t` of the whole grid is
# `block number * threads of a block + number in the block`; `cuda.grid(1)` is just that. The size of a block is our
# choice, usually a multiple of 32. Only whole blocks can be started, so at the end of the array some threads are too
# many. Move both sizes:

# %%
Play(figures.grid, numbers=(21, 1, 40), threads=(8, 4, 16))

# %% [markdown]
# The hatched threads run the kernel like all others. The line `if t < y.size` is what keeps them from writing where
# nothing of ours lies.
#
# ### With a pencil: how many blocks
#
# A map of 7 x 7 pixels with 24 channels has
#
# $$n = 7 \cdot 7 \cdot 24 = 1176$$
#
# numbers. In blocks of 128 threads we need $1176 / 128 = 9.1875$, rounded up:
#
# $$b = 10 \qquad t = 10 \cdot 128 = 1280 \qquad i = 1280 - 1176 = 104$$
#
# blocks, threads, and threads that are idle. Thread 5 of block 3 has the number
#
# $$g = 3 \cdot 128 + 5 = 389$$
#
# and since channels are neighbours in memory, 389 belongs to pixel $p$ and channel $c$, with
#
# $$p = 16 \qquad c = 389 - 16 \cdot 24 = 5$$

# %%
shape, threads = (7 * 7, 24), 128
numbers = shape[0] * shape[1]
blocks = ceil_div(numbers, threads)
pixel, channel = np.unravel_index(3 * threads + 5, shape)
worked = Worked({
    "n": numbers, "b": blocks, "t": blocks * threads,
    "i": blocks * threads - numbers, "g": 3 * threads + 5, "p": pixel, "c": channel,
})
worked

# %% [markdown]
# ## A launch in ten lines of Python
#
# What does the machine do with a kernel? Nothing that could not be written down in a few lines. Here is a launch, with
# one difference to the real one: it runs the threads one after another.


# %%
cuda = SimpleNamespace(thread=0)


def launch(kernel, blocks, threads, *arguments):
    """Run a kernel once for every thread of the grid."""
    for block in range(blocks):
        for thread in range(threads):
            cuda.thread = block * threads + thread
            kernel(*arguments)


def scale_kernel(u, s, y):
    t = cuda.thread
    if t < y.size:
        pixel, channel = t // u.shape[1], t % u.shape[1]
        y[pixel, channel] = u[pixel, channel] * s[channel]


rng = np.random.default_rng(0)
u, s = rng.normal(size=shape), rng.uniform(size=24)
y = np.zeros_like(u)
launch(scale_kernel, blocks, threads, u, s, y)
assert np.array_equal(y, scale(u.reshape(1, 7, 7, 24), s[None])[0].reshape(shape))
print(f"{blocks * threads} threads, {y.size} numbers, all as in the book")

# %% [markdown]
# On a GPU the order of the threads is not fixed, and thousands run at the same time. So a kernel must not care about
# the order. Try it: run the loops of `launch` backwards. If the result changes, the kernel has a *race*.

# %% [markdown]
# ## The real thing, in the simulator
#
# numba-cuda brings a simulator, which runs real kernels without a GPU. It has to be switched on before Numba is
# imported, so we write the kernels to a file and let `npse trace` run it, as a command of its own. It prints what the
# threads of each kernel read and write. Two kernels that compute the same:

# %%
KERNELS = '''
import numpy as np
from numba import cuda


@cuda.jit
def along(u, s, y):
    t = cuda.grid(1)
    if t < y.size:
        pixel, channel = t // u.shape[1], t % u.shape[1]
        y[pixel, channel] = u[pixel, channel] * s[channel]


@cuda.jit
def across(u, s, y):
    t = cuda.grid(1)
    if t < y.size:
        channel, pixel = t // u.shape[0], t % u.shape[0]
        y[pixel, channel] = u[pixel, channel] * s[channel]


def along_example():
    u = np.ones((16, 8), np.float32)
    return 4, 32, u, np.ones(8, np.float32), np.zeros_like(u)


across_example = along_example
'''
kept = tempfile.TemporaryDirectory()         # it is removed at the end
folder = Path(kept.name)
has_simulator = importlib.util.find_spec("numba_cuda") is not None


def trace(source, *names):
    """Write kernels to a file, run `npse trace` on them, print what it says."""
    if not has_simulator:
        print('numba-cuda is missing; it comes with: pip install -e ".[cuda]"')
        return
    (folder / "maps.py").write_text(source)
    kernels = [f"maps.py:{name}" for name in names]
    command = [sys.executable, "-m", "npse", "trace", *kernels, "--out", "maps.png"]
    paths = os.pathsep.join([str(Path(npse.__file__).parents[1]), *sys.path])
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": paths})
    print(done.stdout or done.stderr)


trace(KERNELS, "along", "across")

# %% [markdown]
# Both kernels read each number of `u` once, and write each number of `y` once. The numbers that they compute are the
# same. Yet one column differs by a factor of four: the *32-byte pieces*.

# %% [markdown]
# ## What memory delivers
#
# Memory never delivers a single number. It delivers pieces of 32 bytes, that is 8 numbers in float32, whether they are
# wanted or not. And 32 neighbouring threads, a *warp*, execute the same instruction together. If their 32 numbers lie
# next to each other, four pieces are enough. If each lies somewhere else, 32 pieces travel for the same 32 numbers.
# The first is called *coalesced*.
#
# Here are the numbers that 16 neighbouring threads read, for both orders; shaded is what memory sends:

# %%
figures.pieces(16, 8)

# %% [markdown]
# Left, neighbouring threads take neighbouring channels: every number that travels is used. Right, neighbouring threads
# take neighbouring *pixels*: each piece travels for the sake of one number in it. In npse the channels of a pixel are
# neighbours in memory (NHWC), so the channel has to change fastest from thread to thread. The picture that the command
# above has drawn shows the threads of a block, and how often each number is used:

# %%
drawn = folder / "maps.png"
figures.traced(drawn) if drawn.exists() else "no picture without numba-cuda"

# %% [markdown]
# Framed is one thread with the cells that it uses. The rainbow gives each thread a colour, and each number that it
# writes the same colour: along the rows in the first kernel, down the columns in the second one.
#
# The other remedy for slow memory is not to read twice. Threads of a block have a small *shared memory*: each fetches
# a part, all wait for each other at a barrier, and then all use what was fetched. [The CUDA edition](../docs/cuda.md)
# shows it with a product of two matrices, where shared tiles cut the reads to a quarter, and it shows the race that
# appears if the barrier is forgotten.

# %% [markdown]
# ## What a launch costs
#
# A launch is a request from the processor (the *host*) to the GPU. The request itself takes time, however little the
# kernel has to do. How many requests are there? A training step is a list of calls of ops, and each call launches at
# least one kernel. We can count the calls here, on the host, with the CPU edition:

# %%
npse.use("cpu")
for name in ("se_resnet8", "se_resnet20", "se_resnet56"):
    calls = bench_ops.watch(prepare(name, 8, "cpu", 1))
    count = sum(row["count"] for row in calls.rows.values())
    print(f"{name:12s} {count:4d} calls of ops in a training step")

# %% [markdown]
# More than a hundred requests for one step of an SE-ResNet-20, although one call updates all parameters. While maps
# are large that does not matter: the GPU works longer on a kernel than the host needs to ask for the next one. With
# small maps and small batches it is the other way round. The GPU waits for the host, and a faster GPU would wait
# longer.
#
# The remedy is to ask once for everything. npse *records* the training step: the list of launches, with all their
# arguments, is kept as a CUDA graph, and from then on one call of the host starts the whole step. Recorded kernels
# read and write the same memory each time, so each batch is first copied to the place from which the step reads.
#
# Measured once on hardware, an NVIDIA H200 with commit 5b1bf10c82: a step of SE-ResNet-20 with 512 images took 56.8 ms
# kernel by kernel, and 13.5 ms recorded, with the same losses. So four fifths of the time the GPU had waited for the
# next launch. [Results](../docs/results.md#on-a-gpu) has the table.

# %% [markdown]
# ## Occupancy
#
# A GPU hides waiting by having something else to do. It consists of many *multiprocessors*. Each holds several blocks
# at a time, and as soon as one warp waits for memory it goes on with another one. *Occupancy* is the share of the
# places for warps that are taken. What limits it:
#
# * **Registers.** All threads that live on a multiprocessor share its registers. A kernel that needs many for each
#   thread leaves room for fewer threads.
# * **Shared memory.** The same, for blocks.
# * **Too few blocks.** A grid of ten blocks cannot fill a hundred multiprocessors, however good the kernel is. A
#   squeeze of a small batch is like that: few numbers come out, so few threads have something to do.
#
# How many blocks fit is a division for each of these limits, and the smallest result counts. On a GPU of compute
# capability 9.0 a multiprocessor has places for 2048 threads, 65 536 registers and 228 KiB of shared memory. Blocks of
# 256 threads with 32, then 46 registers for each thread, and one of 128 threads with 168 registers and 27 KiB of shared
# memory:

# %%
blocks = (256, 32, 0), (256, 46, 2048), (128, 168, 27_136)
for threads, registers, shared in blocks:
    share, limit = occupancy((9, 0), threads, registers, shared)
    print(f"{threads} threads x {registers} registers, {shared} bytes: "
          f"{share:.0%} occupied, limited by {limit}")

# %% [markdown]
# Higher is not always better. The last of the three is a register tile, as on [page 11](11_five_speeds.ipynb): it needs
# many registers, lowers the occupancy on purpose, and is faster, since it has less to wait for. `npse bench --static`
# prints these numbers for all kernels of a training step; it needs no GPU.

# %% [markdown]
# ## With a GPU
#
# On a computer with an NVIDIA GPU, in a terminal, in the folder of npse:
#
#     pip install -e ".[cuda]"
#     npse info
#     npse check --edition cuda
#     npse warmup --edition cuda
#     npse train --edition cuda
#
# `npse info` says whether the GPU is usable, and if it is not, why. `npse check` compares every op with finite
# differences, on the device. [The CUDA edition](../docs/cuda.md#what-is-known) says what was run on which hardware, at
# which commit, and what was only simulated and compiled since.

# %% [markdown]
# ## Typical mistakes
#
# ### No bounds check
#
# The line `if t < y.size` is left out, and the map has 15 pixels, not 16. In our little launch Python itself would
# complain. A GPU does not: it reads and writes whatever lies behind the array, without an error. The simulator tells:

# %%
UNCHECKED = '''
import numpy as np
from numba import cuda


@cuda.jit
def unchecked(u, s, y):
    t = cuda.grid(1)
    pixel, channel = t // u.shape[1], t % u.shape[1]
    y[pixel, channel] = u[pixel, channel] * s[channel]


def unchecked_example():
    u = np.ones((15, 8), np.float32)
    return 4, 32, u, np.ones(8, np.float32), np.zeros_like(u)
'''
trace(UNCHECKED, "unchecked")

# %% [markdown]
# ### Everybody adds to the same number
#
# A squeeze, one thread for each number of `u`, each adding its own to the sum of its channel: `z[channel] += u[...]`.
# That is a read, an addition and a write. Two threads read the same old sum, both add, both write, and one of the two
# numbers is lost:

# %%
HASTY = '''
import numpy as np
from numba import cuda


@cuda.jit
def hasty_squeeze(u, z):
    t = cuda.grid(1)
    if t < u.size:
        pixel, channel = t // u.shape[1], t % u.shape[1]
        z[channel] += u[pixel, channel] / u.shape[0]


def hasty_squeeze_example():
    return 4, 32, np.ones((16, 8), np.float32), np.zeros(8, np.float32)
'''
trace(HASTY, "hasty_squeeze")

# %% [markdown]
# In a loop, and in a lucky run, this gives the right mean. That is what makes races hard to find by looking at
# results. `npse trace` finds them by looking at who used which number, in any order. The remedy: one thread for each
# channel, which adds in a loop; or partial sums in shared memory, added up in pairs with a barrier after each round.

# %% [markdown]
# ## Questions
#
# **1.** 1000 numbers, blocks of 256 threads. How many blocks, how many idle threads? And for 1024 numbers?
#
# <details><summary>Answer</summary>
#
# Four blocks in both cases: 1024 threads. For 1000 numbers 24 threads are idle, for 1024 none. The kernel needs the
# check of its bounds in any case, since the next array may have another size.
#
# </details>
#
# <br>
#
# **2.** With maps stored as NCHW, channels first, which of the two kernels above would be the coalesced one?
#
# <details><summary>Answer</summary>
#
# The other one. Then the pixels of a channel are neighbours in memory, and the pixel has to change fastest from thread
# to thread. Coalescing is about the order of memory, and not about pixels or channels.
#
# </details>
#
# <br>
#
# **3.** Why does the count of *32-byte pieces* say more about the time of `scale` than the count of multiplications?
#
# <details><summary>Answer</summary>
#
# For each number it reads 4 bytes, writes 4 bytes, and multiplies once: an eighth of an operation for each byte. That
# is far to the left on the roofline of [page 11](11_five_speeds.ipynb). The time is the time of memory, and memory is
# paid by the piece.
#
# </details>
#
# <br>
#
# **4.** A recorded step reads its batch from a fixed place. What happens if someone hands it a new array each time?
#
# <details><summary>Answer</summary>
#
# The graph would go on reading the old place and train on the same batch again and again, and the loss would fall
# beautifully. So the batch is copied to the fixed place before each start.
#
# </details>
#
# ## Now write it yourself
#
# Exercise 13 is the kernel of this page for whole batches: which picture, pixel and channel belong to thread `t`? It
# runs in the simulator, so it needs no GPU, but the extra: `pip install -e ".[cuda]"`. In a terminal:
#
#     npse exercise start 13
#     npse exercise check 13
#
# ## Next
#
# This was the last page. You have seen the paper's block from the first pixel to the last thread. Go back to
# [page 4](04_scale_and_block.ipynb) and look at the two paths once more: from here they look simple.
