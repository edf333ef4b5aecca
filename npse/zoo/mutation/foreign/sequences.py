"""Parts of networks for sequences: attention, recurrent cells, tables, sums and convolutions along time."""

import numpy as np

from npse.zoo.mutation.foreign.table import enter, sizes


def attention(q, k, v):
    """y = softmax(q k^T / sqrt(D)) v for one head, arXiv 1706.03762."""
    scores = q @ k.T / np.sqrt(q.shape[1]).astype(q.dtype)
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True) @ v


def attention_backward(dy, q, k, v):
    """Gradients of queries, keys and values."""
    root = np.sqrt(q.shape[1]).astype(q.dtype)
    scores = q @ k.T / root
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    dv = p.T @ dy
    dp = dy @ v.T
    ds = p * (dp - (dp * p).sum(axis=1, keepdims=True))
    dq = ds @ k / root
    dk = ds.T @ q / root
    return dq, dk, dv


def _heads(rng):
    N, M, D, E = sizes(rng, 4)
    return {"q": rng.standard_normal((N, D)), "k": rng.standard_normal((M, D)), "v": rng.standard_normal((M, E))}


enter(attention, attention_backward, _heads)


def _sigma(x):
    return 1 / (1 + np.exp(-x))


def lstm_cell(x, h, c, w):
    """The new hidden state of an LSTM cell; w holds the gates i, f, o and the candidate g side by side."""
    i, f, o, g = np.split(np.concatenate([x, h], axis=1) @ w, 4, axis=1)
    return _sigma(o) * np.tanh(_sigma(f) * c + _sigma(i) * np.tanh(g))


def lstm_cell_backward(dh, x, h, c, w):
    """Gradients of the input, both states and the weights."""
    joined = np.concatenate([x, h], axis=1)
    i, f, o, g = np.split(joined @ w, 4, axis=1)
    i, f, o, g = _sigma(i), _sigma(f), _sigma(o), np.tanh(g)
    t = np.tanh(f * c + i * g)
    do = dh * t
    dc = dh * o * (1 - t * t)
    di = dc * g
    df = dc * c
    dg = dc * i
    da = np.concatenate([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g * g)], axis=1)
    dw = joined.T @ da
    djoined = da @ w.T
    width = x.shape[1]
    return djoined[:, :width], djoined[:, width:], dc * f, dw


def _cell(rng, gates, **more):
    N, C, H = sizes(rng, 3, 2, 4)
    states = {name: rng.standard_normal((N, H)) for name in ("h", *more)}
    return {"x": rng.standard_normal((N, C)), **states, "w": rng.standard_normal((C + H, gates * H)) / 2}


enter(lstm_cell, lstm_cell_backward, lambda rng: _cell(rng, 4, c=True))


def gru_cell(x, h, wx, wh):
    """The new state of a GRU cell, arXiv 1406.1078: z * h + (1 - z) * n, n = tanh(a_n + r * b_n)."""
    ar, az, an = np.split(x @ wx, 3, axis=1)
    br, bz, bn = np.split(h @ wh, 3, axis=1)
    z = _sigma(az + bz)
    return z * h + (1 - z) * np.tanh(an + _sigma(ar + br) * bn)


def gru_cell_backward(dy, x, h, wx, wh):
    """Gradients of the input, the state and both matrices."""
    ar, az, an = np.split(x @ wx, 3, axis=1)
    br, bz, bn = np.split(h @ wh, 3, axis=1)
    r, z = _sigma(ar + br), _sigma(az + bz)
    n = np.tanh(an + r * bn)
    dn = dy * (1 - z) * (1 - n * n)
    dz = dy * (h - n) * z * (1 - z)
    dr = dn * bn * r * (1 - r)
    da = np.concatenate([dr, dz, dn], axis=1)
    db = np.concatenate([dr, dz, dn * r], axis=1)
    dh = dy * z + db @ wh.T
    return da @ wx.T, dh, x.T @ da, h.T @ db


def _gru_arguments(rng):
    N, C, H = sizes(rng, 3, 2, 4)
    return {"x": rng.standard_normal((N, C)), "h": rng.standard_normal((N, H)),
            "wx": rng.standard_normal((C, 3 * H)), "wh": rng.standard_normal((H, 3 * H))}


enter(gru_cell, gru_cell_backward, _gru_arguments)


def embedding(table, ids):
    """y[n] = table[ids[n]]."""
    return table[ids]


def embedding_backward(dy, table, ids):
    """Gradient of the table: rows that are looked up twice receive two gradients."""
    dtable = np.zeros(table.shape, table.dtype)
    for n in range(len(ids)):
        dtable[ids[n]] += dy[n]
    return dtable


def _table(rng):
    K, D, N = sizes(rng, 3, 3)
    return {"table": rng.standard_normal((K, D)), "ids": rng.integers(0, K - 1, (N + 1,))}


enter(embedding, embedding_backward, _table)


def cumulative_sum(x):
    """y[n, t] = sum over s <= t of  x[n, s]."""
    return np.cumsum(x, axis=1)


def cumulative_sum_backward(dy, x):
    """dx[n, s] = sum over t >= s of  dy[n, t]."""
    return np.cumsum(dy[:, ::-1], axis=1)[:, ::-1]


enter(cumulative_sum, cumulative_sum_backward, lambda rng: {"x": rng.standard_normal(sizes(rng, 2, 3))})


def conv1d(x, w):
    """y[n, t, k] = sum over s, c of  x[n, t + s, c] * w[s, c, k]."""
    length = x.shape[1] - len(w) + 1
    return sum(x[:, s:s + length] @ w[s] for s in range(len(w)))


def conv1d_backward(dy, x, w):
    """Gradients of the signal and the filters."""
    length = x.shape[1] - len(w) + 1
    dx, dw = np.zeros(x.shape, x.dtype), np.zeros(w.shape, w.dtype)
    for s in range(len(w)):
        dx[:, s:s + length] += dy @ w[s].T
        dw[s] = np.einsum("ntc,ntk->ck", x[:, s:s + length], dy)
    return dx, dw


def _signal(rng):
    N, C, K = sizes(rng, 3, 2, 4)
    size = int(rng.integers(2, 4))
    return {"x": rng.standard_normal((N, size + 3, C)), "w": rng.standard_normal((size, C, K))}


enter(conv1d, conv1d_backward, _signal)


def gather(x, index):
    """y[n] = x[n, index[n]]."""
    return x[np.arange(len(x)), index]


def gather_backward(dy, x, index):
    """The gradient goes to the entries that were taken."""
    dx = np.zeros(x.shape, dy.dtype)
    dx[np.arange(len(x)), index] = dy
    return dx


def _indexed(rng):
    N, K = sizes(rng, 2, 3)
    return {"x": rng.standard_normal((N, K)), "index": rng.integers(0, K, N)}


enter(gather, gather_backward, _indexed)
