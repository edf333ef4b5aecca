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
# # 11 · Five speeds of one convolution, and a sixth
#
# *Squeeze-and-Excitation Networks* ([arXiv 1709.01507](https://arxiv.org/abs/1709.01507)), equation (1) · 40 minutes
#
# [The work](#The-work) ·
# [Python loops](#Python-loops) ·
# [NumPy](#NumPy) ·
# [Patches and one matrix product](#Patches-and-one-matrix-product) ·
# [Compiled loops](#Compiled-loops) ·
# [The register tile](#The-register-tile) ·
# [Fewer products](#Fewer-products) ·
# [First equal, then fast](#First-equal,-then-fast) ·
# [On your machine](#On-your-machine) ·
# [The roofline](#The-roofline) ·
# [Typical mistakes](#Typical-mistakes) ·
# [Questions](#Questions) ·
# [Now write it yourself](#Now-write-it-yourself) ·
# [Next](#Next)
#
# A convolution is one line of mathematics. Written down as loops in Python it is so slow that training would take
# months. On this page the *same sum* is computed six times, each time in another way: loops, NumPy, one large matrix
# product, compiled loops, tiles in registers, and with fewer multiplications. Each is compared with the book before
# anybody looks at a clock.
#
# At the end you will know where the time goes, what your own machine could do at best, and how to measure so that
# you can believe the result.

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
import time

import numpy as np

import npse
from npse.bench import machine_rates
from npse.bench.flops import traffic
from npse.bench.timing import times
from npse.cpu.conv import VARIANTS
from npse.cpu.conv_kernels import loops
from npse.notebook import Play, Source, Worked
from npse.notebook.figures import five_speeds as figures
from npse.reference import conv2d, squeeze
from npse.reference.conv import products

ops = npse.use("cpu")

# %% [markdown]
# ## The work
#
# For every picture $n$, every place $(a, b)$ and every filter $k$ there is one sum over the filter's rows $i$, its
# columns $j$ and the channels $c$. With zeros around $x$ where padding asks for them, written $\tilde{x}$:
#
# $$y[n,a,b,k] = \sum_{i, j, c} \tilde{x}[n,a + i,b + j,c] \ w[i,j,c,k]$$
#
# How much work is that? Count before you measure.
#
# ### With a pencil: operations and bytes
#
# Our example for the whole page: 8 pictures, maps of 16 x 16 pixels, 32 channels in and out, filters of 3 x 3, one
# ring of zeros. The result has
#
# $$R = 8 \cdot 16 \cdot 16 \cdot 32 = 65536$$
#
# numbers. Each is a sum of $3 \cdot 3 \cdot 32 = 288$ products. A multiplication and an addition count as two
# operations:
#
# $$F = 2 \cdot 65536 \cdot 288 = 37748736$$
#
# And the bytes? A number in float32 has 4 of them. $x$ and $y$ have the same size here, and the filters come on top:
#
# $$B = 4 \cdot (65536 + 65536 + 3 \cdot 3 \cdot 32 \cdot 32) = 561152$$
#
# So for each byte there are
#
# $$I = 37748736 / 561152 \approx 67.3$$
#
# operations. This ratio is called the *arithmetic intensity*. It is high. A convolution can keep a processor busy with
# arithmetic, if each number, once it is there, is used often. All that follows is about this *if*.

# %%
rng = np.random.default_rng(0)
x = rng.standard_normal((8, 16, 16, 32), np.float32)
w = rng.standard_normal((3, 3, 32, 32), np.float32)
PADDING = 1
y = conv2d(x, w, padding=PADDING)

operations, size = products(y.shape, w.shape), traffic((x, w), y)
worked = Worked({"R": y.size, "F": operations, "B": size, "I": operations / size})
worked

# %% [markdown]
# ## Python loops
#
# The formula has seven indices, so there are seven loops. Nothing could be closer to the mathematics:


