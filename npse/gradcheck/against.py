"""A second reference: the derivative that another library takes of the same forward pass."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from npse.gradcheck.contract import deviation
from npse.gradcheck.measure import Measurement
from npse.gradcheck.results import RIGHT, WRONG, Result
from npse.types import Array

SAME_GRADIENT = 1e-9      # between two right gradients in float64, relative to the largest entry


def against(measured: Measurement, library: str, forward: Callable[..., Any]) -> list[Result]:
    """Compare each gradient with that of a library, a name of `LIBRARIES`.

    ``forward`` is the same function of the library's arrays, with arguments of the same names.
    """
    case, title = measured.case, TITLES[library]
    y, gradients = LIBRARIES[library](measured, forward)
    if y.shape != measured.y.shape or not deviation(y, measured.y) <= SAME_GRADIENT:
        return [Result(case.op, case.label, library, WRONG, message=f"the forward pass in {title} gives other values")]
    results = []
    for name in case.wrt:
        expected = gradients[name]
        error = deviation(measured.gradient(name), expected, float(np.abs(measured.dy).max()))
        is_right = error <= SAME_GRADIENT
        results.append(Result(case.op, case.label, library, RIGHT if is_right else WRONG, name, error,
                              entries=expected.size, message="" if is_right else
                              f"differs from {title}'s gradient by {error:.1e} of the largest entry"))
    return results


def _torch(measured: Measurement, forward: Callable[..., Any]) -> tuple[Array, Mapping[str, Array]]:
    """Return y and the gradients by PyTorch."""
    import torch

    wrt = measured.case.wrt
    tensors = {name: torch.tensor(value, requires_grad=name in wrt) if isinstance(value, np.ndarray) else value
               for name, value in measured.arguments.items()}
    y = forward(**tensors)
    found = torch.autograd.grad(y, [tensors[name] for name in wrt], torch.as_tensor(measured.dy), allow_unused=True) \
        if y.shape == measured.y.shape else [None] * len(wrt)
    return y.detach().numpy(), {name: np.zeros_like(measured.arguments[name]) if gradient is None else gradient.numpy()
                                for name, gradient in zip(wrt, found, strict=True)}


def _jax(measured: Measurement, forward: Callable[..., Any]) -> tuple[Array, Mapping[str, Array]]:
    """Return y and the gradients by JAX, in float64, which JAX has only on request."""
    import jax

    with jax.enable_x64(True):
        arrays = {name: jax.numpy.asarray(value) if isinstance(value, np.ndarray) else value
                  for name, value in measured.arguments.items()}
        wanted = {name: arrays.pop(name) for name in measured.case.wrt}
        y, backward = jax.vjp(lambda wanted: forward(**wanted, **arrays), wanted)
        gradients = backward(jax.numpy.asarray(measured.dy))[0] if y.shape == measured.y.shape else {}
    return np.asarray(y), {name: np.asarray(gradient) for name, gradient in gradients.items()}


LIBRARIES = {"torch": _torch, "jax": _jax}
TITLES = {"torch": "PyTorch", "jax": "JAX"}
