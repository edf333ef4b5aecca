"""Operators on arrays: axes, indices, slices, windows, masks, winners, the order of axes."""

import ast

from npse.zoo.mutation.operator import (
    arithmetic,
    called,
    calls,
    edited,
    expression,
    names_read,
    nodes,
    number,
    operator,
    parameters,
)

REDUCTIONS = ("total", "average", "sum", "mean", "max", "argmax", "min", "cumsum")


def _axes(function):
    """Yield the calls that reduce, and the syntax tree of their axis: a number or a tuple of numbers."""
    for call in calls(function, *REDUCTIONS):
        named = [word.value for word in call.keywords if word.arg == "axis"]
        is_method = isinstance(call.func, ast.Attribute) and not (
            isinstance(call.func.value, ast.Name) and call.func.value.id == "np")
        placed = call.args[0 if is_method else 1:][:1]
        for axis in [*named, *placed][:1]:
            yield call, axis


@operator("not summed", "averaged", "transposed", words=("sum is missing", "takes only the first"))
def leaves_out_an_axis(function):
    """A sum or mean leaves one of its axes out: the axis remains, or only its first place is taken."""
    for call, axis in _axes(function):
        if isinstance(axis, ast.Tuple) and len(axis.elts) > 1:
            for left_out in axis.elts:
                rest = ast.Tuple([one for one in axis.elts if one is not left_out], ast.Load())
                place = left_out.value - sum(one.value < left_out.value for one in rest.elts)
                fewer = edited(call, axis, rest)
                yield call, fewer
                yield call, expression(f"CALL[{':, ' * place}0]", CALL=fewer)


@operator("not summed", "wrong value", "averaged", "transposed", words=("sums over", "summed over", "the softmax over"))
def takes_another_axis(function):
    """A sum, mean, maximum or softmax runs along another axis."""
    for _, axis in _axes(function):
        if isinstance(axis, ast.Constant) and isinstance(axis.value, int):
            for other in (0, 1, 2):
                if other != axis.value:
                    yield axis, number(other)
        elif isinstance(axis, ast.UnaryOp):
            yield axis, number(0)


@operator("not summed", "wrong value", "path missing", words=("broadcast", "keepdims"))
def forgets_keepdims(function):
    """A sum or mean does not keep its axes with size 1, so that it is broadcast along other axes."""
    for call in calls(function, *REDUCTIONS):
        for word in call.keywords:
            if word.arg == "keepdims":
                yield word.value, number(False)
    for node in nodes(function, ast.Subscript):
        index = node.slice.elts if isinstance(node.slice, ast.Tuple) else []
        if any(isinstance(item, ast.Constant) and item.value is None for item in index):
            yield node, node.value


@operator("transposed", "wrong value", "not summed", words=("broadcast", "axes in the order"))
def puts_a_new_axis_elsewhere(function):
    """A new axis of size 1 is put at another place: [None, :] for [:, None]."""
    for node in nodes(function, ast.Subscript):
        if isinstance(node.slice, ast.Tuple):
            items = node.slice.elts
            places = [k for k, item in enumerate(items) if isinstance(item, ast.Constant) and item.value is None]
            if places and any(isinstance(item, ast.Slice) for item in items):
                yield node.slice, ast.Tuple(items[::-1], ast.Load())
                yield node.slice, ast.Tuple(items[1:] + items[:1], ast.Load())


@operator("transposed", "not summed", "path missing", "borders", "channels swapped", "flipped kernel", "wrong value",
          words=("index", "first", "last"))
def takes_another_index(function):
    """An index is off by one, or fixed at 0 where a loop counts."""
    loops = {name.id for loop in nodes(function, ast.For) for name in ast.walk(loop.target)
             if isinstance(name, ast.Name)}
    for node in nodes(function, ast.Subscript):
        items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        for item in items:
            if isinstance(item, ast.Constant) and type(item.value) is int:
                yield item, number(item.value + 1)
                yield item, number(item.value - 1)
            if isinstance(item, ast.Name) and item.id in loops:
                yield item, number(0)


