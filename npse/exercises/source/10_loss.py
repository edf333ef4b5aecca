# title: The loss
# idea: softmax and cross-entropy together have a very simple gradient

# %% [markdown]
# # Exercise 10: The loss
#
# The output of the network is one score for each class, the `logits`. The softmax turns the scores into probabilities
# $p$. The cross-entropy compares $p$ with the target $q$. The target gives $1 - a$ to the right class, and divides the
# rest, the smoothing $a$, equally among all $K$ classes.
#
# $$p_{nk} = \frac{e^{l_{nk}}}{\sum_m e^{l_{nm}}}, \qquad q = (1 - a) \cdot \text{one-hot} + \frac{a}{K}, \qquad
# L = -\frac{1}{N} \sum_{n, k} q_{nk} \log p_{nk}$$
#
# In the backward pass, most terms cancel:
#
# $$dl = dL \cdot \frac{p - q}{N}$$
#
# Scores may be large, and $e^{1000}$ overflows. The softmax does not change if the largest score of a row is first
# subtracted from the whole row. Compute the logarithm of $p$ as $l - \log \sum e^l$: then the logarithm of zero never
# occurs.
#
# | array | shape |
# |---|---|
# | `logits`, `p`, `q` | `(N, K)` |
# | `labels` | `(N,)`, whole numbers from 0 to K - 1 |
# | the loss, `dloss` | a single number |

# %%
import numpy as np


def softmax_cross_entropy(logits, labels, smoothing=0.0):
    """Mean cross-entropy: logits (N, K), labels (N,) -> one number."""
    # BEGIN SOLUTION
    N, K = logits.shape
    shifted = logits - logits.max(axis=1, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    q = (1 - smoothing) * (labels[:, None] == np.arange(K)) + smoothing / K
    return (-(q * logp).sum() / N).astype(logits.dtype)
    # END SOLUTION


def softmax_cross_entropy_backward(dloss, logits, labels, smoothing=0.0):
    """Gradient with respect to the scores -> dlogits (N, K), of their dtype."""
    # BEGIN SOLUTION
    N, K = logits.shape
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    q = (1 - smoothing) * (labels[:, None] == np.arange(K)) + smoothing / K
    return (dloss * (p - q) / N).astype(logits.dtype)
    # END SOLUTION

# %% [example]
logits, labels = np.array([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0]]), np.array([0, 2])
print("loss", softmax_cross_entropy(logits, labels).round(4))
print("smoothed", softmax_cross_entropy(logits, labels, 0.1).round(4))
print("dlogits\n", softmax_cross_entropy_backward(1.0, logits, labels).round(4))
print("huge scores", softmax_cross_entropy(1000 * logits, labels))

# %% [hint]
# If all scores of a row are equal and there are ten classes, every p is 1/10, so the loss is log(10) = 2.3. Is yours?

# %% [hint]
# To make one-hot rows, compare labels[:, None] with np.arange(K). Subtract the maximum of each row before you call
# np.exp.

# %% [hint]
# The sums in the softmax run over the classes of one row: axis 1. With keepdims=True the result can be broadcast to the
# rows again. The loss is a mean over rows: the factor 1/N stands once in the loss and once in the gradient. float32
# scores give a float32 result.

# %% [tests]
import numpy as np

from npse.exercises.task import Task
from npse.gradcheck import cases_of
from npse.gradcheck.cases.case import Case, distinct


def shifted(rng, N, K):
    far = np.where(np.arange(N) % 2, -1000.0, 1000.0)
    return {"logits": distinct(rng, N, K) + far[:, None], "labels": rng.integers(K, size=N)}


HUGE = Case(
    ("softmax_cross_entropy", "softmax_cross_entropy_backward"), "scores near 1000 and -1000",
    make=lambda rng: shifted(rng, 4, 3),
    forward=lambda ops, logits, labels: ops.softmax_cross_entropy(logits, labels, 0.1),
    backward=lambda ops, dloss, logits, labels: (ops.softmax_cross_entropy_backward(dloss, logits, labels, 0.1),),
    wrt=("logits",))
CASES = [HUGE, *cases_of("softmax_cross_entropy")]
TASKS = (Task("softmax_cross_entropy", CASES, values=3), Task("softmax_cross_entropy_backward", CASES, logits=3))

# %% [mistake] a sum over the batch
# loses: softmax_cross_entropy_backward: gradient of logits
# kind: averaged
_backward = softmax_cross_entropy_backward

def softmax_cross_entropy_backward(dloss, logits, labels, smoothing=0.0):
    return _backward(dloss, logits, labels, smoothing) * len(logits)

# %% [mistake] the upstream gradient is ignored
# loses: softmax_cross_entropy_backward: gradient of logits
# kind: upstream ignored
_backward = softmax_cross_entropy_backward

def softmax_cross_entropy_backward(dloss, logits, labels, smoothing=0.0):
    return _backward(np.ones_like(dloss), logits, labels, smoothing)

# %% [mistake] smoothing left out
# loses: softmax_cross_entropy: values
# kind: forward
_forward = softmax_cross_entropy

def softmax_cross_entropy(logits, labels, smoothing=0.0):
    return _forward(logits, labels)

# %% [mistake] the maximum is not subtracted
# loses: softmax_cross_entropy: values
# kind: forward
def softmax_cross_entropy(logits, labels, smoothing=0.0):
    N, K = logits.shape
    logp = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    q = (1 - smoothing) * (labels[:, None] == np.arange(K)) + smoothing / K
    return (-(q * logp).sum() / N).astype(logits.dtype)

# %% [mistake] the maximum is not subtracted in the backward pass
# loses: softmax_cross_entropy_backward: gradient of logits
# kind: unexplained
def softmax_cross_entropy_backward(dloss, logits, labels, smoothing=0.0):
    N, K = logits.shape
    e = np.exp(logits)
    q = (1 - smoothing) * (labels[:, None] == np.arange(K)) + smoothing / K
    return (dloss * (e / e.sum(axis=1, keepdims=True) - q) / N).astype(logits.dtype)
