# title: A training step
# idea: training repeats four steps: forward, loss, backward, update

# %% [markdown]
# # Exercise 11: A training step
#
# First the update. Stochastic gradient descent with momentum keeps a velocity $v$ for each parameter. Nesterov's
# variant adds the momentum of the next step in advance. Weight decay moves the weights towards zero:
#
# $$g = dw + \lambda w, \qquad v \leftarrow \mu v + g, \qquad
# w \leftarrow w - \eta \, (g + \mu v) \ \text{(Nesterov)} \quad\text{or}\quad w - \eta \, v$$
#
# Then a whole training step of a very small network: squeezed maps $z$, one dense layer, the loss of exercise 10
# (without smoothing), plain gradient descent.
#
# $$l = z W^T + b, \qquad dW = dl^T z, \qquad db = \sum_n dl, \qquad W \leftarrow W - \eta \, dW, \quad
# b \leftarrow b - \eta \, db$$
#
# | array | shape |
# |---|---|
# | `z` | `(N, C)` |
# | `labels` | `(N,)`, whole numbers |
# | `w`, `b` | `(K, C)`, `(K,)` |
#
# Return new arrays: the old parameters stay as they are.

# %%
import numpy as np


def sgd(w, dw, v, lr, momentum=0.9, weight_decay=0.0, nesterov=True):
    """Update parameters w with their gradient dw and velocity v, all of one shape -> new w, new v."""
    # BEGIN SOLUTION
    g = dw + weight_decay * w
    v = momentum * v + g
    return w - lr * (g + momentum * v if nesterov else v), v
    # END SOLUTION


def training_step(z, labels, w, b, lr):
    """Train a linear classifier for one step -> loss before the step, new w (K, C), new b (K,)."""
    # BEGIN SOLUTION
    logits = z @ w.T + b
    shifted = logits - logits.max(axis=1, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    target = labels[:, None] == np.arange(len(w))
    loss = -logp[target].mean()
    dlogits = ((np.exp(logp) - target) / len(z)).astype(z.dtype)
    return loss, w - lr * dlogits.T @ z, b - lr * dlogits.sum(axis=0)
    # END SOLUTION

# %% [example]
new_w, new_v = sgd(np.array([1.0, -2.0]), np.array([0.5, 0.5]), np.array([1.0, 0.0]), 0.1, weight_decay=0.01)
print("w", new_w.round(4), "v", new_v.round(4))
rng = np.random.default_rng(11)
z, labels = rng.normal(size=(6, 3)), np.array([0, 1, 2, 0, 1, 2])
w, b = np.zeros((3, 3)), np.zeros(3)
for step in range(3):
    loss, w, b = training_step(z, labels, w, b, 1.0)
    print("step", step, "loss", round(float(loss), 4))

# %% [hint]
# sgd is the three formulas, one after the other. The v in the last formula is the new v. Do not write `+=` or `-=`:
# that changes the caller's arrays.

# %% [hint]
# In the example w and b are zero, so all probabilities are 1/3 and the first loss is log(3). If yours is different, the
# loss is wrong. If the loss rises, a gradient has the wrong sign.

# %% [hint]
# Copy your functions of exercise 10 into this file and use them. The gradient for w is a matrix product: it sums over
# the batch, and has the shape of w, (K, C).

# %% [tests]
from npse.exercises.task import Task
from npse.gradcheck.cases.case import Case, distinct, signed


def case(label, result, N, C, K):
    return Case(
        ("training_step",), label,
        make=lambda rng: {"z": distinct(rng, N, C), "labels": rng.integers(K, size=N), "w": signed(rng, K, C),
                          "b": signed(rng, K)},
        forward=lambda ops, z, labels, w, b: ops.training_step(z, labels, w, b, 0.3)[result])


def cases(result):
    return [case("K < C", result, 4, 5, 3), case("N = 1, K = C", result, 1, 3, 3), case("K > C", result, 5, 2, 4)]


TASKS = (Task("sgd", values=2), Task("training_step", cases(0), part="loss", values=1),
         Task("training_step", cases(1), part="w", values=2, contract=0),
         Task("training_step", cases(2), part="b", values=1, contract=0))

# %% [mistake] the step goes up the gradient
# loses: training_step, w: values
# kind: forward
_step = training_step

def training_step(z, labels, w, b, lr):
    loss, after, b = _step(z, labels, w, b, lr)
    return loss, 2 * w - after, b

# %% [mistake] the old velocity is used
# loses: sgd: values
# kind: forward
_sgd = sgd

def sgd(w, dw, v, lr, momentum=0.9, weight_decay=0.0, nesterov=True):
    g = dw + weight_decay * w
    return w - lr * (g + momentum * v), momentum * v + g

# %% [mistake] the caller's bias is changed
# loses: training_step, loss: contract
# kind: changed in place
_step = training_step

def training_step(z, labels, w, b, lr):
    loss, new_w, new_b = _step(z, labels, w, b, lr)
    b[...] = new_b
    return loss, new_w, new_b
