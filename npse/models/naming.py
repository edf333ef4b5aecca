"""How a model gets its name: a decorator adds a function with typed options to the table of all models."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec

from npse.layers import Sequential
from npse.models.options import parameters_of
from npse.support.names import suggest

P = ParamSpec("P")
MODELS: dict[str, Callable[..., Sequential]] = {}


def unknown_option(name: str, options: Iterable[str]) -> str | None:
    """Return a message about the first option that the model ``name`` does not have; None if it has all."""
    known = inspect.signature(MODELS[name]).parameters
    for option in options:
        if option not in known:
            return f"{name} has no option {option}; {suggest(option, known)}"
    return None



def model(family: Callable[..., Sequential], **defaults: Any) -> Callable[[Callable[P, Sequential]],
                                                                           Callable[P, Sequential]]:
    """Return a decorator that adds a function to `MODELS`, with the options of ``family``, some with other defaults."""
    options = [parameter.replace(default=defaults.get(parameter.name, parameter.default))
               for parameter in parameters_of(family)]

    def enter(make: Callable[P, Sequential]) -> Callable[P, Sequential]:
        name = make.__name__

        @functools.wraps(make)
        def named(*arguments: P.args, **given: P.kwargs) -> Sequential:
            if unknown := unknown_option(name, given):
                raise TypeError(unknown)
            return make(*arguments, **{**defaults, **given})

        named.__signature__ = inspect.Signature(options, return_annotation=Sequential)      # type: ignore[attr-defined]
        MODELS[name] = named
        return named
    return enter

