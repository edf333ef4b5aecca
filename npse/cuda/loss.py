"""Softmax and cross-entropy on the device: `LANES` threads, on a GPU one warp, for each row of scores.

Labels are NumPy integers or device integers. NumPy labels are checked as in the book. Device labels are not checked,
because that would wait for the device: a label outside 0..K-1 makes the loss NaN. The kernels never use a label as an
index. Letters: as in the book.
"""

import math

import numpy as np
from numba import cuda

from npse import reference as book
from npse.cuda.runtime.arrays import replaces
from npse.cuda.runtime.block_reduce import max_lanes, sum_lanes
from npse.cuda.runtime.device import (
    BLOCK_THREADS,
    device_function,
    empty,
    empty_like,
    is_device_array,
    kernel,
    launch,
    scalar,
    to_device,
    to_host,
)
from npse.cuda.runtime.grid_stride import LANES, grid_for_lists, row_of_warp
from npse.cuda.se import squeeze


@replaces(book.softmax)
def softmax(logits):
    p = empty_like(logits)
    launch(_softmax, *grid_for_lists(logits), logits, p)
    return p


@kernel
def _softmax(logits, p):
    shared = cuda.shared.array(BLOCK_THREADS, logits.dtype)
    N, K = logits.shape
    n = row_of_warp()
    highest, total = _highest_and_total(shared, logits, min(n, N - 1), logits.dtype.type(0))
    if n < N:
        for k in range(cuda.threadIdx.x, K, LANES):
            p[n, k] = math.exp(logits[n, k] - highest) / total


@replaces(book.softmax_backward)
def softmax_backward(dp, p):
    dlogits = empty_like(p)
    launch(_softmax_backward, *grid_for_lists(p), dp, p, dlogits)
    return dlogits


@kernel
def _softmax_backward(dp, p, dlogits):
    shared = cuda.shared.array(BLOCK_THREADS, p.dtype)
    N, K = p.shape
    n = row_of_warp()
    total = p.dtype.type(0)
    if n < N:
        for k in range(cuda.threadIdx.x, K, LANES):
            total += dp[n, k] * p[n, k]
    total = sum_lanes(shared, total)
    if n < N:
        for k in range(cuda.threadIdx.x, K, LANES):
            dlogits[n, k] = p[n, k] * (dp[n, k] - total)


@replaces(book.softmax_cross_entropy)
def softmax_cross_entropy(logits, labels, smoothing=0.0):
    labels, aim, spread = _aims(logits, labels, smoothing)
    losses = empty(labels.shape, logits.dtype)
    launch(_cross_entropy, *grid_for_lists(logits), logits, labels, aim, spread, losses)
    return squeeze(losses.reshape(1, losses.size, 1, 1)).reshape(())


@kernel
def _cross_entropy(logits, labels, aim, spread, losses):
    shared = cuda.shared.array(BLOCK_THREADS, logits.dtype)
    N, K = logits.shape
    n = row_of_warp()
    here, zero = min(n, N - 1), logits.dtype.type(0)
    label = np.int64(labels[here])
    highest, total = _highest_and_total(shared, logits, here, zero)
    log_total = math.log(total)
    all_logp = label_logp = zero
    for k in range(cuda.threadIdx.x, K, LANES):
        logp = logits[here, k] - highest - log_total
        all_logp += logp
        if k == label:
            label_logp = logp
    all_logp = sum_lanes(shared, all_logp)
    label_logp = sum_lanes(shared, label_logp)
    if n < N and cuda.threadIdx.x == 0:
        known = 0 <= label < K
        losses[n] = -(aim * label_logp + spread * all_logp) if known else logits.dtype.type(math.nan)


@replaces(book.softmax_cross_entropy_backward)
def softmax_cross_entropy_backward(dloss, logits, labels, smoothing=0.0):
    labels, aim, spread = _aims(logits, labels, smoothing)
    dlogits = empty_like(logits)
    launch(_cross_entropy_backward, *grid_for_lists(logits), scalar(to_host(dloss) / logits.shape[0], logits),
           logits, labels, aim, spread, dlogits)
    return dlogits


@kernel
def _cross_entropy_backward(share, logits, labels, aim, spread, dlogits):
    shared = cuda.shared.array(BLOCK_THREADS, logits.dtype)
    N, K = logits.shape
    n = row_of_warp()
    here = min(n, N - 1)
    label = np.int64(labels[here])
    highest, total = _highest_and_total(shared, logits, here, logits.dtype.type(0))
    if n < N:
        for k in range(cuda.threadIdx.x, K, LANES):
            q = spread + aim if k == label else spread
            dlogits[n, k] = share * (math.exp(logits[n, k] - highest) / total - q)


@device_function
def _highest_and_total(shared, logits, n, zero):
    """Return the highest score of row n, and the sum of exp(score - highest). All threads of the block must call."""
    highest = logits[n, 0]
    for k in range(cuda.threadIdx.x, logits.shape[1], LANES):
        highest = max(highest, logits[n, k])
    highest = max_lanes(shared, highest)
    total = zero
    for k in range(cuda.threadIdx.x, logits.shape[1], LANES):
        total += math.exp(logits[n, k] - highest)
    return highest, sum_lanes(shared, total)


def _aims(logits, labels, smoothing):
    """Return the labels on the device, and two numbers ``aim`` and ``spread``: the target is ``spread`` for each class,
    and ``spread + aim`` for the class of the label.
    """
    labels = to_device(labels if is_device_array(labels) else labels.astype(np.int32))
    return labels, scalar(1 - smoothing, logits), scalar(smoothing / logits.shape[1], logits)
