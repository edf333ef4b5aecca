"""Cases for the end of a network: the dense layer, the softmax and the loss."""

from npse.gradcheck.cases.case import Case, distinct, signed


def _dense(label, N, C, K, biased=True):
    wrt = ("x", "w", "b") if biased else ("x", "w")

    def make(rng):
        drawn = {"x": distinct(rng, N, C), "w": signed(rng, K, C), "b": signed(rng, K)}
        return {name: drawn[name] for name in wrt}

    return Case(
        ("dense", "dense_backward"), label, make,
        forward=lambda ops, x, w, b=None: ops.dense(x, w, b),
        backward=lambda ops, dy, x, w, b=None: ops.dense_backward(dy, x, w)[:len(wrt)],
        wrt=wrt)


def _softmax(label, N, K):
    return Case(
        ("softmax", "softmax_backward"), label,
        make=lambda rng: {"logits": distinct(rng, N, K)},
        forward=lambda ops, logits: ops.softmax(logits),
        backward=lambda ops, dp, logits: (ops.softmax_backward(dp, ops.softmax(logits)),),
        wrt=("logits",))


def _softmax_cross_entropy(label, N, K, smoothing, spread=1.0):
    return Case(
        ("softmax_cross_entropy", "softmax_cross_entropy_backward"), label,
        make=lambda rng: {"logits": spread * distinct(rng, N, K), "labels": rng.integers(K, size=N)},
        forward=lambda ops, logits, labels: ops.softmax_cross_entropy(logits, labels, smoothing),
        backward=lambda ops, dloss, logits, labels: (
            ops.softmax_cross_entropy_backward(dloss, logits, labels, smoothing),),
        wrt=("logits",))


CASES = (
    _dense("C > K", 3, 5, 2),
    _dense("C < K, N = 1", 1, 2, 4),
    _dense("C = K, no bias", 4, 3, 3, biased=False),
    _dense("C = 1, K = 1", 3, 1, 1),
    _softmax("N < K", 3, 5),
    _softmax("N = 1", 1, 4),
    _softmax("K = 1: the gradient vanishes", 3, 1),
    _softmax_cross_entropy("no smoothing", 4, 3, 0.0),
    _softmax_cross_entropy("smoothing 0.1", 3, 5, 0.1),
    _softmax_cross_entropy("N = 1, smoothing 0.3", 1, 4, 0.3),
    _softmax_cross_entropy("large scores", 4, 6, 0.1, spread=10.0),
)
