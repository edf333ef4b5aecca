"""Batch normalization on the device, in three kernels: sums over each map, sums over the batch, a pass over all pixels.

    forward    read x, write statistics of each map   | add them over the batch | read x, write y
    backward   read dy and x, write sums of each map  | add them over the batch | read dy and x, write dx

Each sum adds many short sums, which is more accurate than one long sum. A thread computes the values for its channel,
or for its vector of channels, such as the slope, once. Letters: as in the book.
"""

import functools

import numpy as np
from numba import cuda

from npse import reference as book
from npse.cuda.activation import at_least
from npse.cuda.runtime.arrays import area, flat, replaces
from npse.cuda.runtime.block_reduce import sum_rows
from npse.cuda.runtime.device import BLOCK_THREADS, device_function, empty, empty_like, kernel, launch, scalar
from npse.cuda.runtime.grid_stride import (
    column,
    grid_for_elements,
    grid_for_maps,
    grid_for_pixels,
    grid_for_table,
    grid_stride,
    thread_map,
)
from npse.cuda.runtime.vectors import launch_over_maps, sqrt, where


@replaces(book.batch_norm)
def batch_norm(x, gamma, beta, eps=1e-5):
    mean, var, _ = statistics(x)
    return normalize(x, gamma, beta, mean, var, eps, -np.inf), mean, var


@replaces(book.batch_norm_backward)
def batch_norm_backward(dy, x, gamma, mean, var, eps=1e-5):
    return gradients(dy, x, gamma, gamma, mean, var, eps, relu=False)       # beta is not used without a ReLU


@replaces(book.moments)
def moments(x):
    return statistics(x)


@replaces(book.batch_norm_inference)
def batch_norm_inference(x, gamma, beta, running_mean, running_var, eps=1e-5):
    return normalize(x, gamma, beta, running_mean, running_var, eps, -np.inf)


@replaces(book.batch_norm_inference_backward)
def batch_norm_inference_backward(dy, x, gamma, running_mean, running_var, eps=1e-5):
    dx, dgammas, dbetas = empty_like(x), *_two_tables(x)
    launch_over_maps(_inference_gradients, grid_for_maps, dy, x, area(x), gamma, running_mean, running_var,
                     scalar(eps, x), dx, dgammas, dbetas)
    return dx, *add_images(dgammas, dbetas)


@kernel
def _inference_gradients(dy, x, R, gamma, mean, var, eps, dx, dgammas, dbetas):
    shared = cuda.shared.array(BLOCK_THREADS, x.dtype)
    n, c, k, end, step = thread_map(R, gamma.size)
    inverse = dgamma = dbeta = x.dtype.type(0)
    if c < gamma.size:
        centre, inverse = mean[c], x.dtype.type(1) / sqrt(var[c] + eps)
        slope = gamma[c] * inverse
        while k < end:
            g = dy[k]
            dgamma += g * (x[k] - centre)
            dbeta += g
            dx[k] = g * slope
            k += step
    dgamma = sum_rows(shared, dgamma)
    dbeta = sum_rows(shared, dbeta)
    if c < gamma.size and cuda.threadIdx.y == 0:
        dgammas[n, c] = dgamma * inverse
        dbetas[n, c] = dbeta


@replaces(book.running_statistics)
def running_statistics(mean, var, count, running_mean, running_var, momentum=0.1):
    new_mean, new_var = empty_like(running_mean), empty_like(running_var)
    launch(_running_statistics, *grid_for_elements(mean), mean, var, running_mean, running_var,
           scalar(momentum, mean), scalar(1 - momentum, mean), scalar(count / (count - 1), mean), new_mean, new_var)
    return new_mean, new_var


@device_function
def average(running, of_batch, rest, momentum):
    """Return a running average, moved towards the value of a batch; ``rest`` is 1 - momentum."""
    return rest * running + momentum * of_batch


@kernel
def _running_statistics(mean, var, running_mean, running_var, momentum, rest, unbiased, new_mean, new_var):
    k, end, step = grid_stride(mean.size)
    while k < end:
        new_mean[k] = average(running_mean[k], mean[k], rest, momentum)
        new_var[k] = average(running_var[k], var[k] * unbiased, rest, momentum)
        k += step