# %%
def python_loops(x, w):
    """Convolve without padding, one multiplication at a time."""
    N, H, W, C = x.shape
    kh, kw, _, K = w.shape
    y = np.zeros((N, H - kh + 1, W - kw + 1, K), x.dtype)
    for n in range(N):
        for a in range(y.shape[1]):
            for b in range(y.shape[2]):
                for k in range(K):
                    for i in range(kh):
                        for j in range(kw):
                            for c in range(C):
                                product = x[n, a + i, b + j, c] * w[i, j, c, k]
                                y[n, a, b, k] += product
    return y


# %% [markdown]
# For each of the 18.9 million products Python looks up names, builds two tuples of indices, makes objects for two
# numbers, asks their types what `*` means, and throws the objects away. The multiplication itself is the least of it.
#
# ## NumPy
#
# The book moves the two short loops, over the 3 x 3 taps, to the outside, and gives everything else to NumPy at once.
# Each tap is a matrix product of a shifted view of $x$ with a matrix of the filter:

# %%
Source(conv2d)

# %% [markdown]
# Nine calls in place of 18.9 million. This is still readable, and it is fast enough to check gradients with. But each
# of the nine passes reads the whole of $x$ and reads and writes the whole of $y$. The numbers are loaded nine times.
#
# ## Patches and one matrix product
#
# Processors are at their best in one thing: a large matrix product. So let us turn the convolution into one. Write
# each window of $x$ as a row of a matrix. Then all sums together are that matrix times the filters. The trick is known
# as
# *im2col*:

# %%
Play(figures.im2col, row=(0, 0, 3))

# %% [markdown]
# (Move `row`.) With $c$ channels a row has $9 c$ numbers, and with $k$ filters the column becomes a matrix of $k$
# columns. The price is visible: most numbers of $x$ are *copied nine times*. So npse writes patches for a few rows of
# the map at a time, multiplies them while they are still in the cache, and forgets them.
#
# ## Compiled loops
#
# Back to the loops; but now Numba translates them to machine code when they are first called. These are the shipped
# ones. They are the same seven loops, with the last one over the filters $k$, since in `y` and in `w` these lie next
# to each other in memory:

# %%
seven_loops = getattr(loops._forward, "py_func", loops._forward)
Source(seven_loops)

# %% [markdown]
# No objects, no look-ups. What remains slow is memory: for *every single product* `y` is loaded and stored again,
# because the compiler cannot be sure that nobody else is looking at it.
#
# ## The register tile
#
# A register is the one place where numbers can be reached without waiting. A processor has 16 or 32 registers for
# vectors, and a vector holds 4, 8 or 16 numbers. So: let a small block of results, a *tile*, live in registers while
# all their 288 products are summed up, and store it once at the end. That alone removes the loads and stores of `y`.
# And something else happens. In the tile each number of $x$ meets each vector of filters:

# %%
Play(figures.tile, pixels=(6, 1, 12), vectors=(2, 1, 4))

# %% [markdown]
# ### With a pencil: what a tile saves
#
# One product at a time needs two loads, one of $x$ and one of $w$:
#
# $$L_1 = \frac{1 + 1}{1 \cdot 1} = 2$$
#
# loads for each multiply-add. A tile of 6 pixels and 2 vectors loads 6 + 2 things and does 12 multiply-adds with them:
#
# $$L_2 = \frac{6 + 2}{6 \cdot 2} = \frac{8}{12} \approx 0.67$$
#
# A third. A larger tile would be better still, but all sums, and the filters that are being used, have to fit into the
# registers; otherwise they are moved to memory and back, and the gain is lost. With 6 pixels and 2 vectors that takes
#
# $$r = 6 \cdot 2 + 2 + 1 = 15$$
#
# registers: just right if there are 16.

# %%
worked = Worked({
    "L_1": figures.loads(1, 1), "L_2": figures.loads(6, 2), "r": 6 * 2 + 2 + 1,
})
worked

