"""The end of an SE block on the device: `gated_join` in one pass, its gradients in two. Letters: as in the book."""

import math

from numba import cuda

from npse import reference as book
from npse.cuda.activation import at_least
from npse.cuda.arrays import pixels, replaces
from npse.cuda.device import BLOCK, empty, empty_like, kernel, launch, scalar
from npse.cuda.walk import over_maps, over_pixels, over_table, place, sum_rows
from npse.reference.arrays import expect


@replaces(book.gated_join)
def gated_join(x, gamma, beta, mean, var, s, r, eps=1e-5):
    expect("gated_join", x=(x, "N H W C"), r=(r, "N H W C"), s=(s, "N C"),
           gamma=(gamma, "C"), beta=(beta, "C"), mean=(mean, "C"), var=(var, "C"))
    y = empty_like(x)
    launch(_gated_join, *over_pixels(x), pixels(x), gamma, beta, mean, var, scalar(eps, x), s, pixels(r), pixels(y))
    return y


@kernel
def _gated_join(x, gamma, beta, mean, var, eps, s, r, y):
    R, C = x.shape[1], x.shape[2]
    n, row, step, c = place(C)
    zero = x.dtype.type(0)
    if c < C:
        centre, gate = mean[c], s[n, c]
        slope, shift = gate * gamma[c] / math.sqrt(var[c] + eps), gate * beta[c]
        for p in range(row, R, step):
            y[n, p, c] = at_least((x[n, p, c] - centre) * slope + shift + r[n, p, c], zero)


@replaces(book.gated_join_backward_s)
def gated_join_backward_s(dy, x, y, gamma, beta, mean, var, eps=1e-5):
    expect("gated_join_backward_s", x=(x, "N H W C"), y=(y, "N H W C"), dy=(dy, "N H W C"),
           gamma=(gamma, "C"), beta=(beta, "C"), mean=(mean, "C"), var=(var, "C"))
    sums = tuple(empty((x.shape[0], x.shape[3]), x.dtype) for _ in range(3))
    launch(_gated_join_backward_s, *over_maps(x), pixels(dy), pixels(x), pixels(y), gamma, beta, mean, var,
           scalar(eps, x), *sums)
    return sums


@kernel
def _gated_join_backward_s(dy, x, y, gamma, beta, mean, var, eps, ds, dgammas, dbetas):
    shared = cuda.shared.array(BLOCK, x.dtype)
    R, C = x.shape[1], x.shape[2]
    n, row, step, c = place(C)
    zero = x.dtype.type(0)
    dgamma = dbeta = zero
    if c < C:
        centre = mean[c]
        for p in range(row, R, step):
            g = dy[n, p, c] if y[n, p, c] > zero else zero
            dgamma += g * (x[n, p, c] - centre)
            dbeta += g
    dgamma = sum_rows(shared, dgamma)
    dbeta = sum_rows(shared, dbeta)
    if c < C and row == 0:
        dgamma /= math.sqrt(var[c] + eps)
        ds[n, c] = gamma[c] * dgamma + beta[c] * dbeta
        dgammas[n, c] = dgamma
        dbetas[n, c] = dbeta


@replaces(book.gated_join_backward)
def gated_join_backward(dy, x, y, s, dz, dgammas, dbetas, means, gamma, mean, var, eps=1e-5):
    expect("gated_join_backward", x=(x, "N H W C"), y=(y, "N H W C"), dy=(dy, "N H W C"), s=(s, "N C"), dz=(dz, "N C"),
           dgammas=(dgammas, "N C"), dbetas=(dbetas, "N C"), means=(means, "N C"),
           gamma=(gamma, "C"), mean=(mean, "C"), var=(var, "C"))
    N, H, W, _ = x.shape
    eps, dgamma, dbeta, dx, dr = scalar(eps, x), empty_like(gamma), empty_like(gamma), empty_like(x), empty_like(x)
    launch(_batch_gradients, *over_table(s), s, dz, dgammas, dbetas, means, mean, var, eps, dgamma, dbeta)
    launch(_input_gradients, *over_pixels(x), pixels(dy), pixels(x), pixels(y), s, dz, gamma, mean, var, eps,
           dgamma, dbeta, scalar(1 / (H * W), x), scalar(1 / (N * H * W), x), pixels(dx), pixels(dr))
    return dx, dgamma, dbeta, dr


@kernel
def _batch_gradients(s, dz, dgammas, dbetas, means, mean, var, eps, dgamma, dbeta):
    shared = cuda.shared.array(BLOCK, s.dtype)
    N, C = s.shape
    _, row, step, c = place(C)
    scaled = shifted = s.dtype.type(0)
    if c < C:
        centre, inverse = mean[c], s.dtype.type(1) / math.sqrt(var[c] + eps)
        for n in range(row, N, step):
            scaled += s[n, c] * dgammas[n, c] + dz[n, c] * ((means[n, c] - centre) * inverse)
            shifted += s[n, c] * dbetas[n, c] + dz[n, c]
    scaled = sum_rows(shared, scaled)
    shifted = sum_rows(shared, shifted)
    if c < C and row == 0:
        dgamma[c] = scaled
        dbeta[c] = shifted


@kernel
def _input_gradients(dy, x, y, s, dz, gamma, mean, var, eps, dgamma, dbeta, share, share_of_batch, dx, dr):
    R, C = x.shape[1], x.shape[2]
    n, row, step, c = place(C)
    zero = x.dtype.type(0)
    if c < C:
        centre, inverse = mean[c], x.dtype.type(1) / math.sqrt(var[c] + eps)
        slope = gamma[c] * inverse
        gate = slope * s[n, c]
        shift = slope * (dz[n, c] * share - dbeta[c] * share_of_batch)
        tilt = slope * inverse * dgamma[c] * share_of_batch
        for p in range(row, R, step):
            g = dy[n, p, c] if y[n, p, c] > zero else zero
            dr[n, p, c] = g
            dx[n, p, c] = gate * g + shift - (x[n, p, c] - centre) * tilt