def statistics(x):
    """Compute the statistics of x (N, H, W, C) in one pass over memory.

    A thread has k pixels of one channel of a map. It sums the distances d = pixel - p from its first pixel p, and the
    squares of the distances. From these it computes the sum of squares about the mean of its pixels. As p is one of
    the pixels, (p - mean)^2 is at most k times their variance, so this step loses at most a factor k of accuracy. Sums
    of squares about the means of parts then give the sum of squares about the mean of all. This is done for the threads
    of a map, and again for the maps of the batch:

        squares of all = sum over parts of  squares + count * (mean of the part - mean of all)^2

    The means of the threads are taken as distances from the first pixel of the map. So values far from zero do not lose
    accuracy here either.

    Returns
    -------
    mean, var : (C,)
        Mean and biased variance of each channel over the batch.
    means : (N, C)
        Mean of each channel over each map.
    """
    N, R, C = x.shape[0], area(x), x.shape[3]
    means, squares = _two_tables(x)
    launch_over_maps(_map_statistics, grid_for_maps, x, R, scalar(1 / R, x), means, squares)
    mean, var = empty((C,), x.dtype), empty((C,), x.dtype)
    launch(_batch_statistics, *grid_for_table(means), flat(means), flat(squares), N, scalar(R, x), scalar(1 / N, x),
           scalar(1 / (N * R), x), mean, var)
    return mean, var, means


