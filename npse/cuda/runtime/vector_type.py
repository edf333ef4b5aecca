"""Numba's type of a vector: neighbouring numbers that a thread loads, computes with and stores as one value.

A vector of 16 bytes is loaded by one instruction and stored by one. Its arithmetic is that of numbers, lane by lane. A
number beside a vector takes part in every lane.
"""

import operator

from llvmlite import ir
from numba.cuda import types
from numba.cuda.cudadecl import registry
from numba.cuda.cudaimpl import lower
from numba.cuda.extending import core_models, lower_cast, register_model
from numba.cuda.typeconv import Conversion
from numba.cuda.typing.templates import AbstractTemplate, signature


class Vector(types.Type):
    """``count`` numbers of a type of Numba."""

    def __init__(self, number, count):
        self.number, self.count = number, count
        super().__init__(f"vector({number} x {count})")

    def can_convert_from(self, typing, other):
        """A number becomes a vector that has it in every lane."""
        return Conversion.safe if isinstance(other, types.Number) else None


class _Lanes(types.Type):
    """The numbers of a vector, a vector of LLVM. `Vector` is a structure around it, as shared arrays require."""

    def __init__(self, vector):
        self.vector = vector
        super().__init__(f"lanes of {vector}")


@register_model(Vector)
class _VectorModel(core_models.StructModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, [("lanes", _Lanes(vector))])


@register_model(_Lanes)
class _LanesModel(core_models.PrimitiveModel):
    def __init__(self, manager, lanes):
        number = manager[lanes.vector.number].get_value_type()
        super().__init__(manager, lanes, ir.VectorType(number, lanes.vector.count))


@lower_cast(types.Number, Vector)
def _broadcast(context, builder, number, vector, value):
    return _joined(context, builder, vector, [context.cast(builder, value, number, vector.number)] * vector.count)


def _joined(context, builder, vector, numbers):
    lanes = ir.Constant(context.get_value_type(_Lanes(vector)), ir.Undefined)
    for lane, number in enumerate(numbers):
        lanes = builder.insert_element(lanes, number, ir.IntType(32)(lane))
    return builder.insert_value(ir.Constant(context.get_value_type(vector), ir.Undefined), lanes, 0)


def _lane(builder, kind, value, lane):
    """Return one number of a vector; of another value the value itself."""
    if not isinstance(kind, Vector):
        return value
    return builder.extract_element(builder.extract_value(value, 0), ir.IntType(32)(lane))


def extend(function, of_numbers, *patterns):
    """Make a function of kernels take vectors.

    Parameters
    ----------
    function : function
        As kernels name it, such as operator.add.
    of_numbers : function
        An operator, or a device function, that computes one lane.
    *patterns : tuple of types
        The types of arguments for which the implementation is registered.
    """
    def scalar(typing, kinds):
        """Return Numba's type of ``of_numbers``, and its signature for one lane."""
        callee = typing.resolve_value_type(of_numbers)
        kinds = [kind.number if isinstance(kind, Vector) else kind for kind in kinds]
        return callee, kinds, callee.get_call_type(typing, kinds, {})

    class Template(AbstractTemplate):
        key = function

        def generic(self, kinds, keywords):
            counts = {kind.count for kind in kinds if isinstance(kind, Vector)}
            if len(counts) > 1 or (not counts and function is of_numbers):
                return None
            result = scalar(self.context, kinds)[2].return_type
            return signature(Vector(result, counts.pop()) if counts else result, *kinds)

    def build(context, builder, signature, values):
        callee, kinds, of_lane = scalar(context.typing_context, signature.args)
        implementation = context.get_function(callee, of_lane)
        for library in getattr(implementation, "libs", ()):
            context.active_code_library.add_linking_library(library)

        def result(lane):
            numbers = [_lane(builder, *pair, lane) for pair in zip(signature.args, values, strict=True)]
            return implementation(builder, [context.cast(builder, *three) for three in
                                            zip(numbers, kinds, of_lane.args, strict=True)])

        vector = signature.return_type
        if not isinstance(vector, Vector):
            return result(0)
        return _joined(context, builder, vector, map(result, range(vector.count)))

    registry.register_global(function, types.Function(Template))
    for pattern in patterns:
        lower(function, *pattern)(build)


def extend_lane(function):
    """Make function(value, place) return one number of a vector in kernels, and of a number the number itself."""
    class Template(AbstractTemplate):
        key = function

        def generic(self, kinds, keywords):
            kind = kinds[0]
            return signature(kind.number if isinstance(kind, Vector) else kind, kind, types.int32)

    def build(context, builder, signature, values):
        value, place = values
        is_vector = isinstance(signature.args[0], Vector)
        return builder.extract_element(builder.extract_value(value, 0), place) if is_vector else value

    registry.register_global(function, types.Function(Template))
    for kind in (Vector, types.Number):
        lower(function, kind, types.Integer)(build)


def extend_join(function):
    """Make function(*numbers) return a vector of these numbers in kernels."""
    class Template(AbstractTemplate):
        key = function

        def generic(self, kinds, keywords):
            return signature(Vector(kinds[0], len(kinds)), *kinds[:1] * len(kinds))

    def build(context, builder, signature, values):
        return _joined(context, builder, signature.return_type, values)

    registry.register_global(function, types.Function(Template))
    lower(function, types.VarArg(types.Any))(build)


for _name in ("add", "sub", "mul", "truediv", "iadd", "isub", "imul", "itruediv", "lt", "gt"):
    extend(getattr(operator, _name), getattr(operator, _name),
           (Vector, Vector), (Vector, types.Number), (types.Number, Vector))
