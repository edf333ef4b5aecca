"""SimAM on the device: a block takes some channels of a map, in one launch for all passes. Letters: as in the book."""

from numba import cuda

from npse import reference as book
from npse.cuda.activation import logistic
from npse.cuda.runtime.arrays import area, flat, replaces
from npse.cuda.runtime.block_reduce import sum_rows
from npse.cuda.runtime.device import BLOCK_THREADS, device_function, empty_like, kernel, launch, scalar
from npse.cuda.runtime.grid_stride import grid_for_maps, thread_map


@replaces(book.simam)
def simam(u, lam=1e-4):
    y = empty_like(u)
    launch(_simam, *grid_for_maps(u), flat(u), area(u), u.shape[3], *_shares(u), scalar(lam, u), flat(y))
    return y


@kernel
def _simam(u, R, C, share, share_of_variance, lam, y):
    shared = cuda.shared.array(BLOCK_THREADS, u.dtype)
    half, one = u.dtype.type(0.5), u.dtype.type(1)
    _, _, k, end, step = thread_map(R, C)
    mean, q = _statistics(shared, u, k, end, step, share, share_of_variance, lam)
    while k < end:
        d = u[k] - mean
        y[k] = u[k] * logistic(d * d / q + half, one)
        k += step


@replaces(book.simam_backward)
def simam_backward(dy, u, lam=1e-4):
    du = empty_like(u)
    launch(_simam_backward, *grid_for_maps(u), flat(dy), flat(u), area(u), u.shape[3], *_shares(u), scalar(lam, u),
           flat(du))
    return du


@kernel
def _simam_backward(dy, u, R, C, share, share_of_variance, lam, du):
    """Write du = dy * s + 2 d (de/q + k) - 2/R * sum of de * d/q, with k = -4/(R - 1) * sum of de * d^2/q^2."""
    shared = cuda.shared.array(BLOCK_THREADS, u.dtype)
    half, one, two, four = u.dtype.type(0.5), u.dtype.type(1), u.dtype.type(2), u.dtype.type(4)
    _, _, k, end, step = thread_map(R, C)
    mean, q = _statistics(shared, u, k, end, step, share, share_of_variance, lam)
    first_moment = second_moment = u.dtype.type(0)
    for i in range(k, end, step):
        d = u[i] - mean
        s = logistic(d * d / q + half, one)
        product = dy[i] * u[i] * s * (one - s) * d
        first_moment += product
        second_moment += product * d
    center = two * share * sum_rows(shared, first_moment) / q
    slope = four * share_of_variance * sum_rows(shared, second_moment) / (q * q)
    while k < end:
        d = u[k] - mean
        s = logistic(d * d / q + half, one)
        g = dy[k]
        du[k] = g * s + two * d * (g * u[k] * s * (one - s) / q - slope) - center
        k += step


@device_function
def _statistics(shared, u, first, end, step, share, share_of_variance, lam):
    """Return the mean of this thread's channel, and q = 4 (v + lam). All threads of the block must call."""
    total = u.dtype.type(0)
    for k in range(first, end, step):
        total += u[k]
    mean = sum_rows(shared, total) * share
    total = u.dtype.type(0)
    for k in range(first, end, step):
        total += (u[k] - mean) * (u[k] - mean)
    return mean, u.dtype.type(4) * (sum_rows(shared, total) * share_of_variance + lam)


def _shares(u):
    """Return 1/R and 1/(R - 1) for maps of R pixels; 1/(R - 1) is 1 for a map of one pixel."""
    return scalar(1 / area(u), u), scalar(1 / max(area(u) - 1, 1), u)
