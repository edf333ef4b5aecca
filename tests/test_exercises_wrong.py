"""A wrong program never has all points: for each exercise, programs that break a sentence of its lesson.

The programs are pieces of the solution, replaced. The mistakes in the sources of the exercises are not repeated here.
"""

import pytest

from npse.exercises import exercises, find
from npse.exercises.check import check
from npse.exercises.submission import Submission

NUMBA = "\nimport numpy as np\nfrom numba import njit\n"
CUDA = "\nimport numpy as np\nfrom numba import cuda\n"

# exercise: [(sentence that is broken, text of the solution, its replacement), ...]
BROKEN = {
    "convolution": [
        ("y has Ho rows", "(H + 2 * padding - kh) // stride + 1", "(H + padding - kh) // stride + 1"),
        ("the stride applies to rows", "i:i + stride * (Ho - 1) + 1:stride", "i:i + Ho"),
        ("the products add up", "y += seen", "y = seen"),
        ("the frame is zero", "(0, 0)))", "(0, 0)), mode='edge')"),
        ("each tap has its own weights", "w[i, j]", "w[j % kh, i % kw]")],
    "convolution_gradients": [
        ("dw sums over the batch", "np.tensordot(seen, dy,", "np.tensordot(seen[:1], dy[:1],"),
        ("the frame of dx is cut off", "dxp[:, padding:padding + H", "dxp[:, :H"),
        ("dx uses the transposed weights of its tap", "w[i, j].T", "w[j % len(w), i % w.shape[1]].T"),
        ("every path adds", "reached += dy", "reached[...] = dy")],
    "squeeze": [
        ("both axes of the map", "u.mean(axis=(1, 2))", "u.mean(axis=1).max(axis=1)"),
        ("every pixel gets the same part", "/ (H * W)", "/ (H * W) * (np.arange(W)[:, None] > 0)"),
        ("H*W, not H*H", "/ (H * W)", "/ (H * H)")],
    "excite": [
        ("the ReLU", "np.maximum(z @ w1.T, 0)\n    return", "z @ w1.T\n    return"),
        ("the mask", "* (h > 0)", "* (da2 @ w2 > 0)"),
        ("dw2 uses h", "da2.T @ h", "da2.T @ (z @ w1.T)"),
        ("the sigmoid's derivative", "s * (1 - s)", "s")],
    "scale": [
        ("ds sums over the map", ".sum(axis=(1, 2))", ".sum(axis=1)[:, 0]"),
        ("du has the gates", "dy * s[:, None, None, :]", "dy * s.mean(axis=1)[:, None, None, None]")],
    "block": [
        ("two paths", "+ dz[:, None, None, :] / (H * W)", ""),
        ("the sigmoid's derivative", "ds * s * (1 - s)", "ds * s"),
        ("the mask", "* (h > 0)", "")],
    "batch_norm_staged": [
        ("eps is inside of the root", "np.sqrt(var + eps) + beta", "(np.sqrt(var) + eps) + beta"),
        ("the path through the mean", "dcentred + dmean / B", "dcentred"),
        ("the path through the variance", "dcentred + 2 * centred * dvar / B", "dcentred")],
    "batch_norm": [
        ("the mean of dy", "dy - dbeta / B", "dy"),
        ("the part along xhat", "- xhat * dgamma / B", ""),
        ("B counts pixels and pictures", "x.size // x.shape[3]", "len(x)")],
    "join": [
        ("the ReLU", "np.maximum(u * s[:, None, None, :] + x, 0)", "u * s[:, None, None, :] + x"),
        ("the mask is that of y", "(y > 0)", "(u > 0)"),
        ("ds sums over the map", ".sum(axis=(1, 2))", ".mean(axis=(1, 2))")],
    "loss": [
        ("huge scores do not overflow", "logits - logits.max(axis=1, keepdims=True)\n    logp", "logits\n    logp"),
        ("huge scores in the gradient", "np.exp(logits - logits.max(axis=1, keepdims=True))", "np.exp(logits)"),
        ("the maximum of each row", "logits.max(axis=1, keepdims=True)", "logits.max()"),
        ("the smoothing", "smoothing / K", "0"),
        ("a mean over the batch", "(p - q) / N", "(p - q)")],
    "training_step": [
        ("weight decay", "dw + weight_decay * w", "dw"),
        ("Nesterov", "g + momentum * v if nesterov else v", "v"),
        ("the loss before the step", "-logp[target].mean()", "-logp[target].sum()"),
        ("b moves too", "b - lr * dlogits.sum(axis=0)", "b.copy()")],
    "eca": [
        ("zeros beyond the ends", "((0, 0), (half, half)))", "((0, 0), (half, half)), mode='edge')"),
        ("the path through the squeeze", "+ dz[:, None, None, :] / (H * W)", ""),
        ("the filter is shared", "(da * zp[:, t:t + C]).sum()", "(da * zp[:, t:t + C])[:, 0].sum()")],
    "bug_museum": [
        ("w1 is (C/r, C)", "np.full((M, C), 1 / C)", "np.full((C, M), 1 / C)"),
        ("w2 is (C, C/r)", "np.full((C, M), 1 / M)", "np.zeros(7)"),
        ("w2 has its values", "np.full((C, M), 1 / M)", "np.zeros((C, M))"),
        ("one sigmoid", "return sigmoid(a)", "return sigmoid(sigmoid(a))"),
        ("the mean over the map", "u.mean(axis=(1, 2), keepdims=True)", "u.mean(axis=1, keepdims=True)")],
    "bug_backward": [
        ("three terms", "- dbeta / B ", ""),
        ("the mask on the shortcut", "return g, g.copy()", "return g, dy.copy()"),
        ("ds from the right dy", "ds = (u * dy)", "ds = (u * du)")],
}