# %% [markdown]
# ## Fewer products
#
# All five versions so far do the same 18.9 million multiplications. The sixth does about a quarter of them. Here is
# the idea in one dimension.
#
# ### With a pencil: four products in place of six
#
# A filter $g$ of three numbers is applied at two places of four numbers $d$. By the formula that takes six products:
#
# $$y_1 = d_1 g_1 + d_2 g_2 + d_3 g_3 \qquad y_2 = d_2 g_1 + d_3 g_2 + d_4 g_3$$
#
# Shmuel Winograd's way takes four, with $d = (1, 2, 3, 5)$ and $g = (2, 1, 3)$:
#
# $$m_1 = (d_1 - d_3) \ g_1 = (1 - 3) \cdot 2 = -4$$
#
# $$m_2 = (d_2 + d_3) \cdot \frac{g_1 + g_2 + g_3}{2} = 5 \cdot 3 = 15$$
#
# $$m_3 = (d_3 - d_2) \cdot \frac{g_1 - g_2 + g_3}{2} = 1 \cdot 2 = 2$$
#
# $$m_4 = (d_2 - d_4) \ g_3 = (2 - 5) \cdot 3 = -9$$
#
# The fractions with $g$ are computed once for the whole map, so they do not count. And now
#
# $$y_1 = m_1 + m_2 + m_3 = -4 + 15 + 2 = 13 \qquad y_2 = m_2 - m_3 - m_4 = 15 - 2 + 9 = 22$$
#
# Check by the formula: $1 \cdot 2 + 2 \cdot 1 + 3 \cdot 3 = 13$ and $2 \cdot 2 + 3 \cdot 1 + 5 \cdot 3 = 22$.

# %%
d, g = np.array([1.0, 2.0, 3.0, 5.0]), np.array([2.0, 1.0, 3.0])
y1, y2 = conv2d(d.reshape(1, 1, 4, 1), g.reshape(1, 3, 1, 1))[0, 0, :, 0]
worked = Worked({
    "d": d, "g": g,
    "m_1": (d[0] - d[2]) * g[0], "m_2": (d[1] + d[2]) * g.sum() / 2,
    "m_3": (d[2] - d[1]) * (g[0] - g[1] + g[2]) / 2, "m_4": (d[1] - d[3]) * g[2],
    "y_1": y1, "y_2": y2,
})
worked

# %% [markdown]
# ### In two dimensions
#
# Rows first, then columns: $4 \cdot 4 = 16$ products in place of $6 \cdot 6 = 36$. npse takes larger pieces, squares
# of 4 x 4 results from windows of 6 x 6: 36 products where the formula has 144, a quarter. Between the products there
# are additions, many of them, and they are cheap only if they are shared by many channels.
#
# It has a price. Sums and differences of numbers of different size lose digits. We shall measure how many.

# %% [markdown]
# ## First equal, then fast
#
# A wrong result can be had in no time at all. So first, all of them against the book. The seven loops in Python get a
# tiny piece of the work, since nobody wants to wait for the rest:

# %% tags=["varies"]
versions = {
    "NumPy": conv2d,
    "im2col": VARIANTS["matrix"].conv2d,
    "compiled loops": VARIANTS["loops"].conv2d,
    "register tile": VARIANTS["tile"].conv2d,
    "Winograd": VARIANTS["winograd"].conv2d,
}


def error_of(result, truth):
    return np.abs(result - truth).max() / np.abs(truth).max()


exact = conv2d(x.astype(float), w.astype(float), padding=PADDING)
piece = x[:1, :4, :4]
truth = conv2d(piece.astype(float), w.astype(float))
error = error_of(python_loops(piece, w), truth)
print(f"{'Python loops':15s} largest error {error:.1e}")
assert error < 1e-5

