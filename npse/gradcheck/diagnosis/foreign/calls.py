"""Which step each call of NumPy is: ufuncs, functions, indices, and the methods of an array.

A call whose result holds no floating-point numbers, such as a comparison, gives a plain array: no gradient flows
through it. A call that is not listed here ends the record.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from npse.gradcheck.diagnosis.foreign import contraction, steps
from npse.gradcheck.diagnosis.foreign.elementary import BINARY, UNARY
from npse.gradcheck.diagnosis.foreign.reductions import REDUCTIONS
from npse.gradcheck.diagnosis.foreign.special import SPECIAL
from npse.gradcheck.diagnosis.foreign.values import is_floating, is_recorded, plain
from npse.gradcheck.diagnosis.nonlinear import relu
from npse.gradcheck.diagnosis.primitives import add, divide, multiply, square, subtract
from npse.gradcheck.diagnosis.tape import Var
from npse.types import Array

if TYPE_CHECKING:
    from npse.gradcheck.diagnosis.foreign.recorder import Recorded, Recording

ARITHMETIC: dict[str, Callable[..., Var]] = {
    "add": add, "subtract": subtract, "multiply": multiply, "divide": divide}
JOINED = ("concatenate", "stack", "hstack", "vstack", "dstack", "column_stack", "append")
MOVED = ("reshape", "transpose", "swapaxes", "moveaxis", "rollaxis", "squeeze", "expand_dims", "flip", "fliplr",
         "flipud", "roll", "rot90", "broadcast_to", "repeat", "tile", "take", "take_along_axis", "ravel", "atleast_1d",
         "atleast_2d", "atleast_3d", "diagonal", "diag", "tril", "triu", "pad", "split", "array_split", "hsplit",
         "vsplit", "sliding_window_view", "copy", "delete", "compress", "extract", "matrix_transpose", "permute_dims",
         "resize")
METHODS = ("reshape", "transpose", "swapaxes", "squeeze", "repeat", "take", "ravel", "diagonal", "copy", "compress",
           "sum", "mean", "max", "min", "prod", "var", "std", "cumsum", "dot", "clip", "argmax", "argmin", "argsort",
           "any", "all", "nonzero", "round", "trace")


def ufunc(recording: Recording, function: np.ufunc, method: str, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    """A call of a ufunc, or of one of its methods."""
    name, out = function.__name__, options.pop("out", None)
    if method == "at":
        target, key, value = inputs
        if name != "add" or not is_recorded(target):
            raise NotImplementedError(name)
        target.node = assigned(recording, target, key, value, adds=True).node
        return None
    if method == "reduce":
        reduced = {"add": np.sum, "multiply": np.prod, "maximum": np.max, "minimum": np.min}[name]
        return globals()["function"](recording, reduced, inputs, {"axis": 0} | options)
    if method == "outer":
        a, b = inputs
        return function(np.reshape(a, np.shape(plain(a)) + (1,) * np.ndim(plain(b))), b)
    if method != "__call__":
        raise NotImplementedError(method)
    value = function(*map(plain, inputs), **options)
    result = _of_ufunc(recording, name, inputs, value) if is_floating(value) else value
    if out is None:
        return result
    if not is_recorded(out[0]) or out[0].value.shape != np.shape(value):
        raise NotImplementedError("a recorded result is written into a plain array")
    out[0].node = recording.node(result)
    return out[0]


def _of_ufunc(recording: Recording, name: str, inputs: Sequence[Any], value: Array) -> Any:
    nodes = [recording.node(given, side) for side, given in enumerate(inputs)]
    if name in ("sign", "floor", "ceil", "rint", "trunc", "heaviside"):
        return value                                              # piecewise constant
    if name in ARITHMETIC:
        return recording.add(value, nodes, partial(_arithmetic, ARITHMETIC[name]))
    if name == "square" or (name == "power" and not is_recorded(inputs[1]) and np.ndim(inputs[1]) == 0
                            and inputs[1] == 2):
        return recording.add(value, nodes[:1], lambda read, name: square(read[0], name))
    if name == "power" and not is_recorded(inputs[1]) and np.ndim(inputs[1]) == 0:
        return recording.add(value, nodes, lambda read, name: steps.power(read[0], read[1], name))
    if name in ("maximum", "minimum", "fmax", "fmin"):
        return _larger(recording, name, inputs, value)
    if name in ("matmul", "vecdot"):
        terms, out = contraction.of_matmul(*(node.value.ndim for node in nodes))
        return recording.add(value, nodes, lambda read, name: contraction.contract(read, terms, out, name))
    if name in UNARY:
        return recording.add(value, nodes, partial(_elementwise, UNARY[name]))
    slopes, formulas = BINARY[name]
    run = getattr(np, name)

    def build(read: Sequence[Var], name: str) -> Var:
        a, b = read
        left, right = (text.format(a=a.name, b=b.name, y=name) for text in formulas)
        return steps.two_inputs(a, b, name, run, slopes, (left, right))
    return recording.add(value, nodes, build)


def _arithmetic(run: Callable[..., Var], read: Sequence[Var], name: str) -> Var:
    return run(read[0], read[1], name)


def _elementwise(known: Any, read: Sequence[Var], name: str) -> Var:
    run, slope, formula, wrong = known
    x = read[0].name
    return steps.elementwise(read[0], name, run, slope, formula.format(x=x, y=name),
                             [(words.format(x=x, y=name), other) for words, other in wrong])


def _larger(recording: Recording, name: str, inputs: Sequence[Any], value: Array) -> Any:
    a, b = (recording.node(given) for given in inputs)
    if name == "maximum" and not is_recorded(inputs[1]) and not np.any(inputs[1]) and a.value.shape == value.shape:
        return recording.add(value, [a], lambda read, name: relu(read[0], name))
    is_max = name.endswith("max") or name == "maximum"
    sign, run = (">=", np.maximum) if is_max else ("<=", np.minimum)
    first = a.value >= b.value if is_max else a.value <= b.value
    return recording.add(value, [a, b], lambda read, name: steps.choose(
        read[0], read[1], first, f"{read[0].name} {sign} {read[1].name}", run, name))


def function(recording: Recording, given: Callable[..., Any], arguments: Sequence[Any], options: dict[str, Any]) -> Any:
    """A call of a function of NumPy."""
    name = given.__name__.removeprefix("a") if given.__name__ in ("amax", "amin") else given.__name__
    if name in REDUCTIONS:
        return REDUCTIONS[name](recording, *arguments, **options)
    if name in MOVED or name in JOINED:
        return _gathered(recording, given, arguments, options)
    if name in ("zeros_like", "ones_like", "full_like", "empty_like"):
        return _like(recording, name, arguments, options)
    if name in SPECIAL:
        return SPECIAL[name](recording, *arguments, **options)
    value = given(*map(plain, arguments), **{key: plain(option) for key, option in options.items()})
    if is_floating(value):
        raise NotImplementedError(f"no step for {name}")
    return value


def _gathered(recording: Recording, given: Callable[..., Any], arguments: Sequence[Any],
              options: dict[str, Any]) -> Any:
    """A call that moves entries: it is run once more on the numbers of the entries, counted from 1."""
    nodes: list[Any] = []
    start = 1

    def numbered(value: Any) -> Any:
        nonlocal start
        if isinstance(value, (list, tuple)):
            return type(value)(map(numbered, value))
        if not is_recorded(value) and not (given.__name__ in JOINED and is_floating(value)):
            return value
        nodes.append(recording.node(value))
        first, start = start, start + nodes[-1].value.size
        return np.arange(first, start).reshape(nodes[-1].value.shape)
    places = given(*map(numbered, arguments), **options)
    value = given(*map(plain, arguments), **options)
    if isinstance(places, (list, tuple)):
        return [_moved(recording, nodes, *pair) for pair in zip(places, value, strict=True)]
    return _moved(recording, nodes, places, value)


def _moved(recording: Recording, nodes: Sequence[Any], places: Any, value: Any) -> Any:
    places = np.asarray(places)
    keeps_order = len(nodes) == 1 and np.array_equal(places.ravel(), np.arange(nodes[0].value.size) + 1)
    if keeps_order:
        return recording.add(value, nodes, lambda read, name: reshaped(read[0], places.shape))
    return recording.add(value, nodes, lambda read, name: steps.gather(read, places, name))


def reshaped(x: Var, shape: tuple[int, ...]) -> Var:
    """The same entries in the same order; the name stays."""
    return x.tape.step(lambda x: x.reshape(shape), [x], [lambda dy, y, x: dy.reshape(x.shape)], x.name,
                       axes=tuple(f"axis {i}" for i in range(len(shape))))


def index(recording: Recording, x: Recorded, key: Any) -> Any:
    """``x[key]``."""
    places = np.arange(1, x.value.size + 1).reshape(x.value.shape)[key]
    return _moved(recording, [x.node], places, x.value[key])


def assigned(recording: Recording, x: Recorded, key: Any, value: Any, adds: bool = False) -> Recorded:
    """The array after ``x[key] = value``, or after ``np.add.at(x, key, value)``."""
    changed = x.value.copy()
    if adds:
        np.add.at(changed, key, plain(value))
    else:
        changed[key] = plain(value)
    return recording.add(changed, [x.node, recording.node(value)],
                         lambda read, name: steps.assign(read[0], read[1], key, adds, name))


def _like(recording: Recording, name: str, arguments: Sequence[Any], options: dict[str, Any]) -> Any:
    made = np.zeros_like if name == "empty_like" else getattr(np, name)
    value = made(*map(plain, arguments), **options)
    return recording.constant(value) if is_floating(value) else value


def creator(recording: Recording, name: str) -> Callable[..., Any] | None:
    """NumPy's function of that name if it makes a new array: the array is recorded if it holds numbers."""
    if name not in ("zeros", "ones", "empty", "full", "array", "asarray", "ascontiguousarray"):
        return None

    def create(*arguments: Any, **options: Any) -> Any:
        given: Any = arguments[0] if arguments else None
        if name in ("zeros", "ones", "empty", "full"):
            value = getattr(np, "zeros" if name == "empty" else name)(*map(plain, arguments), **options)
            return recording.constant(value) if is_floating(value) else value
        if is_recorded(given):
            is_number = np.dtype(options.get("dtype", float)).kind == "f"
            return (given if name != "array" else np.copy(given)) if is_number else \
                getattr(np, name)(plain(given), **options)
        if isinstance(given, (list, tuple)) and is_recorded(_first(given)):
            return np.stack([create(row) if isinstance(row, (list, tuple)) else row for row in given])
        return getattr(np, name)(*arguments, **options)
    return create


def _first(value: Any) -> Any:
    while isinstance(value, (list, tuple)) and value:
        value = next((item for item in value if is_recorded(item) or isinstance(item, (list, tuple))), None)
    return value


def attribute(x: Recorded, name: str) -> Any:
    """An attribute or a method of a recorded array."""
    if name in ("shape", "ndim", "size", "dtype", "itemsize", "nbytes", "flags", "strides"):
        return getattr(x.value, name)
    if name == "T":
        return np.transpose(x)
    if name == "mT":
        return np.swapaxes(x, -1, -2)
    if name == "flatten":
        return lambda *order: np.ravel(x)
    if name == "astype":
        return lambda dtype, **options: np.copy(x) if np.dtype(dtype).kind == "f" else x.value.astype(dtype, **options)
    if name == "fill":
        return lambda value: x.__setitem__(..., value)
    if name == "item" and not inspect.isroutine(x):
        return lambda *place: x[place] if place else np.reshape(x, ())
    if name not in METHODS:
        raise AttributeError(name)
    called = getattr(np, name)
    if name in ("reshape", "transpose"):
        return lambda *how, **options: called(x, *((how,) if len(how) > 1 else how), **options)
    return lambda *arguments, **options: called(x, *arguments, **options)
