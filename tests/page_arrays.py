"""For each page: arrays that the shipped functions have filled, and the formulas that cannot be computed.

A page has a function of its own name here. It returns all names that occur in the formulas with indices, on the page
and in the docstrings that it shows: a letter with a tilde is `x~`, a subscript follows an underscore. Sizes and strides
are chosen awkward, so that no two axes can be taken for each other.
"""

import numpy as np

from npse import reference as ops
from npse.notebook import numeric_gradient
from npse.reference.conv import pad

# Formulas of the paper by the number that they have there.
PAPER = {
    1: r"u_c = v_c * X = \sum_{s=1}^{C'} v_c^s * x^s",
    2: r"z_c = F_{sq}(u_c) = \frac{1}{H \times W} \sum_{i=1}^{H} \sum_{j=1}^{W} u_c(i, j)",
    3: r"s = F_{ex}(z, W) = \sigma(g(z, W)) = \sigma(W_2 \ \delta(W_1 z))",
    4: r"\tilde{x}_c = F_{scale}(u_c, s_c) = s_c \ u_c",
    5: r"\frac{2}{r} \sum_{s=1}^{S} N_s \cdot {C_s}^2",
}

# Displayed formulas of other kinds, word by word: derivatives, conditions under a sum, names of functions.
LISTED = {
    "01_convolution": [
        r"\frac{\partial \ u[n,a,b,k]}{\partial \ w[i,j,c,k]} = \tilde{x}[n, \ Sa + i, \ Sb + j, \ c]",
        r"d\tilde{x}[n,p,q,c] = \sum_{k} \ \sum_{\substack{a, i: \\ Sa + i = p}} \ "
        r"\sum_{\substack{b, j: \\ Sb + j = q}} w[i,j,c,k] \ du[n,a,b,k]",
        r"\frac{\partial L}{\partial x_e} \approx \frac{L(x_e + h) - L(x_e - h)}{2h}",
    ],
    "05_is_my_gradient_right": [r"h = \epsilon^{1/3} \approx 6 \cdot 10^{-6}"],
    "07_se_resnet": [r"\sum_{w} dw \cdot V_w \approx \frac{L(w + h V) - L(w - h V)}{2h}"],
    "08_training": [r"\frac{\partial \ \ln p_m}{\partial \ l_k} = \delta_{mk} - p_k"],
    "02_squeeze": [r"\frac{\partial \ z[n,c]}{\partial \ u[n,i,j,c]} = \frac{1}{HW}"],
    "04_scale_and_block": [
        r"y = F_{scale}(u, \ F_{ex}(F_{sq}(u), W))",
        r"\frac{\partial \ y_c(p)}{\partial \ u_{c'}(p')} = \underbrace{s_c \ \delta_{cc'} \ \delta_{pp'}}"
        r"_{\text{direct}} \ + \ \underbrace{u_c(p) \ s_c (1 - s_c) \ \frac{[W_2 D W_1]_{cc'}}{HW}}"
        r"_{\text{through the squeeze}}",
    ],
}

# Lines of docstrings that are no formulas with indices, word by word.
DOCSTRINGS = {
    "sgd": ["g = dw + weight_decay * w", "v = momentum * v + g",
            "w = w - lr * (g + momentum * v)      with Nesterov's look ahead;   w - lr * v without"],
    "softmax_cross_entropy": ["loss = -1/N * sum over n, k of  q[n, k] * log p[n, k];"],
    "softmax_cross_entropy_backward": ["dlogits = dloss * (p - q) / N;"],
    "batch_norm_backward_staged": ["The arguments and results are those of `batch_norm_backward`."],
    "batch_norm_inference": ["y = gamma * (x - running_mean) / sqrt(running_var + eps) + beta."],
    "running_statistics": [
        "running = (1 - momentum) * running + momentum * batch,  with var * B / (B - 1) for the unbiased variance"],
    "scale_add_relu": ["y = relu(s * u + x):"],
    "scale_add_relu_backward": ["Gradients of `scale_add_relu` -> du (N, H, W, C), ds (N, C), dx (N, H, W, C);"],
    "se_backward_staged": ["The arguments and results are those of `se_backward`."],
    "relu": ["y = max(x, 0), elementwise;"],
    "relu_backward": ["dx = dy where y > 0, else 0."],
    "sigmoid": ["y = 1 / (1 + exp(-x)), elementwise;"],
    "sigmoid_backward": ["dx = dy * y * (1 - y):"],
    "se": ["y = scale(u, excite(squeeze(u)));"],
    "channel_rms": ["y = z / r, r[n] = sqrt(1/C * sum over c of  z[n, c]^2  + eps);"],
    "channel_rms_backward": ["dz = (dy - y * 1/C * sum over c of dy * y) / r:"],
    "excite": ["s = sigma(W2 delta(W1 z + b1) + b2);"],
    "excite_backward": ["da2 = ds * s * (1 - s)         dw2 = da2^T h    db2 = sum over n of da2    dh = da2 W2",
                        "da1 = dh where h > 0, else 0   dw1 = da1^T z    db1 = sum over n of da1    dz = da1 W1"],
}

