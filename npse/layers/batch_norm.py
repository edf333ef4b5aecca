"""Batch norm, alone and with the ReLU after it, with the statistics of one process or of several."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from npse.backend import reshape, updates_in_place
from npse.layers.basic import Conv2d, expect_sizes
from npse.layers.layer import Layer, active
from npse.types import Array, Backward, Gradients, Op, Ops, Peers


class BatchNorm(Layer):
    """Batch normalization over (N, H, W), with the statistics of the batch in training, else with running ones.

    Parameters
    ----------
    channels : int
    eps : float
        Is added to the variance.
    scale : bool
        If False, the scale gamma stays one: it is a buffer in place of a parameter.

    Attributes
    ----------
    momentum : float
        The weight of a batch in the running statistics.
    peers : Peers or None
        The processes over whose parts of a batch the statistics are taken in training; None: of this process alone.
    noted : list or None
        Takes the updates of the running statistics that are made later; see `statistics_together`.
    """

    peers: Peers | None = None
    noted: list[tuple[Any, ...]] | None = None

    def __init__(self, channels: int, eps: float = 1e-5, scale: bool = True) -> None:
        expect_sizes("BatchNorm", channels=channels)
        self.eps, self.momentum = eps, 0.1
        gamma = {"weight": np.ones(channels, np.float32)}
        parameters = {"bias": np.zeros(channels, np.float32)}
        buffers = {"running_mean": np.zeros(channels, np.float32), "running_var": np.ones(channels, np.float32)}
        super().__init__(gamma | parameters if scale else parameters, buffers if scale else gamma | buffers)

    @property
    def gamma(self) -> Array:
        """The scale of each channel (C,)."""
        return self.parameters["weight"] if "weight" in self.parameters else self.buffers["weight"]

    def gradients_of(self, dgamma: Array, dbeta: Array) -> Gradients:
        """Return the gradients of the parameters by name: that of the scale only if it is learned."""
        return {"weight": dgamma, "bias": dbeta} if "weight" in self.parameters else {"bias": dbeta}

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        return self._call_train(x) if self.training else self._call_eval(x)

    def _call_train(self, x: Array) -> tuple[Array, Backward]:
        ops, gamma, beta = active(), self.gamma, self.parameters["bias"]
        if self.peers:
            mean, var, _ = ops.moments(x)
            return self.from_moments(x, mean, var)
        y, mean, var = ops.batch_norm(x, gamma, beta, self.eps)
        self.update_running_stats(ops, mean, var, count_of(x))
        return y, self._backward_train(ops, x, mean, var)

    def from_moments(self, x: Array, mean: Array, var: Array) -> tuple[Array, Backward]:
        """Return y, backward in training, when the mean and the variance (C,) of x are already computed."""
        ops, gamma, beta = active(), self.gamma, self.parameters["bias"]
        if self.peers:
            mean, var, count = self._merged(ops, self.peers, x, mean, var)
            backward = self._backward_shared(ops, self.peers, x, mean, var, count)
        else:
            count, backward = count_of(x), self._backward_train(ops, x, mean, var)
        self.update_running_stats(ops, mean, var, count)
        return self._normalized(ops, x, gamma, beta, mean, var), backward

    def after(self, conv: Conv2d, x: Array) -> tuple[Array, Any]:
        """Return the batch norm of conv(x) with the running statistics, and the backward pass of the convolution.

        Both are one op if the convolution allows that.
        """
        if not conv.begins_fused_ops:
            c, conv_backward = conv(x)
            return self._call_eval(c)[0], conv_backward
        return conv.fused(self._op_after_conv(active()), x, self.gamma, self.parameters["bias"],
                          self.buffers["running_mean"], self.buffers["running_var"], eps=self.eps)

    def _op_after_conv(self, ops: Ops) -> Op:
        return ops.conv2d_batch_norm_inference

    def _normalized(self, ops: Ops, x: Array, gamma: Array, beta: Array, mean: Array, var: Array) -> Array:
        return ops.batch_norm_inference(x, gamma, beta, mean, var, self.eps)

    def _backward_train(self, ops: Ops, x: Array, mean: Array, var: Array) -> Backward:
        gamma = self.gamma

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dx, dgamma, dbeta = ops.batch_norm_backward(dy, x, gamma, mean, var, self.eps)
            return dx, self.gradients_of(dgamma, dbeta)
        return backward

    @staticmethod
    def _merged(ops: Ops, peers: Peers, x: Array, mean: Array, var: Array) -> tuple[Array, Array, int]:
        """Return mean and variance over the parts of all processes, and the numbers a channel in all parts."""
        means, variances, counts = peers.gather(mean, var, np.array([count_of(x)]))
        mean, var = ops.merged_moments(means, variances, reshape(counts, (len(counts),)))
        return mean, var, int(counts.sum())

    def _backward_shared(self, ops: Ops, peers: Peers, x: Array, mean: Array, var: Array, count: int) -> Backward:
        gamma = self.gamma

        def backward(dy: Array) -> tuple[Array, Gradients]:
            own = ops.shared_batch_norm_backward_sums(dy, x, mean, var, self.eps)
            sums = peers.sum(*own)
            dx = ops.shared_batch_norm_backward_x(dy, x, gamma, mean, var, *sums, count, self.eps)
            return dx, self.gradients_of(*own)                    # those of all processes are added later
        return backward

    def _call_eval(self, x: Array) -> tuple[Array, Backward]:
        ops, gamma, beta = active(), self.gamma, self.parameters["bias"]
        mean, var = self.buffers["running_mean"], self.buffers["running_var"]
        y = ops.batch_norm_inference(x, gamma, beta, mean, var, self.eps)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dx, dgamma, dbeta = ops.batch_norm_inference_backward(dy, x, gamma, mean, var, self.eps)
            return dx, self.gradients_of(dgamma, dbeta)
        return y, backward

    def update_running_stats(self, ops: Ops, mean: Array, var: Array, count: int) -> None:
        """Move the running statistics towards those of a batch with ``count`` numbers a channel."""
        call = mean, var, count, self.buffers["running_mean"], self.buffers["running_var"], self.momentum
        if self.noted is None:
            self.buffers["running_mean"], self.buffers["running_var"] = ops.running_statistics(*call)
        else:
            self.noted.append(call)


@contextlib.contextmanager
def statistics_together(network: Layer) -> Iterator[None]:
    """Update all running statistics at the end of the ``with`` block, in place, on a device with few calls.

    In the block the network is run once, and its running statistics are not read. If the edition updates nothing in
    place, every layer replaces its own when it runs.
    """
    if not updates_in_place():
        yield
        return
    norms = [layer for layer in network.layers() if isinstance(layer, BatchNorm)]
    noted: list[tuple[Any, ...]] = []
    for norm in norms:
        norm.noted = noted
    try:
        yield
        active().update("running_statistics", noted)
    finally:
        for norm in norms:
            norm.noted = None


def count_of(x: Array) -> int:
    """Return the numbers a channel of maps x (N, H, W, C): N*H*W."""
    N, H, W, _ = x.shape
    return N * H * W


class BatchNormReLU(BatchNorm):
    """Batch norm and the ReLU after it, in one op."""

    def _call_train(self, x: Array) -> tuple[Array, Backward]:
        ops, gamma, beta = active(), self.gamma, self.parameters["bias"]
        if self.peers:
            return super()._call_train(x)
        y, mean, var = ops.batch_norm_relu(x, gamma, beta, self.eps)
        self.update_running_stats(ops, mean, var, count_of(x))
        return y, self._backward_train(ops, x, mean, var)

    def _op_after_conv(self, ops: Ops) -> Op:
        return ops.conv2d_batch_norm_inference_relu

    def _normalized(self, ops: Ops, x: Array, gamma: Array, beta: Array, mean: Array, var: Array) -> Array:
        return ops.batch_norm_inference_relu(x, gamma, beta, mean, var, self.eps)

    def _backward_train(self, ops: Ops, x: Array, mean: Array, var: Array) -> Backward:
        gamma, beta = self.gamma, self.parameters["bias"]

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dx, dgamma, dbeta = ops.batch_norm_relu_backward(dy, x, gamma, beta, mean, var, self.eps)
            return dx, self.gradients_of(dgamma, dbeta)
        return backward

    def _backward_shared(self, ops: Ops, peers: Peers, x: Array, mean: Array, var: Array, count: int) -> Backward:
        gamma, beta = self.gamma, self.parameters["bias"]

        def backward(dy: Array) -> tuple[Array, Gradients]:
            own = ops.shared_batch_norm_relu_backward_sums(dy, x, gamma, beta, mean, var, self.eps)
            sums = peers.sum(*own)
            dx = ops.shared_batch_norm_relu_backward_x(dy, x, gamma, beta, mean, var, *sums, count, self.eps)
            return dx, self.gradients_of(*own)
        return backward

    def _call_eval(self, x: Array) -> tuple[Array, Backward]:
        ops, gamma, beta = active(), self.gamma, self.parameters["bias"]
        mean, var = self.buffers["running_mean"], self.buffers["running_var"]
        y = ops.batch_norm_inference_relu(x, gamma, beta, mean, var, self.eps)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dy = ops.relu_backward(dy, y)
            dx, dgamma, dbeta = ops.batch_norm_inference_backward(dy, x, gamma, mean, var, self.eps)
            return dx, self.gradients_of(dgamma, dbeta)
        return y, backward
