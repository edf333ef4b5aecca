"""Functions that npse does not know, and wrong backward passes of them, for the tests of the diagnosis.

Each backward pass takes ``how``, the mistake that it makes; no ``how`` is the right one.
"""

import numpy as np

RNG = np.random.default_rng(5)


def normal(*shape):
    return RNG.standard_normal(shape)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def layer_norm(x, gamma, beta):
    m = x.mean(axis=1, keepdims=True)
    v = ((x - m) ** 2).mean(axis=1, keepdims=True)
    xhat = (x - m) / np.sqrt(v + 1e-5)
    return gamma * xhat + beta


def layer_norm_backward(dy, x, gamma, beta, how=""):
    m = x.mean(axis=1, keepdims=True)
    root = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    xhat = (x - m) / root
    d = dy if how == "no gamma" else dy * gamma
    mean = {"no mean": 0 * m, "sum": d.sum(axis=1, keepdims=True), "axis": d.mean(axis=0, keepdims=True)}.get(
        how, d.mean(axis=1, keepdims=True))
    term = xhat * (d * xhat).mean(axis=1, keepdims=True)
    term = {"no variance": 0, "constant": 0, "plus": -term}.get(how, term)
    dx = d - (0 if how == "constant" else mean) - term
    if how == "stops":
        dx = d * root
    dgamma = dy * ((x - m) if how == "not scaled" else xhat)
    return (dx if how == "no root" else dx / root,
            dgamma.mean(axis=0) if how == "dgamma mean" else dgamma.sum(axis=0), dy.sum(axis=0))


def attention(q, k, v):
    scores = q @ k.T / np.sqrt(q.shape[1])
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return p @ v


def attention_backward(dy, q, k, v, how=""):
    root = np.sqrt(q.shape[1])
    e = np.exp(q @ k.T / root)
    p = e / e.sum(axis=1, keepdims=True)
    dp = dy @ v.T
    ds = p * (dp - (dp * p).sum(axis=0 if how == "axis" else 1, keepdims=True))
    ds = {"diagonal": p * (1 - p) * dp, "no p": ds / p}.get(how, ds)
    dq, dk, dv = ds @ k / (1 if how == "no root" else root), ds.T @ q / root, p.T @ dy
    return (dk, dq, dv) if how == "order" else (dq, dk, dv)


def lstm_cell(x, h, c, w, u, b):
    a = x @ w + h @ u + b
    n = c.shape[1]
    i, f, o, g = sigmoid(a[:, :n]), sigmoid(a[:, n:2 * n]), sigmoid(a[:, 2 * n:3 * n]), np.tanh(a[:, 3 * n:])
    cell = f * c + i * g
    return o * np.tanh(cell)


def lstm_cell_backward(dy, x, h, c, w, u, b, how=""):
    a = x @ w + h @ u + b
    n = c.shape[1]
    i, f, o, g = sigmoid(a[:, :n]), sigmoid(a[:, n:2 * n]), sigmoid(a[:, 2 * n:3 * n]), np.tanh(a[:, 3 * n:])
    cell = f * c + i * g
    t = np.tanh(cell)
    dcell = dy * o if how == "no tanh" else dy * o * (1 - t**2)
    di, dg = (dcell * i, dcell * g) if how == "i and g" else (dcell * g, dcell * i)
    do = dy * (cell if how == "cell" else t)
    da_i, da_f, da_o = di * i * (1 - i), dcell * c * f * (1 - f), do * o * (1 - o)
    if how == "no gate":
        da_f = dcell * c
    da_g = dg * g * (1 - g) if how == "g" else dg * (1 - g**2)
    da = np.concatenate([da_f, da_i, da_o, da_g] if how == "order" else [da_i, da_f, da_o, da_g], axis=1)
    dc = dcell if how == "no f" else dcell * f
    return da @ w.T, da @ u.T, dc, x.T @ da, h.T @ da, da.mean(axis=0) if how == "mean" else da.sum(axis=0)


def embedding(table, ids):
    return table[ids]


def embedding_backward(dy, table, ids, how=""):
    dtable = np.zeros_like(table)
    if how == "assigned":
        dtable[ids] += dy
    else:
        np.add.at(dtable, ids, dy)
    return dtable / np.maximum(np.bincount(ids, minlength=len(table)), 1)[:, None] if how == "counted" else dtable


