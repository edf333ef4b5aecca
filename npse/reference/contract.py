"""The declaration of an op, `@op`: what every other place needs to know of it is read from here.

    @op("u: N H W C, s: N C -> y: N H W C", flops=1)
    def scale(u: Array, s: Array) -> Array:

The declaration names each array among the arguments, with its axes, and each result:

    u: N H W C              an array of floating-point elements; a letter is one size throughout the call
    b?: K                   the argument may be None
    x_shape: (N H W C)      the sizes of an array, as a tuple, in place of the array
    x: *                    an array of any shape; all arguments declared so have the same shape
    labels: N int           an array of integers; of bytes: uint8

Ho and Wo are the sizes of a result that follow from the others; the hook ``sizes`` computes them. Arguments that are
not declared (stride, eps) are no arrays. From the declarations follow the table of ops, `TABLE`; the checks of every
edition; the kinks that the judge looks for; what ``npse bench`` counts; and the lists of the tests.
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
REMEMBERED = 4096                # combinations of shapes and dtypes that an op keeps as known to fit
_Names: TypeAlias = str | tuple[str, ...] | None
_Kink: TypeAlias = Literal["relu"] | Op | None
_Flops: TypeAlias = float | Op | None
_Function = TypeVar("_Function", bound=Op)


def op(axes: str, *, backward: _Names = "{}_backward", fixed: tuple[str, ...] = (), kink: _Kink = None,
       flops: _Flops = None, sizes: Op | None = None, values: Op | None = None) -> Callable[[_Function], _Function]:
    """Declare the function below to be an op of the book: it checks its arguments from then on.

    Parameters
    ----------
    axes : str
        Arguments and results, as above; arguments in the order in which they are checked.
    backward : str, tuple of str or None
        Names of the ops that compute its gradients, where {} stands for the op's own name. None if it has none.
    fixed : tuple of str
        Array arguments that no gradient is computed for.
    kink : "relu" or function, optional
        Where it has no derivative. "relu": where its (first) result changes between zero and more. A function gets
        the arguments of the op and returns an array of what was chosen, as a mask or as indices of winners.
    flops : number or function, optional
        Floating-point operations for each element of the largest array; or, from the arguments and ``y``, the result
        of the call, all of them. A multiply-add counts as two, a comparison as one.
    sizes : function, optional
        ``sizes(op, letters, **arguments)`` gets the name of the op, the sizes by letter, and those arguments of the op
        that it names. It returns Ho and Wo, or raises the ValueError of arguments that do not fit. Its answer is kept
        for each combination of shapes and arguments.
    values : function, optional
        The same for what depends on the elements of arrays; it is called each time, and returns nothing.

    Returns
    -------
    A decorator. The function it returns has the signature, the docstring and the source of the one given, and the
    attribute ``contract``, a `Contract`.
    """
    def declare(function: _Function) -> _Function:
        contract = Contract(function, axes, backward, fixed, kink, flops, sizes, values)

        @functools.wraps(function)
        def checked(*arguments: Any, **options: Any) -> Any:
            contract.check(arguments, options)
            return function(*arguments, **options)

        checked.contract = contract           # type: ignore[attr-defined]      # a function may have attributes
        return enter(function.__name__, cast(_Function, checked))
    return declare


def enter(name: str, op: _Function) -> _Function:
    """Enter an op into the table under a name, its own or a second one, and return it; ValueError if it is taken."""
    if name in TABLE:
        raise ValueError(f"two ops are called {name!r}; rename one of them")
    TABLE[name] = op
    return op


class Contract:
    """What is declared of an op.

    Attributes
    ----------
    name : str
    arguments, results : dict of str to str
        The arrays with their axes, as declared.
    optional, fixed : frozenset of str
        Arguments that may be None; arrays that no gradient is computed for.
    backward : tuple of str
    kink, operations : as given to `op`
    """

    def __init__(self, function: Op, axes: str, backward: _Names = "{}_backward", fixed: tuple[str, ...] = (),
                 kink: _Kink = None, flops: _Flops = None, sizes: Op | None = None, values: Op | None = None) -> None:
        self.name, self.signature = function.__name__, inspect.signature(function)
        arguments, results = map(_parsed, axes.split("->"))
        self.optional = frozenset(name.rstrip("?") for name in arguments if name.endswith("?"))
        self.arguments = {name.rstrip("?"): letters for name, letters in arguments.items()}
        self.results, self.fixed, self.kink, self.operations = results, frozenset(fixed), kink, flops
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

        ``seen``, if given, turns an argument into what the checks of elements may look at.
        A call whose number of arguments is wrong is left to the function itself, which raises the TypeError.

        Raises
        ------
        TypeError, ValueError
            See `npse.reference.checks.expect`, and what the hooks raise.
        """
        try:
            key = self._key(arguments, options)
            dtypes, letters = self._known[key]
        except (KeyError, TypeError, AttributeError):             # not seen before, or no array where one must be
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
        """All that the checks depend on but for elements of arrays, as a tuple that can be hashed."""
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
        arrays, floats, first = {}, {}, None
        for name, axes in self.arguments.items():
            value = given[name]
            if value is None and name in self.optional:
                continue
            *letters, kind = axes.strip("()").split()
            if axes.startswith("("):
                value = _sizes_in(self.name, name, value)
            elif kind in KINDS:
                expect_kind(self.name, name, value, kind)
                value = value.shape
            else:
                floats[name] = value
            if axes == "*":
                first = value if first is None else first
                axes = " ".join(f"d{k}" for k in range(getattr(first, "ndim", 0)))
            elif kind in KINDS:
                axes = " ".join(letters)
            arrays[name] = value, axes.strip("()")
        _expect_one_shape(self.name, {name: given[name] for name, axes in self.arguments.items() if axes == "*"})
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
        """What a call chose at its kinks, as an array of booleans or integers; None for an op without kinks."""
        if self.kink == "relu":
            return (result[0] if isinstance(result, tuple) else result) > 0
        return None if self.kink is None else self.kink(*arguments)

    def flops(self, arguments: tuple[Any, ...], result: Any) -> float | None:
        """Floating-point operations of a call by the formula of the book; None if they were not declared."""
        if self.operations is None:
            return None
        if callable(self.operations):
            return self.operations(*arguments, y=result)
        results = result if isinstance(result, tuple) else (result,)
        return self.operations * max(value.size for value in (*arguments, *results) if hasattr(value, "dtype"))


class _Hook:
    """A function that is given those arguments of an op that it names."""

    def __init__(self, function: Op | None) -> None:
        self.function = function
        self.names = tuple(inspect.signature(function).parameters)[2:] if function else ()

    def __call__(self, op: str, letters: dict[str, int], given: dict[str, Any],
                 seen: Callable[[Any], Any] | None = None) -> Any:
        if not self.function:
            return None
        named = {name: given[name] for name in self.names}
        return self.function(op, letters, **({name: seen(value) for name, value in named.items()} if seen else named))


def _parsed(declared: str) -> dict[str, str]:
    """Turn "u: N H W C, s: N C" into {"u": "N H W C", "s": "N C"}."""
    found = [re.fullmatch(r"\s*(\w+\??)\s*:\s*(.*?)\s*", part) for part in declared.split(",")]
    names = {match[1]: match[2] for match in found if match}
    if len(names) < len(found):
        raise ValueError(f"{declared.strip()!r} does not read as name: axes, name: axes, ...")
    return names


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