first_call = {}
for name, function in versions.items():
    began = time.perf_counter()
    result = function(x, w, padding=PADDING)
    first_call[name] = time.perf_counter() - began
    error = error_of(result, exact)
    print(f"{name:15s} largest error {error:.1e}")
    assert error < 1e-5

# %% [markdown]
# The truth here is the book in float64, and the error is relative to the largest result. The first five versions add
# the same products, in different orders, so they differ in the last digits. Winograd's loses more, as announced, and
# with more channels still more. For training networks that is still far below what one sees. For a gradient check it
# would be too much, which is why npse checks in float64, where `winograd` is not used.

# %% [markdown]
# ## On your machine
#
# Now the clock. `times` calls a function once without measuring, then several times, and we take the median. The loops
# in Python are timed on their small piece, and the time is scaled to the whole:

# %% tags=["varies"]
seconds = {}
piece_share = products((1, 2, 2, 32), w.shape) / operations
slow = min(times(lambda: python_loops(piece, w), 0, least=1)) / piece_share
seconds["Python loops"] = slow
for name, function in versions.items():
    taken = times(lambda f=function: f(x, w, padding=PADDING), 0.1, least=5)
    seconds[name] = np.median(taken)

gflops = {name: 1e-9 * operations / s for name, s in seconds.items()}
print(f"{ops.get_threads()} threads")
print("                 milliseconds   GFLOP/s   times as fast as Python loops")
for name, s in seconds.items():
    print(f"{name:15s} {1e3 * s:13.2f} {gflops[name]:9.3g} {slow / s:14,.0f}")

# %%
figures.rates(gflops)

# %% [markdown]
# (The committed numbers come from a shared machine with other work on it. They tell the story, and nothing else. Run
# the cell; on a quiet machine the numbers are larger and steadier.)
#
# Three things should hold on your machine as well. Python loops are slower than all others by a factor of hundreds, or
# of many thousands. Compiled loops alone are not the end: NumPy and im2col hand the work to a matrix product that
# keeps its sums in registers, and that may well beat them. So does the tile. And the order of the fast ones changes
# with the size of the maps, so npse does not believe in one winner: it chooses for each shape, by a rule that was
# measured. `npse bench` shows it for all shapes of a network.

# %% [markdown]
# ## The roofline
#
# How far is it to the end? Two limits cannot be passed. Arithmetic: no program does more operations a second than the
# best matrix product on this machine. Memory: no program uses numbers faster than they arrive. A formula with
# intensity $I$ can therefore reach at most the smaller one of *peak* and $I$ times *bandwidth*. Drawn over $I$ this
# looks like a roof:

# %% tags=["varies"]
rates = machine_rates.measure(threads=ops.get_threads(), seconds=0.5)
print(f"matrix product  {rates['sgemm_gflops']:6.0f} GFLOP/s")
print(f"copy, in cache  {rates['copy_cache_gbs']:6.0f} GB/s")
print(f"copy, in memory {rates['copy_memory_gbs']:6.0f} GB/s")

# %%
figures.roofline(gflops, operations / size, rates)

# %% [markdown]
# All six marks stand above each other, for it is one formula with one intensity, and that lies right of the edge of
# the roof on usual machines: here arithmetic is the limit, not memory. What was between the marks and the roof was
# never the mathematics. It was how the numbers travel.
#
# Two remarks. The marks count the operations *of the formula*. Winograd does fewer, so it may lie nearer to the roof
# than it has any right to, even above. (If others stand above it, something else was running while the roof was
# measured.) And a squeeze, which reads each number once and adds it once, has an intensity
# of about a quarter: it stands far to the left, under the slope. No clever kernel helps there. It is better not to
# read the maps once more at all; that is why npse sums them up in the convolution that makes them.

# %% [markdown]
# ## Typical mistakes
#
# ### The first call
#
# The first call of a compiled function may compile it, or load it from disk; it also touches memory for the first
# time. Here is what the very first call took above, and the usual one:

