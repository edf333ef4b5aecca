"""The declarations of ops, `npse.reference.contract.op`: they are complete and right, and a call costs little time."""

import inspect
from types import SimpleNamespace

import numpy as np
import pytest

from npse import backend, reference
from npse.gradcheck import CASES
from npse.reference.contract import Contract


def problems(ops, cases):
    """Yield a line for each thing that ops, a dict of name to function with a contract, or their cases lack."""
    for name, op in ops.items():
        contract, judged = op.contract, [case for case in cases if name in case.ops]
        if not judged:
            yield f"{name} has no case: add one to npse/gradcheck/cases"
        if not inspect.getdoc(op):
            yield f"{name} has no docstring"
        if "_backward" not in name:
            for backward in contract.backward:
                if backward not in ops:
                    yield f"{name} has no {backward}: write it under {name}, or declare backward=None"
        kinks = any(case.kinks is not None and case.op == name for case in judged)
        if kinks and contract.kink is None and "_backward" not in name:
            yield f"{name} has a kink that is not declared: add kink= to its @op"
        if contract.kink is not None and not kinks and any(case.op == name and case.wrt for case in judged):
            yield f"{name} declares a kink, but no case of it has kinks"


def test_no_op_lacks_anything():
    assert not list(problems({name: getattr(reference, name) for name in reference.OPS}, CASES))


def planted(axes, **more):
    def leaky(x):
        """A leaky ReLU."""
        return np.where(x > 0, x, 0.1 * x)
    leaky.contract = Contract(leaky, axes, **more)
    return {"leaky": leaky, "leaky_backward": reference.relu_backward}


JUDGED = SimpleNamespace(ops=("leaky", "leaky_backward"), op="leaky", kinks=lambda x: [x], wrt=("x",))


@pytest.mark.parametrize(("ops", "cases", "words"), [
    (planted("x: * -> y: *", kink="relu"), [], "leaky has no case"),
    (planted("x: * -> y: *"), [JUDGED], "leaky has a kink that is not declared"),
    (planted("x: * -> y: *", kink="relu", backward="leaky_gradient"), [JUDGED], "leaky has no leaky_gradient"),
    (planted("x: * -> y: *", kink="relu"), [SimpleNamespace(**vars(JUDGED) | {"kinks": None})], "no case of it has"),
])
def test_an_op_that_lacks_something_is_refused(ops, cases, words):
    assert any(words in problem for problem in problems(ops, cases))


def test_every_array_of_every_call_has_the_axes_that_are_declared():
    seen, wrong = set(), []

    def compare(op, arguments, result):
        contract, seen_here = op.contract, {}
        seen.add(str(op))
        given = dict(zip(contract.signature.parameters, arguments, strict=True))
        for name, axes in contract.arguments.items():
            if isinstance(given[name], np.ndarray):
                letters = [letter for letter in axes.split() if letter not in ("uint8", "int", "bool")]
                shape = given[name].shape
                seen_here |= {"*": shape} if axes.startswith("*") else dict(zip(letters, shape, strict=True))
            elif axes.startswith("("):
                seen_here |= dict(zip(axes.strip("()").split(), given[name], strict=True))
        results = result if isinstance(result, tuple) else (result,)
        most, least = len(contract.results), sum(not name.endswith("?") for name in contract.results)
        if not least <= len(results) <= most:
            wrong.append(f"{op} returns {len(results)} results, but {least} to {most} are declared")
        for (name, axes), array in zip(contract.results.items(), results, strict=False):
            shape = np.shape(array)
            if axes == "*":
                right = shape == seen_here["*"]
            else:
                letters = axes.split()
                right = len(shape) == len(letters) and all(
                    seen_here.setdefault(letter, size) == size for letter, size in zip(letters, shape, strict=True))
            if not right:
                wrong.append(f"{op}: {name} is declared as {axes!r}, but has shape {shape}")

    with backend.using_edition("reference"), backend.observing(compare) as ops:
        for case in CASES:
            arguments = case.arguments(np.random.default_rng(0))
            y = case.forward(ops, **arguments)
            if case.backward:
                case.backward(ops, np.ones_like(y)[()], **arguments)
    assert not wrong
    assert seen == set(reference.OPS)


@pytest.mark.parametrize(("axes", "words"), [
    ("x: N C -> y", "does not read as"), ("u: N C -> y: N C", "names u, but the arguments are x"),
])
def test_an_impossible_declaration_is_refused(axes, words):
    with pytest.raises((TypeError, ValueError), match=words):
        Contract(lambda x: x, axes)


def test_two_ops_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two ops are called 'relu'"):
        reference.contract.op("x: * -> y: *")(reference.relu.__wrapped__)


def test_only_a_combination_that_was_checked_before_is_known():
    x, w = np.ones((1, 4, 4, 2)), np.ones((3, 3, 2, 2))
    assert reference.conv2d(x, w, 1, 1).shape == (1, 4, 4, 2)
    for stride in (1.0, 0):                                       # 1.0 == 1, which is known
        with pytest.raises(ValueError, match="stride"):
            reference.conv2d(x, w, stride, 1)
    with pytest.raises(TypeError, match="plain array"):
        reference.relu(np.ma.masked_array(np.ones(3)))
    with pytest.raises(TypeError, match=r"scale\(\) missing 1 required positional argument"):
        reference.scale(x)
    contract = reference.relu.contract
    for size in range(1, 9000):
        contract.check((np.empty(size),), {})
    assert len(contract._known) <= 4096