@operator("transposed", "flipped kernel", words=("transposed", "swapped", "axes in the order"))
def exchanges_two_indices(function):
    """The indices i and j of two loops are exchanged."""
    pairs = [loop.target.elts for loop in nodes(function, ast.For) if isinstance(loop.target, ast.Tuple)]
    for first, second in (pair for pair in pairs if len(pair) == 2 and all(isinstance(n, ast.Name) for n in pair)):
        for node in nodes(function, ast.Tuple):
            if [getattr(item, "id", None) for item in node.elts] == [first.id, second.id]:
                yield node, ast.Tuple(node.elts[::-1], node.ctx)
        for call in calls(function, "window"):
            names = names_read(ast.Module([ast.Expr(call)], []), first.id, second.id)
            if len(names) == 2:
                swapped = edited(call, names[0], ast.Name("_", ast.Load()))
                blank, = names_read(ast.Module([ast.Expr(swapped)], []), "_")
                second_place, = names_read(ast.Module([ast.Expr(swapped)], []), names[1].id)
                swapped = edited(swapped, second_place, names[0])
                blank, = names_read(ast.Module([ast.Expr(swapped)], []), "_")
                yield call, edited(swapped, blank, names[1])


@operator("borders", "stride", "path missing", "channels swapped", "not summed", words=("shifted", "first", "last"))
def shifts_a_bound(function):
    """A bound of a slice is off by one, or is left out."""
    for node in nodes(function, ast.Slice):
        for bound in (node.lower, node.upper):
            if bound is not None:
                yield bound, ast.BinOp(bound, ast.Add(), number(1))
                yield bound, ast.BinOp(bound, ast.Sub(), number(1))
        if node.lower is not None:
            yield node, ast.Slice(None, node.upper, node.step)
        if node.step is not None:
            yield node, ast.Slice(node.lower, node.upper, None)


@operator("borders", "stride", "not summed", "path missing", words=("first", "last", "loop"))
def loses_a_turn_of_a_loop(function):
    """A loop leaves out its first or its last turn."""
    for loop in nodes(function, ast.For):
        yield loop.iter, expression("list(ITER)[1:]", ITER=loop.iter)
        yield loop.iter, expression("list(ITER)[:-1]", ITER=loop.iter)


@operator("stride", "borders", "channels swapped", "averaged", "factor", "not summed", "path missing",
          words=("stride", "padding", "dilation", "groups"))
def forgets_an_option(function):
    """The stride, the dilation or the number of groups counts as 1, or the padding as 0."""
    for name in names_read(function, "stride", "dilation", "groups"):
        yield name, number(1)
    for name in names_read(function, "padding"):
        yield name, number(0)


@operator("stride", "borders", "averaged", "factor", "transposed", "not summed", words=("stride", "padding"))
def exchanges_two_sizes(function):
    """One size stands in the place of another: H for W, stride for padding, N for C."""
    pairs = {"H": "W", "W": "H", "Ho": "Wo", "Wo": "Ho", "stride": "padding", "padding": "stride", "N": "C", "C": "N",
             "kh": "kw", "kw": "kh", "size": "stride"}
    known = {name.id for name in nodes(function, ast.Name)} | {argument.arg for argument in function.args.args}
    for name in names_read(function, *pairs):
        if pairs[name.id] in known:
            yield name, ast.Name(pairs[name.id], ast.Load())
    for node in nodes(function, ast.Subscript):
        if isinstance(node.value, ast.Attribute) and node.value.attr == "shape" and \
                isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int):
            yield node.slice, number(node.slice.value - 1 if node.slice.value else 1)


@operator("mask misplaced", "relu at zero", "sigmoid", words=("mask",))
def inverts_a_mask(function):
    """A condition is the opposite one."""
    opposite = {ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq}
    for node in nodes(function, ast.Compare):
        if type(node.ops[0]) in opposite:
            yield node, ast.Compare(node.left, [opposite[type(node.ops[0])]()], node.comparators)
    for node in nodes(function, ast.UnaryOp):
        if isinstance(node.op, ast.Invert):
            yield node, node.operand


@operator("relu at zero", "ties", "mask misplaced", words=("equal", "tie"))
def widens_a_mask(function):
    """A condition counts its border in, or leaves it out: >= for >."""
    other = {ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Lt: ast.LtE, ast.LtE: ast.Lt}
    for node in nodes(function, ast.Compare):
        if type(node.ops[0]) in other:
            yield node, ast.Compare(node.left, [other[type(node.ops[0])]()], node.comparators)


@operator("mask missing", "mask misplaced", "path missing", "sigmoid", words=("mask",))
def removes_a_mask(function):
    """A mask is left out: everything passes."""
    masks = nodes(function, ast.Compare)
    for node in arithmetic(function, ast.Mult):
        if isinstance(node.right, (ast.Compare, ast.BoolOp)) or node.right in masks:
            yield node, node.left
    for node in nodes(function, ast.BinOp):
        if isinstance(node.op, ast.BitAnd):
            yield node, node.left
            yield node, node.right
    for call in calls(function, "where"):
        if len(call.args) == 3:
            yield call, call.args[1]
            yield call, call.args[2]
    for call in calls(function, "relu_backward"):
        yield call, call.args[0]


