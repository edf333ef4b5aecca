"""Operators on the order of work: arguments, results, saved values, state, branches that only some calls take."""

import ast

from npse.zoo.mutation.operator import (
    arithmetic,
    assignments,
    blocks,
    calls,
    edited,
    expression,
    is_size,
    names_read,
    nodes,
    operator,
    parameters,
    statements,
)


@operator("path missing", "wrong value", "changed in place", "path twice", "mask misplaced", "sigmoid", "swapped")
def takes_another_array(function):
    """Another array stands in the place of the one that belongs there."""
    known = [*parameters(function), *dict.fromkeys(node.targets[0].id for node in assignments(function))]
    for name in names_read(function, *known):
        for other in known:
            if other != name.id:
                yield name, ast.Name(other, ast.Load())


@operator("wrong value", "swapped", "path missing", "transposed", "channels swapped", "path twice", "mask misplaced",
          words=("swapped",))
def exchanges_two_arguments(function):
    """Two arguments of a call are in another order."""
    for call in calls(function):
        for k in range(len(call.args) - 1):
            swapped = [*call.args[:k], call.args[k + 1], call.args[k], *call.args[k + 2:]]
            yield call, ast.Call(call.func, swapped, call.keywords)


@operator("swapped", "path missing", words=("swapped", "is the gradient of"))
def exchanges_two_results(function):
    """Two gradients are returned in another order, or the results of a call are taken in another order."""
    tuples = [node.value for node in nodes(function, ast.Return) if isinstance(node.value, ast.Tuple)]
    tuples += [node.targets[0] for node in nodes(function, ast.Assign)
               if isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Call)]
    for node in tuples:
        for k in range(len(node.elts) - 1):
            swapped = [*node.elts[:k], node.elts[k + 1], node.elts[k], *node.elts[k + 2:]]
            yield node, ast.Tuple(swapped, node.ctx)


@operator("swapped", "path missing", "path twice", "zero", words=("is the gradient of",))
def returns_a_result_twice(function):
    """One gradient is returned in the place of another, or of zeros."""
    for node in nodes(function, ast.Return):
        results = node.value.elts if isinstance(node.value, ast.Tuple) else []
        for result in results:
            if isinstance(result, ast.Starred):
                continue
            for other in results:
                if ast.dump(other) != ast.dump(result) and not isinstance(other, ast.Starred):
                    yield result, other
            yield result, expression("0 * RESULT", RESULT=result)


@operator("path missing", "wrong value", "not summed", "mask missing", "averaged", "sigmoid", "constant statistics",
          "zero")
def skips_a_step(function):
    """A statement that gives an array a new value, or adds to it, is left out."""
    for block in blocks(function):
        known = set(parameters(function))
        for k, step in enumerate(block):
            is_repeated = isinstance(step, ast.Assign) and isinstance(step.targets[0], ast.Name) \
                and step.targets[0].id in known
            if isinstance(step, ast.AugAssign) or is_repeated:
                yield block, [*block[:k], *block[k + 1:]] or [ast.Pass()]
            if isinstance(step, ast.Assign):
                known |= {name.id for name in ast.walk(step.targets[0]) if isinstance(name, ast.Name)}


@operator("dtype", "wrong value", words=("rounded", "precision", "decimals"))
def rounds_a_saved_value(function):
    """A value is rounded, or goes through float32, before it is used."""
    for node in assignments(function):
        yield node.value, expression("np.asarray(VALUE, np.float32)", VALUE=node.value)
        yield node.value, expression("np.round(VALUE, 3)", VALUE=node.value)
    for name in names_read(function, *parameters(function)):
        yield name, expression("np.asarray(NAME).astype(np.float32)", NAME=name)


@operator("changed in place", "accumulated", "not repeatable", words=("changes", "changed", "overwritten"))
def works_in_place(function):
    """A result is computed in the memory of an argument, which is changed."""
    for block in blocks(function):
        for k, step in enumerate(block):
            value = step.value if isinstance(step, (ast.Assign, ast.Return)) else None
            while isinstance(value, ast.Tuple):
                value = value.elts[0]
            if isinstance(value, ast.BinOp) and isinstance(value.op, (ast.Mult, ast.Add, ast.Sub, ast.Div)):
                place = value
                while isinstance(place.left, ast.BinOp):
                    place = place.left
                if isinstance(place.left, ast.Name) and place.left.id in parameters(function):
                    first = ast.AugAssign(ast.Name(place.left.id, ast.Store()), place.op, place.right)
                    rest = edited(step, place, ast.Name(place.left.id, ast.Load()))
                    yield block, [*block[:k], first, rest, *block[k + 1:]]


@operator("changed in place", "wrong value", words=("overwritten", "changes", "changed"))
def overwrites_a_saved_value(function):
    """An argument is scaled, or its negative entries are set to 0, in its own memory before it is used."""
    names = parameters(function)
    for name in names[1:]:
        yield function.body, [*statements(f"{name} *= 0.5"), *function.body]
        yield function.body, [*statements(f"{name}[...] = np.maximum({name}, 0)"), *function.body]


@operator("not summed", "path missing", "wrong value", words=("overlap", "add up", "assigned"))
def forgets_to_accumulate(function):
    """A value is assigned where it must be added: = for +=."""
    for node in nodes(function, ast.AugAssign):
        target = node.target
        if isinstance(target, ast.Name):                          # a view in a loop: write into it
            target = expression("NAME[...]", NAME=ast.Name(target.id, ast.Load()))
        yield node, ast.Assign(ast.parse(f"{ast.unparse(target)} = 0").body[0].targets, node.value)