def running_sum(x):
    return np.cumsum(x, axis=1)


def running_sum_backward(dy, x, how=""):
    if how == "forward":
        return np.cumsum(dy, axis=1)
    if how == "axis":
        return np.cumsum(dy[::-1], axis=0)[::-1]
    return np.cumsum(dy[:, ::-1], axis=1)[:, ::-1] - (dy if how == "exclusive" else 0)


def huber(x, t):
    r = x - t
    return np.where(np.abs(r) <= 1, 0.5 * r**2, np.abs(r) - 0.5).mean()


def huber_backward(dy, x, t, how=""):
    r = x - t
    small = np.abs(r) > 1 if how == "inverse" else np.abs(r) <= 1
    g = np.where(small, r, 1.0 if how == "no sign" else r if how == "no clip" else np.sign(r))
    g = dy * g / (1 if how == "no mean" else g.size)
    return g, g if how == "sign" else -g


def log_softmax(x):
    m = x.max(axis=1, keepdims=True)
    return x - m - np.log(np.exp(x - m).sum(axis=1, keepdims=True))


def log_softmax_backward(dy, x, how=""):
    p = np.exp(log_softmax(x))
    total = {"no sum": dy, "axis": dy.sum(axis=0), "mean": dy.mean(axis=1, keepdims=True)}.get(
        how, dy.sum(axis=1, keepdims=True))
    return {"no p": dy - total, "plus": dy + p * total}.get(how, dy - p * total)


def bilinear(x, a, z):
    return np.einsum("ni,ij,nj->n", x, a, z)


def bilinear_backward(dy, x, a, z, how=""):
    d = dy[:, None]
    da = np.einsum("n,ni,nj->ij", dy, x, z)
    return (d * (z @ (a if how == "transposed" else a.T)) if how != "no a" else d * z,
            da / len(x) if how == "mean" else da, d * (x @ a))


def batch_norm(x, g, b):
    mu = x.mean(axis=0)
    var = x.var(axis=0)
    return g * (x - mu) / np.sqrt(var + 1e-5) + b


def batch_norm_backward(dy, x, g, b, how=""):
    root = np.sqrt(x.var(axis=0) + 1e-5)
    xhat = (x - x.mean(axis=0)) / root
    d, n = dy * g, len(x)
    term = xhat * (d * xhat).sum(axis=0) / (n - 1 if how == "n - 1" else n)
    dx = (d - d.mean(axis=0) - (0 if how == "no variance" else term)) / root
    return dx, (dy * xhat).sum(axis=0), dy.sum(axis=0)


def largest(x):
    return x.max(axis=1)


def largest_backward(dy, x, how=""):
    d = dy[:, None]
    if how == "all":
        return d + 0 * x
    chosen = {"smallest": x.min(axis=1, keepdims=True), "axis": x.max(axis=0)}.get(how, x.max(axis=1, keepdims=True))
    return d * (x == chosen)


def conv1d(x, w):
    n, k = len(x), len(w)
    y = np.zeros((n - k + 1, w.shape[2]))
    for i in range(n - k + 1):
        for j in range(k):
            y[i] += x[i + j] @ w[j]
    return y


def conv1d_backward(dy, x, w, how=""):
    dx, dw, k = np.zeros_like(x), np.zeros_like(w), len(w)
    for i in range(len(dy)):
        for j in range(k):
            part = (w[k - 1 - j] if how == "flipped" else w[j].T if how == "transposed" else w[j]) @ dy[i]
            dx[i + j] = part if how == "assigned" else dx[i + j] + part
            dw[j] = np.outer(x[i + j], dy[i]) + (0 if how == "dw assigned" else dw[j])
    if how == "last":
        dx[-1] = 0
    return dx, dw


def unit(x):
    n = np.sqrt((x**2).sum(axis=1, keepdims=True))
    return x / n


def unit_backward(dy, x, how=""):
    n = np.sqrt((x**2).sum(axis=1, keepdims=True))
    y = x / n
    term = y * (dy * y).sum(axis=0 if how == "axis" else 1, keepdims=True)
    return {"constant": dy / n, "no n": dy - term, "plus": (dy + term) / n, "n twice": (dy - term) / n**2}.get(
        how, (dy - term) / n)


