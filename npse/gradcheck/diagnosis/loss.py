"""The loss as one step, with the mistakes that are common in its gradient."""

from collections.abc import Iterator

import numpy as np

from npse.gradcheck.diagnosis.nonlinear import softmax_over
from npse.gradcheck.diagnosis.tape import Hypothesis, Step, Var
from npse.types import Array


def softmax_cross_entropy(logits: Var, labels: Array, smoothing: float) -> Var:
    """The mean over N of the cross entropy of softmax(logits) and the smoothed labels."""
    N, K = logits.shape
    onehot = np.eye(K)[labels]
    q = (1 - smoothing) * onehot + smoothing / K

    def run(x: Array) -> Array:
        return np.asarray(-(q * np.log(softmax_over(x))).sum() / N)

    def faults(step: Step) -> Iterator[Hypothesis]:
        for kind, text, slope in (
                ("path missing", "is p/N: the one-hot labels are not subtracted", lambda p: p / N),
                ("path missing", "is -q/N: the softmax p is missing", lambda p: -q / N),
                ("averaged", f"is not divided by N = {N}: the loss is a mean", lambda p: p - q),
                ("factor", f"is divided by N = {N} twice: the loss is a mean once", lambda p: (p - q) / N**2),
                ("averaged", f"is divided by K = {K} instead of N = {N}", lambda p: (p - q) / K),
                ("averaged", f"is divided by N*K = {N * K} instead of N = {N}", lambda p: (p - q) / (N * K)),
                ("factor", "ignores the label smoothing: q is one-hot", lambda p: (p - onehot) / N),
                ("factor", "smooths the labels by a/K without taking a away from the right class",
                 lambda p: (p - onehot - smoothing / K) / N),
                ("factor", "spreads the smoothing over K - 1 classes instead of K",
                 lambda p: (p - onehot * (1 - smoothing) - (1 - onehot) * smoothing / max(K - 1, 1)) / N),
                ("sign", "adds the labels that are to be subtracted", lambda p: (p + q) / N),
                ("path missing", "takes the scores themselves for p: the softmax is missing",
                 lambda p: (logits.value - q) / N),
                ("wrong value", "takes log p where p belongs", lambda p: (np.log(p) - q) / N)):
            yield Hypothesis(kind, f"dlogits {text}",
                             {(step, 0): lambda dy, y, x, slope=slope: dy * slope(softmax_over(x))}, advice=advice)
    advice = "dlogits = dloss*(p - q)/N, q = (1 - a)*onehot + a/K."
    return logits.tape.step(run, [logits], [lambda dy, y, x: dy * (softmax_over(x) - q) / N], "loss", faults=faults)
