"""The declaration of an op, `@op`. All other code reads from it what it needs to know about the op.

    @op("u: N H W C, s: N C -> y: N H W C", flops=1)
    def scale(u: Array, s: Array) -> Array:

The declaration names each array among the arguments, with its axes, and each result:

    u: N H W C              an array of floating-point elements; the same letter is the same size in all arguments
    b?: K                   the argument may be None
    x_shape: (N H W C)      the sizes of an array, as a tuple, in place of the array
    x: *                    an array of any shape; all arguments that are declared with * have the same shape
    labels: N int           an array of integers; likewise uint8 and bool
    mask: * bool            an array of booleans of the shape of all that are declared with *

A result with a question mark may be left out: `split` returns as many maps as its argument says.

Ho and Wo are sizes of a result that are computed from other sizes, by the hook ``sizes``. Arguments that are not
declared (stride, eps) are not arrays. The declarations are the source of the table of ops, `TABLE`, of the checks of
every edition, of the kinks that the judge looks for, of the counts of ``npse bench``, and of the lists of the tests.
"""

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias, TypeVar, cast

import numpy as np

from npse.reference.checks import KINDS, expect, expect_array, expect_kind
from npse.types import Array, Op, Shape

TABLE: dict[str, Op] = {}        # every op of the book by its name, in the order of the chapters
DERIVED = {"Ho", "Wo"}           # letters that `sizes` computes
REMEMBERED = 4096                # combinations of shapes and dtypes for which an op keeps the result of its checks
_Names: TypeAlias = str | tuple[str, ...] | None
_Kink: TypeAlias = Literal["relu"] | Op | None
_Flops: TypeAlias = float | Op | None
_Function = TypeVar("_Function", bound=Op)


def op(axes: str, *, backward: _Names = "{}_backward", fixed: tuple[str, ...] = (), kink: _Kink = None,
       flops: _Flops = None, multiply_adds: _Flops = None, sizes: Op | None = None,
       values: Op | None = None) -> Callable[[_Function], _Function]:
    """Return a decorator that declares a function as an op of the book. The op checks its arguments in every call.

    Parameters
    ----------
    axes : str
        Arguments and results, as in the head of this file. The arguments are checked in this order.
    backward : str, tuple of str or None
        Names of the ops that compute its gradients. {} is the op's own name. None if it has none.
    fixed : tuple of str
        Array arguments for which no gradient is computed.
    kink : "relu" or function, optional
        The points where it has no derivative. "relu": where its (first) result changes between zero and a positive
        number. A function gets the arguments of the op. It returns the choices as an array: a mask, or the indices of
        the maxima.
    flops : number or function, optional
        A number: the floating-point operations for each element of the largest array. A function: it gets the arguments
        and the result ``y``, and returns the operations of the call. A multiply-add counts as two, a comparison as one.
    multiply_adds : number or function, optional
        Likewise the products with weights or gates, and the additions of an average: what the paper calls FLOPs. None
        for all other ops, such as batch norm, which inference can merge with the convolution before it.
    sizes : function, optional
        ``sizes(op, letters, **arguments)`` gets the name of the op, the sizes by letter, and those arguments of the op
        that are among its own parameters. It returns Ho and Wo, or raises ValueError if arguments do not fit. Its
        result is kept for each combination of shapes and arguments.
    values : function, optional
        A function with the same arguments that checks the elements of arrays. It is called each time, and returns
        nothing.

    Returns
    -------
    A decorator. It returns a function with the signature, the docstring and the source of the decorated one, and with
    the attribute ``contract``, a `Contract`.
    """
    def declare(function: _Function) -> _Function:
        contract = Contract(function, axes, backward, fixed, kink, flops, sizes, values, multiply_adds)

        @functools.wraps(function)
        def checked(*arguments: Any, **options: Any) -> Any:
            contract.check(arguments, options)
            return function(*arguments, **options)

        checked.contract = contract           # type: ignore[attr-defined]      # a function may have attributes
        return enter(function.__name__, cast(_Function, checked))
    return declare


def enter(name: str, op: _Function) -> _Function:
    """Add an op to the table under its own name or a second one, and return it; ValueError if the name is in use."""
    if name in TABLE:
        raise ValueError(f"two ops are called {name!r}; rename one of them")
    TABLE[name] = op
    return op