# exercise: [(what is wrong, the whole program), ...]
PROGRAMS = {
    "numba_kernel": [
        ("NumPy alone", NUMBA + "def squeeze_kernel(u, z):\n    z[...] = u.mean(axis=(1, 2))\n"),
        ("njit is not Numba's", "\nimport numpy as np\ndef njit(f): return f\n@njit\ndef squeeze_kernel(u, z):\n"
                                "    for n in range(len(u)):\n        z[n] = u[n].mean(axis=(0, 1))\n"),
        ("a loop around NumPy", NUMBA + "@njit\ndef squeeze_kernel(u, z):\n    for n in range(u.shape[0]):\n"
                                        "        for c in range(u.shape[3]):\n"
                                        "            z[n, c] = u[n, :, :, c].mean()\n"),
        ("NumPy in a helper", NUMBA + "@njit\ndef mean(u, n, c):\n    return u[n, :, :, c].mean()\n@njit\n"
                                      "def squeeze_kernel(u, z):\n    for n in range(u.shape[0]):\n"
                                      "        for c in range(u.shape[3]):\n            z[n, c] = mean(u, n, c)\n"),
        ("replaced after it", NUMBA + "@njit\ndef squeeze_kernel(u, z):\n    for n in range(1):\n        z[0, 0] = 0\n"
                                      "squeeze_kernel = lambda u, z: z.__iadd__(u.mean(axis=(1, 2)))\n"),
        ("only one channel", NUMBA + "@njit\ndef squeeze_kernel(u, z):\n    for n in range(u.shape[0]):\n"
                                     "        for i in range(u.shape[1]):\n            for j in range(u.shape[2]):\n"
                                     "                z[n, 0] += u[n, i, j, 0] / (u.shape[1] * u.shape[2])\n")],
    "cuda_kernel": [
        ("an object in place of the kernel", CUDA + "class K:\n    def __getitem__(self, launch):\n"
                                             "        return lambda u, s, y: y.copy_to_device(u * s[:, None, :])\n"
                                             "@cuda.jit\ndef scale_kernel(u, s, y):\n    pass\nscale_kernel = K()\n"),
        ("not compiled", CUDA + "def scale_kernel(u, s, y):\n    pass\n"),
        ("the first block only", CUDA + "@cuda.jit\ndef scale_kernel(u, s, y):\n    t = cuda.threadIdx.x\n"
                                 "    if t < u.size:\n        c, p = t % u.shape[2], t // u.shape[2] % u.shape[1]\n"
                                 "        n = t // (u.shape[2] * u.shape[1])\n"
                                 "        y[n, p, c] = u[n, p, c] * s[n, c]\n")],
}
# Each takes about a second. Two programs run by default.
CASES = [pytest.param(name, text, replacement, id=f"{name}: {sentence}", marks=pytest.mark.slow)
         for name, broken in BROKEN.items() for sentence, text, replacement in broken]
WHOLE = [pytest.param(name, code, id=f"{name}: {what}", marks=pytest.mark.slow if k else ())
         for name, programs in PROGRAMS.items() for k, (what, code) in enumerate(programs)]


@pytest.mark.parametrize(("name", "text", "replacement"), CASES)
def test_a_broken_sentence_of_the_lesson_costs_points(name, text, replacement):
    exercise = find(name)
    code = exercise.solution_code()
    assert text in code
    mark = check(Submission(exercise, (code.replace(text, replacement),), f"{exercise.stem}.py"), hidden=True)
    assert mark.earned < mark.points, str(mark)
    assert any(part.points > part.earned for part in mark.parts if not part.name.endswith("contract")), str(mark)


@pytest.mark.parametrize(("name", "code"), WHOLE)
def test_a_program_without_the_lesson_loses_points(name, code):
    pytest.importorskip("numba")
    exercise = find(name)
    mark = check(Submission(exercise, (code,), f"{exercise.stem}.py"), hidden=True)
    assert mark.earned < mark.points, str(mark)
    assert any(part.points > part.earned for part in mark.parts if not part.name.endswith("contract")), str(mark)


def test_every_exercise_has_wrong_programs():
    assert {exercise.name for exercise in exercises()} == {*BROKEN, *PROGRAMS}