@operator("mask misplaced", "relu at zero", "wrong value", words=("mask",))
def masks_by_another_array(function):
    """The condition of a mask reads another array."""
    for node in nodes(function, ast.Compare):
        if isinstance(node.left, ast.Name) and not isinstance(node.ops[0], (ast.Is, ast.IsNot)):
            yield from ((node.left, ast.Name(other, ast.Load())) for other in parameters(function)
                        if other != node.left.id)
    for call in calls(function, "relu_backward"):
        for other in parameters(function):
            if isinstance(call.args[1], ast.Name) and call.args[1].id != other:
                yield call.args[1], ast.Name(other, ast.Load())


@operator("mask misplaced", "ties", "sigmoid", "sign", words=("mask", "maximum", "minimum"))
def exchanges_winner_and_loser(function):
    """The smallest takes the place of the largest, or the two cases of a choice are exchanged."""
    other = {"argmax": "argmin", "max": "min", "maximum": "minimum", "argmin": "argmax", "min": "max",
             "minimum": "maximum"}
    for call in calls(function, *other):
        if isinstance(call.func, ast.Attribute):
            yield call.func, ast.Attribute(call.func.value, other[called(call)], ast.Load())
    for call in calls(function, "where"):
        if len(call.args) == 3:
            yield call, ast.Call(call.func, [call.args[0], call.args[2], call.args[1]], [])


@operator("channels swapped", "transposed", words=("transpos", "swapped", "axes in the order"))
def forgets_a_transposition(function):
    """A matrix is used as it is where its transpose belongs, or the reverse."""
    for node in nodes(function, ast.Attribute):
        if node.attr == "T":
            yield node, node.value
    for call in calls(function, "transpose", "swapaxes"):
        if isinstance(call.func, ast.Attribute) and not isinstance(call.func.value, ast.Name):
            yield call, call.func.value
    for node in nodes(function, ast.BinOp):
        if isinstance(node.op, ast.MatMult):
            yield node.right, ast.Attribute(node.right, "T", ast.Load())
            yield node.left, ast.Attribute(node.left, "T", ast.Load())


@operator("channels swapped", "transposed", "swapped", words=("transpos", "swapped", "axes in the order"))
def exchanges_the_factors_of_a_matrix_product(function):
    """The product a @ b becomes b @ a, or the transpose of what it should be."""
    for node in nodes(function, ast.BinOp):
        if isinstance(node.op, ast.MatMult):
            yield node, ast.BinOp(node.right, node.op, node.left)
            yield node, expression("(A @ B).T", A=node.left, B=node.right)
            yield node, expression("(A @ B).T.reshape((A @ B).shape)", A=node.left, B=node.right)


@operator("channels swapped", "swapped", "transposed", words=("another order", "swapped"))
def joins_in_another_order(function):
    """Parts are put together, or subscripts are written, in another order."""
    for call in calls(function, "concatenate", "stack", "hstack"):
        if call.args and isinstance(call.args[0], (ast.List, ast.Tuple)):
            parts = call.args[0]
            yield parts, type(parts)(parts.elts[::-1], ast.Load())
    for call in calls(function, "einsum"):
        rule, _, result = call.args[0].value.partition("->")
        if len(result) > 1:
            yield call.args[0], number(f"{rule}->{result[:-2]}{result[-1]}{result[-2]}")
    for call in calls(function, "reshape"):
        if len(call.args) > 2:
            yield call, ast.Call(call.func, [*call.args[:-2], call.args[-1], call.args[-2]], [])


@operator("flipped kernel", "transposed", "channels swapped", words=("mirrored", "reversed", "flipped", "unflipped"))
def mirrors_an_axis(function):
    """An array is read, or a result is stored, from last to first; or a reversal is forgotten."""
    for node in nodes(function, ast.Slice):
        if node.step is not None and ast.unparse(node.step) == "-1":
            yield node, ast.Slice(None, None, None)
    for node in nodes(function, ast.Subscript):
        items = node.slice.elts if isinstance(node.slice, ast.Tuple) else []
        if len(items) == 2 and all(isinstance(item, ast.Name) for item in items):
            yield node.slice, ast.Tuple([expression("-1 - I", I=item) for item in items], ast.Load())
    for name in names_read(function, *parameters(function)[1:]):
        yield name, expression("A[::-1]", A=name)