def gelu(x):
    t = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))
    return 0.5 * x * (1 + t)


def gelu_backward(dy, x, how=""):
    root = 1 if how == "no root" else np.sqrt(2 / np.pi)
    t = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))
    inner = root * (1 + (1 if how == "no 3" else 3) * 0.044715 * x**2)
    slope = 1 - t if how == "1 - t" else 1 - t**2
    return dy * (0.5 * (1 + t) + 0.5 * (1 if how == "no x" else x) * slope * inner)


def bce(z, t):
    p = 1 / (1 + np.exp(-z))
    return -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()


def bce_backward(dy, z, t, how=""):
    p = 1 / (1 + np.exp(-z))
    dz = p - t
    if how == "slope":
        dz = dz * p * (1 - p)
    dt = -np.log(p) + (0 if how == "half" else np.log(1 - p))
    return dy * dz / (1 if how == "no mean" else z.size), dy * dt / z.size


def distances(a, b):
    diff = a[:, None, :] - b[None, :, :]
    return (diff**2).sum(axis=2)


def distances_backward(dy, a, b, how=""):
    diff = a[:, None, :] - b[None, :, :]
    g = 2 * dy[:, :, None] * (1 + 0 * diff if how == "no diff" else diff)
    if how == "no 2":
        g = g / 2
    return g.mean(axis=1) if how == "mean" else g.sum(axis=1), -g.sum(axis=0)


def rnn(x, w, u):
    h = np.zeros((x.shape[1], u.shape[0]))
    for t in range(len(x)):
        h = np.tanh(x[t] @ w + h @ u)
    return h


def rnn_backward(dy, x, w, u, how=""):
    states = [np.zeros((x.shape[1], u.shape[0]))]
    for t in range(len(x)):
        states.append(np.tanh(x[t] @ w + states[-1] @ u))
    dx, dw, du, dh = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u), dy
    for t in reversed(range(len(x))):
        da = dh if how == "no tanh" else dh * (1 - states[t + 1] ** 2)
        dx[t] = da @ w.T
        dw += x[t].T @ da
        du += states[t + 1 if how == "next" else t].T @ da
        dh = 0 * dh if how == "cut" else da @ (u if how == "transposed" else u.T)
    return dx, dw, du


def log_sum_exp(x):
    m = x.max(axis=1, keepdims=True)
    return (m + np.log(np.exp(x - m).sum(axis=1, keepdims=True)))[:, 0]


def log_sum_exp_backward(dy, x, how=""):
    p = np.exp(x) / np.exp(x).sum(axis=0 if how == "axis" else 1, keepdims=True)
    return dy[:, None] * (1 - p if how == "rest" else p)


ARGUMENTS = {
    layer_norm: {"x": normal(4, 6), "gamma": normal(6), "beta": normal(6)},
    attention: {"q": normal(4, 3), "k": normal(5, 3), "v": normal(5, 2)},
    lstm_cell: {"x": normal(3, 4), "h": normal(3, 2), "c": normal(3, 2), "w": normal(4, 8), "u": normal(2, 8),
                "b": normal(8)},
    embedding: {"table": normal(5, 3), "ids": np.array([0, 2, 2, 4, 0])},
    running_sum: {"x": normal(3, 5)}, huber: {"x": 2 * normal(6, 2), "t": normal(6, 2)},
    log_softmax: {"x": normal(4, 5)}, bilinear: {"x": normal(4, 3), "a": normal(3, 3), "z": normal(4, 3)},
    batch_norm: {"x": normal(7, 3), "g": normal(3), "b": normal(3)}, largest: {"x": normal(4, 5)},
    conv1d: {"x": normal(6, 2), "w": normal(3, 2, 2)}, unit: {"x": normal(4, 3)}, gelu: {"x": normal(3, 4)},
    bce: {"z": normal(5, 2), "t": RNG.uniform(0.1, 0.9, (5, 2))},
    distances: {"a": normal(4, 3), "b": normal(5, 3)},
    rnn: {"x": normal(4, 2, 3), "w": normal(3, 3), "u": 0.5 * normal(3, 3)}, log_sum_exp: {"x": normal(4, 3)},
}

BACKWARD = {forward: globals()[f"{forward.__name__}_backward"] for forward in ARGUMENTS}