# Names in the docstring of a function that mean another array of the page.
RENAMED = {
    "03_excitation": {
        "dense": {"x": "z", "w": "w_1", "b": "b_1"},
        "dense_backward": {"dy": "da_1", "x": "z", "w": "w_1", "dx": "dz", "dw": "dw_1", "db": "db_1"},
    },
    "04_scale_and_block": {"scale_backward": {"du": "du_direct"}},
    "11_five_speeds": {"squeeze": {"u": "y"}},
    "10_other_structures": {
        "channel_conv": {"z": "z_ends", "a": "a_filter"},
        "channel_conv_backward": {"z": "z_ends", "da": "da_ends", "dz": "dz_filter"},
    },
}

# Words in docstrings for the letters of the pages.
LETTERS = {"gamma": r"\gamma", "beta": r"\beta", "mean": r"\mu", "var": "v", "eps": r"\epsilon", "sqrt": r"\sqrt",
           "xhat": r"\hat{x}"}

# The name in a declaration for a name of a page.
DECLARED = {"01_convolution": {"u": "y"}}


def _rng():
    return np.random.default_rng(5)


def before_you_begin():
    """Give dense the letters of its docstring: K outputs of C inputs."""
    rng = _rng()
    x, w, b, dy = (rng.normal(size=shape) for shape in ((3, 4), (2, 4), (2,), (3, 2)))
    dx, dw, db = ops.dense_backward(dy, x, w)
    return {"x": x, "w": w, "b": b, "y": ops.dense(x, w, b), "dy": dy, "dx": dx, "dw": dw, "db": db}


def squeeze():
    u, dz = _rng().normal(size=(2, 3, 4, 5)), _rng().normal(size=(2, 5))
    return {"u": u, "z": ops.squeeze(u), "H": 3, "W": 4, "dz": dz, "du": ops.squeeze_backward(dz, u.shape)}


def convolution():
    rng = _rng()
    x, w = rng.normal(size=(2, 6, 5, 2)), rng.normal(size=(3, 2, 2, 3))
    xp, S = pad(x, 1), 2
    u = ops.conv2d(x, w, S, 1)
    du = rng.normal(size=u.shape)
    dw = ops.conv2d_backward_w(du, x, w.shape, S, 1)
    dxp = ops.conv2d_backward_x(du, w, xp.shape, S, 0)
    return {"x~": xp, "w": w, "S": S, "s": S, "u": u, "y": u, "du": du, "dy": du, "dw": dw, "dx~": dxp}


def excitation():
    rng = _rng()
    z, w1, w2, b1, ds = (rng.normal(size=shape) for shape in ((3, 4), (2, 4), (4, 2), (2,), (3, 4)))
    a1 = ops.dense(z, w1)
    h = ops.relu(a1)
    a2 = ops.dense(h, w2)
    s = ops.excite(z, w1, w2)
    dz, dw1, dw2, db1, db2 = ops.excite_backward(ds, z, s, w1, w2)
    da2 = ops.sigmoid_backward(ds, s)
    dh = ops.dense_backward(da2, h, w2)[0]
    return {"z": z, "w_1": w1, "w_2": w2, "b_1": b1, "y": ops.dense(z, w1, b1), "a_1": a1, "h": h, "a_2": a2, "s": s,
            "ds": ds, "da_2": da2, "dh": dh, "da_1": ops.relu_backward(dh, h), "dw_1": dw1, "dw_2": dw2, "dz": dz,
            "db_1": db1, "db_2": db2, "a": 0.7}