@kernel
def _map_statistics(x, R, share, means, squares):
    shared = cuda.shared.array(BLOCK_THREADS, x.dtype)
    n, c, first, end, step = thread_map(R, means.shape[1])
    total = square = own = count = origin = x.dtype.type(0)
    if c < means.shape[1]:
        origin, pivot = x[n * R * means.shape[1] + c], x[first]
        for k in range(first, end, step):
            d = x[k] - pivot
            total += d
            square += d * d
        count = x.dtype.type((R - cuda.threadIdx.y + cuda.blockDim.y - 1) // cuda.blockDim.y)
        own = pivot - origin + total / count
        square -= total * (total / count)
    mean = sum_rows(shared, own * count) * share
    square = sum_rows(shared, square + count * (own - mean) * (own - mean))
    if c < means.shape[1] and cuda.threadIdx.y == 0:
        means[n, c] = origin + mean
        squares[n, c] = square


@kernel
def _batch_statistics(means, squares, N, R, share, share_of_pixels, mean, var):
    shared = cuda.shared.array(BLOCK_THREADS, means.dtype)
    c, first, end, step = column(N, mean.size)
    total = square = means.dtype.type(0)
    for k in range(first, end, step):
        total += means[k]
    centre = sum_rows(shared, total) * share
    for k in range(first, end, step):
        d = means[k] - centre
        square += squares[k] + R * d * d
    square = sum_rows(shared, square)
    if c < mean.size and cuda.threadIdx.y == 0:
        mean[c] = centre
        var[c] = square * share_of_pixels


def normalize(x, gamma, beta, mean, var, eps, floor):
    """Return y = max(gamma * (x - mean) / sqrt(var + eps) + beta, floor), shaped like x (N, H, W, C)."""
    y = empty_like(x)
    launch_over_maps(_normalize, grid_for_pixels, x, area(x), gamma, beta, mean, var, scalar(eps, x), scalar(floor, x),
                     y)
    return y


@kernel
def _normalize(x, R, gamma, beta, mean, var, eps, floor, y):
    _, c, k, end, step = thread_map(R, gamma.size)
    if c < gamma.size:
        centre, shift = mean[c], beta[c]
        slope = gamma[c] / sqrt(var[c] + eps)
        while k < end:
            y[k] = at_least((x[k] - centre) * slope + shift, floor)
            k += step


def gradients(dy, x, gamma, beta, mean, var, eps, relu):
    """Return dx (N, H, W, C), dgamma (C,), dbeta (C,) of batch norm; if ``relu``, of batch norm followed by a ReLU."""
    dgamma, dbeta = sums(dy, x, gamma, beta, mean, var, eps, relu)
    count = x.size // x.shape[3]
    return input_gradient(dy, x, gamma, beta, mean, var, dgamma, dbeta, count, eps, relu), dgamma, dbeta


def sums(dy, x, gamma, beta, mean, var, eps, relu):
    """Return dgamma and dbeta (C,): the sums of g * xhat and of g, where g is dy with the mask of the ReLU."""
    dgammas, dbetas = _two_tables(x)
    launch_over_maps(_map_sums(relu), grid_for_maps, dy, x, area(x), gamma, beta, mean, var, scalar(eps, x), dgammas,
                     dbetas)
    return add_images(dgammas, dbetas)


def input_gradient(dy, x, gamma, beta, mean, var, dgamma, dbeta, count, eps, relu):
    """Return dx (N, H, W, C), from the sums over a batch with ``count`` numbers a channel."""
    dx = empty_like(x)
    launch_over_maps(_input_gradient(relu), grid_for_pixels, dy, x, area(x), gamma, beta, mean, var, scalar(eps, x),
                     dgamma, dbeta, scalar(1 / count, x), dx)
    return dx


@functools.cache
def _map_sums(relu):
    @kernel
    def map_sums(dy, x, R, gamma, beta, mean, var, eps, dgammas, dbetas):
        shared = cuda.shared.array(BLOCK_THREADS, x.dtype)
        n, c, first, end, step = thread_map(R, gamma.size)
        zero = x.dtype.type(0)
        inverse = dgamma = dbeta = zero
        if c < gamma.size:
            centre, shift = mean[c], beta[c]
            deviation = sqrt(var[c] + eps)
            slope, inverse = gamma[c] / deviation, x.dtype.type(1) / deviation
            for k in range(first, end, step):
                g, d = dy[k], x[k] - centre
                if relu:
                    g = where(d * slope + shift > zero, g, zero)
                dgamma += g * d
                dbeta += g
        dgamma = sum_rows(shared, dgamma)
        dbeta = sum_rows(shared, dbeta)
        if c < gamma.size and cuda.threadIdx.y == 0:
            dgammas[n, c] = dgamma * inverse
            dbetas[n, c] = dbeta
    return map_sums


@functools.cache
def _input_gradient(relu):
    @kernel
    def input_gradient(dy, x, R, gamma, beta, mean, var, eps, dgamma, dbeta, share, dx):
        _, c, k, end, step = thread_map(R, gamma.size)
        zero = x.dtype.type(0)
        if c < gamma.size:
            centre, shift = mean[c], beta[c]
            deviation = sqrt(var[c] + eps)
            slope, inverse = gamma[c] / deviation, x.dtype.type(1) / deviation
            constant, tilt = dbeta[c] * share, inverse * dgamma[c] * share
            while k < end:
                g, d = dy[k], x[k] - centre
                if relu:
                    g = where(d * slope + shift > zero, g, zero)
                dx[k] = slope * (g - constant - d * tilt)
                k += step
    return input_gradient


def add_images(a, b):
    """Sum two tables (N, C) over the images. Return two arrays (C,)."""
    sums = empty(a.shape[1:], a.dtype), empty(a.shape[1:], a.dtype)
    launch(_add_images, *grid_for_table(a), flat(a), flat(b), len(a), *sums)
    return sums


@kernel
def _add_images(a, b, N, sum_a, sum_b):
    shared = cuda.shared.array(BLOCK_THREADS, a.dtype)
    c, first, end, step = column(N, sum_a.size)
    total_a = total_b = a.dtype.type(0)
    for k in range(first, end, step):
        total_a += a[k]
        total_b += b[k]
    total_a = sum_rows(shared, total_a)
    total_b = sum_rows(shared, total_b)
    if c < sum_a.size and cuda.threadIdx.y == 0:
        sum_a[c] = total_a
        sum_b[c] = total_b


def _two_tables(x):
    shape = x.shape[0], x.shape[3]
    return empty(shape, x.dtype), empty(shape, x.dtype)