# %% tags=["varies"]
for name, s in first_call.items():
    usual = seconds[name]
    print(f"{name:15s} first {1e3 * s:9.1f} ms   usual {1e3 * usual:7.2f} ms")

# %% [markdown]
# ### One measurement
#
# Other programs use the machine, too. One call, timed once, says little. Twenty calls of the same function with the
# same numbers:

# %% tags=["varies"]
tile = versions["register tile"]
taken = 1e3 * np.array(times(lambda: tile(x, w, padding=PADDING), 0, least=20))
print(f"fastest {taken.min():.2f} ms, median {np.median(taken):.2f} ms, "
      f"slowest {taken.max():.2f} ms")

# %% [markdown]
# Take the median for "what does it usually cost", the fastest for "what can the code do". Never compare one call of A
# with one call of B. And measure A and B in turns, since a machine has good and bad minutes.
#
# ### Fast and wrong
#
# Somebody "optimizes" the book by leaving out the last tap of the filter, by an index that ends one too early. It is
# one ninth less work, and no error is raised:


# %%
def one_tap_less(x, w):
    w = w.copy()
    w[2, 2] = 0
    return conv2d(x, w, padding=PADDING)


print(f"largest error {error_of(one_tap_less(x, w), exact):.0%}")

# %% [markdown]
# A network would even train with it, on filters of eight taps. Compare first, then measure.
#
# ### Twice the bytes
#
# `np.random.default_rng().normal(...)` gives float64. Everything still works, with half as many numbers in each vector
# and twice the traffic; and the version that needs float32 says so:

# %%
try:
    VARIANTS["winograd"].conv2d(x.astype(float), w.astype(float), padding=PADDING)
except ValueError as problem:
    print(str(problem).split(";")[0])

# %% [markdown]
# ## Questions
#
# **1.** What is the intensity of a convolution with filters of 1 x 1 and the same maps, and is it still limited by
# arithmetic?
#
# <details><summary>Answer</summary>
#
# A ninth of the operations: 4194304. The bytes are $4 \cdot (65536 + 65536 + 1024) = 528384$. That makes 7.9
# operations for each byte. Multiply by the bandwidth of your memory and compare with the peak: on many machines the
# slope is now the lower one, unless the maps are still in the cache.
#
# </details>
#
# <br>
#
# **2.** im2col copies every number nine times. Why is it fast nevertheless?
#
# <details><summary>Answer</summary>
#
# The copies are made for a few rows at a time and are read again at once, while they are in the cache, where reading
# and writing is cheap. And what follows is a matrix product by a library in which people have put decades of work.
#
# </details>
#
# <br>
#
# **3.** A tile of 12 pixels and 4 vectors has the fewest loads in the picture. Why does nobody use it?
#
# <details><summary>Answer</summary>
#
# It needs $12 \cdot 4 + 4 + 1 = 53$ vector registers. No common processor has more than 32. The sums that find no
# place are moved to memory and back in every round, which is what the tile was meant to avoid.
#
# </details>
#
# <br>
#
# **4.** A colleague reports that their kernel does 120 % of the peak of the machine. Must it be a mistake?
#
# <details><summary>Answer</summary>
#
# No. If they count the operations of the formula and their algorithm does fewer, as Winograd's, the rate can exceed
# the roof. Or their "peak" was measured carelessly, by a matrix product that had other work beside it. Ask for both.
#
# </details>
#
# ## Now write it yourself
#
# Exercise 12 is a kernel of your own: the squeeze as loops that Numba compiles. The check compares the values, then
# the time. The book's version, to beat:

# %%
Source(squeeze)

# %% [markdown]
# In a terminal:
#
#     npse exercise start 12
#     npse exercise check 12
#
# ## Next
#
# A processor has a few cores, each with a few registers. A graphics processor has thousands of threads.
# [Page 12](12_cuda.ipynb) writes a kernel for one of them, and needs no graphics processor for it.