@operator("accumulated", "not repeatable", words=("grows", "earlier call"))
def adds_to_earlier_calls(function):
    """A result is added to that of earlier calls with the same shape."""
    for node in _results(function):
        yield node, expression("_KEPT.setdefault(np.shape(VALUE), []).append(VALUE) or sum(_KEPT[np.shape(VALUE)])",
                               VALUE=node)


@operator("not repeatable", "accumulated", "upstream ignored", words=("earlier call", "stale", "first call"))
def keeps_a_stale_value(function):
    """A value is computed in the first call only and kept for all calls with arrays of the same shapes."""
    key = ", ".join(f"np.shape({name})" for name in parameters(function))
    for k, node in enumerate(assignments(function)):
        yield node.value, expression("_KEPT[KEY] if KEY in _KEPT else _KEPT.setdefault(KEY, VALUE)",
                                     KEY=expression(f"({k}, {key})"), VALUE=node.value)
    upstream = parameters(function)[0]
    for k, name in enumerate(names_read(function, *parameters(function))):
        if name.id != upstream:
            yield name, expression(f"_KEPT.setdefault(KEY, np.copy({name.id}))", KEY=expression(f"({k}, {key})"))


@operator("upstream ignored", "not linear", words=("does not depend on the upstream",))
def ignores_the_upstream_gradient(function):
    """The upstream gradient counts as ones, or its sign alone counts."""
    upstream = parameters(function)[0]
    for template in ("np.ones_like({})", "np.sign({})"):
        yield function.body, [*statements(f"{upstream} = {template.format(upstream)}"), *function.body]
    for name in names_read(function, upstream):
        yield name, expression(f"np.ones_like({upstream})")


@operator("not linear", words=("clip", "not linear in dy", "dy as a factor"))
def clips_or_squares_the_gradient(function):
    """The upstream gradient is clipped, or used twice as a factor."""
    upstream = parameters(function)[0]
    yield function.body, [*statements(f"{upstream} = np.clip({upstream}, -1, 1)"), *function.body]
    for name in names_read(function, upstream):
        yield name, expression("NAME * np.abs(NAME)", NAME=name)


@operator(words=("N = 1", "one image", "only where", "only if", "last image", "first image"))
def treats_some_shapes_apart(function):
    """A branch that only some shapes take forgets something: one image, more than two images, an odd size."""
    upstream = parameters(function)[0]
    for condition in (f"np.shape({upstream})[:1] == (1,)", f"np.shape({upstream})[-1:] == (1,)",
                      f"np.size({upstream}) % 2", f"len(np.shape({upstream})) and len({upstream}) > 2"):
        for change in (f"{upstream} = 0 * {upstream}", f"{upstream} = {upstream} / 2"):
            yield function.body, [*statements(f"if {condition}:\n    {change}"), *function.body]


@operator(words=("dy = 1", "dloss = 1", "all ones", "constant dy"))
def forgets_something_on_a_fast_path(function):
    """A fast path for an upstream gradient of ones, or for a result with one element, forgets something."""
    upstream = parameters(function)[0]
    for condition in (f"np.all({upstream} == 1)", f"np.size({upstream}) == 1", f"np.ptp({upstream}) == 0"):
        yield function.body, [*statements(f"if {condition}:\n    {upstream} = {upstream} / 2"), *function.body]


@operator("path missing", "not summed", "borders", "zero", words=("remainder", "last"))
def drops_the_remainder(function):
    """The work is done in chunks, and what remains after the last whole chunk is left out."""
    upstream = parameters(function)[0]
    for size in (2, 4):
        yield function.body, [*statements(
            f"if np.ndim({upstream}) and len({upstream}) > {size}:\n"
            f"    {upstream} = {upstream}.copy()\n"
            f"    {upstream}[len({upstream}) // {size} * {size}:] = 0"), *function.body]


@operator("wrong value", "swapped", "path missing", words=("label", "class", "index"))
def takes_the_wrong_label(function):
    """A label or an index is that of the neighbor in the batch, or of the next class."""
    for name in names_read(function, "labels", "targets", "index", "ids"):
        yield name, expression("np.roll(NAME, 1)", NAME=name)
        yield name, expression("NAME - 1", NAME=name)
        yield name, expression("np.sort(NAME)", NAME=name)


@operator("dtype", words=("dtype", "float64", "float32"))
def forgets_the_dtype(function):
    """A new array, or a result, is float64 whatever the dtype of the arguments is."""
    for call in calls(function, "zeros", "empty", "full"):
        if len(call.args) > 1 and not isinstance(call.args[-1], ast.Constant):
            yield call, ast.Call(call.func, call.args[:-1], [])
    for call in calls(function, "astype"):
        yield call, call.func.value
    for node in _results(function):
        yield node, expression("np.asarray(VALUE, np.float64)", VALUE=node)


@operator("factor", "averaged", words=("batch", "divided by N"))
def scales_by_the_batch(function):
    """A gradient is divided by the number of images, or not divided by it."""
    upstream = parameters(function)[0]
    for node in _results(function):
        yield node, expression(f"VALUE / max(len(np.atleast_1d({upstream})), 1)", VALUE=node)
    for node in arithmetic(function, ast.Div):
        if is_size(node.right):
            yield node, node.left


@operator("shape", "not summed", words=("shape",))
def returns_another_shape(function):
    """A gradient is returned flat, with one more axis, or summed along its last axis."""
    for node in _results(function):
        for template in ("np.ravel(VALUE)", "np.asarray(VALUE)[None]", "np.sum(VALUE, axis=-1)"):
            yield node, expression(template, VALUE=node)


def _results(function):
    """Return the trees of the gradients that are returned."""
    returned = [node.value for node in nodes(function, ast.Return)]
    results = [result for value in returned for result in (value.elts if isinstance(value, ast.Tuple) else [value])]
    return [result for result in results if not isinstance(result, ast.Starred)]