def scale_and_block():
    rng = _rng()
    u, w1, w2 = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(6, 5)), rng.normal(size=(5, 6))
    u += rng.normal(size=(2, 1, 1, 5))                            # so that all gates differ
    s = ops.excite(ops.squeeze(u), w1, w2)
    y = ops.se(u, w1, w2)
    dy = rng.normal(size=u.shape)
    direct, ds = ops.scale_backward(dy, u, s)
    dz = ops.excite_backward(ds, ops.squeeze(u), s, w1, w2)[0]
    return {"u": u, "s": s, "y": y, "dy": dy, "ds": ds, "dz": dz, "H": 3, "W": 4, "du_direct": direct,
            "du": ops.se_backward(dy, u, w1, w2)[0]}


def batch_norm_and_join():
    """Take the output of the batch norm for that of the join, which needs no more of it than the sign."""
    rng = _rng()
    x, dy = rng.normal(size=(2, 3, 4, 5)) + 1, rng.normal(size=(2, 3, 4, 5))
    gamma, beta = rng.normal(size=5), rng.normal(size=5)
    y, mean, var = ops.batch_norm(x, gamma, beta)
    dx, dgamma, dbeta = ops.batch_norm_backward(dy, x, gamma, mean, var)
    u, s = rng.normal(size=y.shape), rng.normal(size=(2, 5))
    du, ds, g = ops.scale_add_relu_backward(dy, u, s, y)
    join = {"u": u, "s": s, "du": du, "ds": ds, "g": g}
    return join | {"x": x, "B": 24, r"\mu": mean, "v": var, r"\epsilon": 1e-5,
            "x^": (x - mean) / np.sqrt(var + 1e-5),
            r"\gamma": gamma, r"\beta": beta, "y": y, "dy": dy, "dx": dx, r"d\gamma": dgamma, r"d\beta": dbeta}


def se_resnet():
    return scale_and_block()


def training():
    """Give the loss four pictures and three classes, with a label smoothing of 0.3."""
    logits, labels = _rng().normal(size=(4, 3)), np.array([0, 2, 1, 2])
    q = 0.7 * np.eye(3)[labels] + 0.1
    return {"l": logits, "p": ops.softmax(logits), "q": q, "N": 4, "L": ops.softmax_cross_entropy(logits, labels, 0.3),
            "dl": ops.softmax_cross_entropy_backward(1.0, logits, labels, 0.3)}


def other_structures():
    """Give each section arrays of its own: the structures have the same letters.

    The formulas in the docstrings of `channel_conv` count from -1 to C: ``z_ends`` and ``da_ends`` have zeros there,
    and -1 is the last entry.
    """
    rng = _rng()
    z, w, t, da = (rng.normal(size=shape) for shape in ((2, 4), 3, 4, (2, 4)))
    dz, dw = ops.channel_conv_backward(da, z, w)
    a, y = ops.channel_conv(z, w), ops.channel_rms(z, 0.0)
    zp, dap = (np.pad(array, ((0, 0), (1, 1))) for array in (z, da))
    z_ends, da_ends = np.pad(z, ((0, 0), (0, 6))), np.pad(da, ((0, 0), (0, 3)))

    def stand_out(z, t):
        return np.stack([[t[c] * (row[c] - sum(row) / 4) for c in range(4)] for row in z])

    return {
        "z_ends": z_ends, "da_ends": da_ends, "dz_filter": dz, "a_filter": a, "w": w, "dw": dw, "p": 1,
        "A filter over the channels": {"z~": zp, "w": w, "a": a, "da": da, "da~": dap, "dz": dz, "dw": dw, "p": 1},
        "Channels that compete": {"z": z, "y": y, "r": (z / y)[:, 0], "C": 4, "dy": da,
                                  "dz": ops.channel_rms_backward(da, z, 0.0)},
        "One of your own": {"z": z, "t": t, "m": z.mean(1), "C": 4, "a": stand_out(z, t), "da": da, "e": t * da,
                            "dz": numeric_gradient(lambda z: stand_out(z, t), z, da),
                            "dt": numeric_gradient(lambda t: stand_out(z, t), t, da)},
    }


def five_speeds():
    """Stride 1, as on the page; the maps of `squeeze` have a name of their own."""
    rng = _rng()
    x, w = rng.normal(size=(2, 4, 5, 2)), rng.normal(size=(3, 2, 2, 3))
    y = ops.conv2d(x, w, 1, 1)
    return {"x~": pad(x, 1), "w": w, "s": 1, "y": y, "z": ops.squeeze(y), "H": y.shape[1], "W": y.shape[2]}


def cuda():
    rng = _rng()
    u, s = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 5))
    return {"u": u, "s": s, "y": ops.scale(u, s)}
