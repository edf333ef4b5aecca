"""A second reference: the derivative that PyTorch takes of the same forward pass."""

from collections.abc import Callable
from typing import Any

import numpy as np

from npse.gradcheck.contract import deviation
from npse.gradcheck.measure import Measurement
from npse.gradcheck.results import RIGHT, WRONG, Result

SAME_GRADIENT = 1e-9      # between two right gradients in float64, relative to the largest entry


def against_torch(measured: Measurement, forward: Callable[..., Any]) -> list[Result]:
    """Compare each gradient with PyTorch's, of ``forward``: the same function of tensors, by the same names."""
    import torch

    case = measured.case
    tensors = {name: torch.tensor(value, requires_grad=name in case.wrt) if isinstance(value, np.ndarray) else value
               for name, value in measured.arguments.items()}
    y = forward(**tensors)
    if tuple(y.shape) != measured.y.shape or not deviation(y.detach().numpy(), measured.y) <= SAME_GRADIENT:
        return [Result(case.op, case.label, "torch", WRONG, message="the forward pass in PyTorch gives other values")]
    theirs = torch.autograd.grad(y, [tensors[name] for name in case.wrt], torch.as_tensor(measured.dy),
                                 allow_unused=True)
    results = []
    for name, gradient in zip(case.wrt, theirs, strict=True):
        expected = np.zeros_like(measured.arguments[name]) if gradient is None else gradient.numpy()
        error = deviation(measured.gradient(name), expected, float(np.abs(measured.dy).max()))
        is_right = error <= SAME_GRADIENT
        results.append(Result(case.op, case.label, "torch", RIGHT if is_right else WRONG, name, error,
                              entries=expected.size, message="" if is_right else
                              f"differs from PyTorch's gradient by {error:.1e} of the largest entry"))
    return results