class Contract:
    """The declaration of an op.

    Attributes
    ----------
    name : str
    arguments, results : dict of str to str
        The arrays by name, with their axes as declared.
    optional, fixed : frozenset of str
        Arguments that may be None; arrays for which no gradient is computed.
    backward : tuple of str
    kink, operations, products : as given to `op` as ``kink``, ``flops`` and ``multiply_adds``
    """

    def __init__(self, function: Op, axes: str, backward: _Names = "{}_backward", fixed: tuple[str, ...] = (),
                 kink: _Kink = None, flops: _Flops = None, sizes: Op | None = None, values: Op | None = None,
                 multiply_adds: _Flops = None) -> None:
        self.name, self.signature = function.__name__, inspect.signature(function)
        arguments, results = map(_parsed, axes.split("->"))
        self.optional = frozenset(name.rstrip("?") for name in arguments if name.endswith("?"))
        self.arguments = {name.rstrip("?"): letters for name, letters in arguments.items()}
        self.results, self.fixed, self.kink = results, frozenset(fixed), kink
        self.operations, self.products = flops, multiply_adds
        names = (backward,) if isinstance(backward, str) else backward or ()
        self.backward = tuple(name.format(self.name) for name in names)
        self._sizes, self._values = _Hook(sizes), _Hook(values)
        self._known: dict[tuple[Any, ...], tuple[frozenset[np.dtype[Any]], dict[str, int]]] = {}
        if unknown := {*self.arguments, *self.fixed, *self._sizes.names, *self._values.names} - {*self._parameters()}:
            raise TypeError(f"{self.name}: the declaration names {', '.join(sorted(unknown))}, "
                            f"but the arguments are {', '.join(self._parameters())}")
        keys = {name: _key_of_sizes if letters.startswith("(") else _key_of_array
                for name, letters in self.arguments.items()}
        keys = dict.fromkeys(self._sizes.names, _key_of_value) | keys
        self._by_name = keys
        self._by_position = [(k, keys[name]) for k, name in enumerate(self._parameters()) if name in keys]

    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return self.signature.parameters

    def check(self, arguments: tuple[Any, ...], options: dict[str, Any],
              seen: Callable[[Any], Any] | None = None) -> frozenset[np.dtype[Any]]:
        """Check the arguments of a call; return the dtypes of its floating-point arrays, a frozenset.

        If ``seen`` is given, the checks of elements get ``seen(argument)`` instead of each argument.
        A call with a wrong number of arguments is not checked here: the function itself raises the TypeError.

        Raises
        ------
        TypeError, ValueError
            See `npse.reference.checks.expect`, and the errors of the hooks.
        """
        try:
            key = self._key(arguments, options)
            dtypes, letters = self._known[key]
        except (KeyError, TypeError, AttributeError):             # a new combination, or an argument that is no array
            try:
                given = self._given(arguments, options)
            except TypeError:
                return frozenset()
            dtypes, letters = self._examined(given)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[self._key(arguments, options)] = dtypes, letters
        if self._values.function:
            self._values(self.name, letters, self._given(arguments, options), seen)
        return dtypes

    def _key(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, ...]:
        """Return all that the checks depend on, except elements of arrays, as a hashable tuple."""
        count = len(arguments)
        key = [count, *[key_of(arguments[k]) for k, key_of in self._by_position if k < count]]
        if options:
            key += [(name, self._by_name[name](value)) for name, value in options.items() if name in self._by_name]
        return tuple(key)

    def _given(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
        bound = self.signature.bind(*arguments, **options)
        bound.apply_defaults()
        return bound.arguments

    def _examined(self, given: dict[str, Any]) -> tuple[frozenset[np.dtype[Any]], dict[str, int]]:
        arrays, floats = {}, {}
        first: Any = None                         # the shape of all that are declared with *
        for name, axes in self.arguments.items():
            value = given[name]
            if value is None and name in self.optional:
                continue
            if axes.startswith("*") and first is None:
                first = getattr(value, "shape", ())
            *letters, kind = axes.strip("()").split()
            if axes.startswith("("):
                value = _sizes_in(self.name, name, value)
            elif kind in KINDS:
                expect_kind(self.name, name, value, kind)
                value = value.shape
            else:
                floats[name] = value
            if axes.startswith("*"):
                axes = " ".join(f"d{k}" for k in range(len(first)))
            elif kind in KINDS:
                axes = " ".join(letters)
            arrays[name] = value, axes.strip("()")
        _expect_one_shape(self.name, {name: given[name] for name, axes in self.arguments.items()
                                      if axes.startswith("*")})
        known = {name: (value, axes) for name, (value, axes) in arrays.items() if not DERIVED & {*axes.split()}}
        expect(self.name, **known)
        sizes: dict[str, int] = {}
        for value, axes in known.values():
            sizes |= zip(axes.split(), getattr(value, "shape", value), strict=True)
        sizes |= self._sizes(self.name, sizes, given) or {}
        if len(known) < len(arrays):
            expect(self.name, **{name: (value, _filled_in(axes, sizes)) for name, (value, axes) in arrays.items()})
        return frozenset(value.dtype for value in floats.values()), sizes

    def choices(self, arguments: tuple[Any, ...], result: Any) -> Array | None:
        """Return the choices of a call at its kinks, an array of booleans or integers; None for an op without kinks."""
        if self.kink == "relu":
            return (result[0] if isinstance(result, tuple) else result) > 0
        return None if self.kink is None else self.kink(*arguments)

    def flops(self, arguments: tuple[Any, ...], result: Any) -> float | None:
        """Return the floating-point operations of a call by the formula of the book; None if they are not declared."""
        return None if self.operations is None else _count(self.operations, arguments, result)

    def multiply_adds(self, arguments: tuple[Any, ...], result: Any) -> float:
        """Return the multiply-adds of a call as the paper counts them; 0 if none are declared."""
        return 0 if self.products is None else _count(self.products, arguments, result)


class _Hook:
    """Calls a function with those arguments of an op that are among its parameters."""

    def __init__(self, function: Op | None) -> None:
        self.function = function
        self.names = tuple(inspect.signature(function).parameters)[2:] if function else ()

    def __call__(self, op: str, letters: dict[str, int], given: dict[str, Any],
                 seen: Callable[[Any], Any] | None = None) -> Any:
        if not self.function:
            return None
        named = {name: given[name] for name in self.names}
        return self.function(op, letters, **({name: seen(value) for name, value in named.items()} if seen else named))


def _count(declared: float | Op, arguments: tuple[Any, ...], result: Any) -> float:
    """Return a count that is declared as a function, or as a number for each element of the largest array."""
    if callable(declared):
        return declared(*arguments, y=result)
    results = result if isinstance(result, tuple) else (result,)
    return declared * max(value.size for value in (*arguments, *results) if hasattr(value, "dtype"))


def _parsed(declared: str) -> dict[str, str]:
    """Turn "u: N H W C, s: N C" into {"u": "N H W C", "s": "N C"}."""
    parts = declared.split(",")
    found = [match for part in parts if (match := re.fullmatch(r"\s*(\w+\??)\s*:\s*(.*?)\s*", part))]
    if len(found) < len(parts):
        raise ValueError(f"{declared.strip()!r} does not read as name: axes, name: axes, ...")
    return {match[1]: match[2] for match in found}


def _sizes_in(op: str, name: str, value: Iterable[int]) -> Shape:
    try:
        sizes = tuple(value)
    except TypeError:
        raise TypeError(f"{op}: {name} must be a tuple of sizes, but is {value!r:.60}") from None
    if not all(isinstance(size, (int, np.integer)) for size in sizes):
        raise TypeError(f"{op}: {name} must hold integers, but is {sizes}")
    return sizes


def _expect_one_shape(op: str, arrays: dict[str, Any]) -> None:
    for name, value in arrays.items():
        expect_array(op, name, value)
    if len({value.shape for value in arrays.values()}) > 1:
        shapes = ", ".join(f"{name} {value.shape}" for name, value in arrays.items())
        raise ValueError(f"{op}: arrays need one shape, but have {shapes}")


def _filled_in(axes: str, letters: dict[str, int]) -> str:
    return " ".join(str(letters[letter]) if letter in DERIVED else letter for letter in axes.split())


def _key_of_array(value: Any) -> tuple[Any, ...] | None:
    return None if value is None else (value.shape, value.dtype, type(value))


def _key_of_sizes(value: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(map(_key_of_value, value))


def _key_of_value(value: Any) -> tuple[type, Any]:
    return type(value), value
