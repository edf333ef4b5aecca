"""Time the convolution of each stage in every variant: Python loops, the book, and the variants of the cpu edition."""

import numpy as np

from npse import backend, reference
from npse.bench import flops
from npse.bench.flops import PASSES
from npse.bench.process import ask
from npse.bench.timing import figures, times
from npse.reference.conv import output_size, products

SAMPLE = 4                       # rows and columns of the output on which the Python loops are timed


def measure_variants(op_rows, threads, seconds, python_loops=True):
    """Time all variants, in fresh processes, on the convolutions found in the rows of `npse.bench.ops.measure`.

    Returns
    -------
    list of dict, rows as from `measure`; those of Python loops come first
    """
    convolutions = by_stage(op_rows)
    rows = ask(measure, threads=threads, seconds=seconds, convolutions=convolutions)
    if python_loops and "cpu" in backend.available():
        rows = ask(measure_python, threads=1, convolutions=convolutions,
                   environment={"NUMBA_DISABLE_JIT": "1"}) + rows
    return rows


def by_stage(op_rows):
    """Return the most frequent convolution of stride 1 for each map size: [x shape, w shape, stride, padding]."""
    found = {}
    for row in sorted(op_rows, key=lambda row: row["count"]):
        if flops.pass_of(row["op"]) == "conv2d" and row["arguments"][2] == 1:
            found[tuple(row["arguments"][0][1:3])] = row["arguments"]
    return [found[size] for size in sorted(found, reverse=True)]


def variants():
    """Return {name: (forward, dx, dw)}: the book, then the variants of the cpu edition, the slowest first.

    A variant raises ValueError for a shape that it does not support.
    """
    book = {"NumPy, the book": tuple(getattr(reference, op) for op in PASSES)}
    if "cpu" not in backend.available():
        return book
    from npse.cpu.conv import VARIANTS

    return book | dict(VARIANTS)


def measure(convolutions, threads, seconds):
    """Time every variant on every convolution and pass.

    Returns
    -------
    list of dict
        ``pass``, ``x``, ``w`` (shapes), ``stride``, ``variant``, ``ms``, ``ms_min``, ``gflops``, ``error``: the largest
        difference from the book relative to the book's largest absolute value. A variant that does not support a shape
        is left out.
    """
    if "cpu" in backend.available():
        backend.edition("cpu").set_threads(threads)
    rows = []
    for k, convolution in enumerate(convolutions):
        for op, arguments in _calls(*convolution, rng=np.random.default_rng(k)).items():
            expected = getattr(reference, op)(*arguments)
            for name, functions in variants().items():
                function = functions[PASSES.index(op)]
                try:
                    error = np.abs(function(*arguments) - expected).max() / np.abs(expected).max()
                except ValueError:
                    continue
                taken = times(lambda f=function, a=arguments: f(*a), seconds, warm=0)
                rows.append(_row(op, convolution, name, figures(taken)) | {"error": float(error)})
    return rows


def measure_python(convolutions, threads):
    """Time the loops of the cpu edition as plain Python; the environment must contain NUMBA_DISABLE_JIT=1.

    A few output pixels are timed, and the time is scaled to all of them. Returns rows as `measure` does.
    """
    from npse.cpu.conv import VARIANTS

    backend.edition("cpu").set_threads(threads)
    rows = []
    for convolution in convolutions:
        (_, _, _, cin), w_shape, stride, _ = convolution
        shape = [1, *(stride * (SAMPLE - 1) + size for size in w_shape[:2]), cin]       # without padding
        sample = _calls(shape, w_shape, stride, 0, rng=np.random.default_rng(0))
        for function, (op, arguments) in zip(VARIANTS["loops"], sample.items(), strict=True):
            taken = min(times(lambda f=function, a=arguments: f(*a), 0, warm=0))
            ms = 1e3 * taken * _flops(convolution) / _flops([shape, w_shape, stride, 0])
            rows.append(_row(op, convolution, "Python loops", {"ms": ms, "ms_min": ms, "timed": 3})
                        | {"error": None, "extrapolated": True})
    return rows


def _calls(x_shape, w_shape, stride, padding, rng):
    """Return the arguments of the three passes, by op."""
    x, w, dy = (rng.standard_normal(shape, np.float32)
                for shape in (x_shape, w_shape, _output_shape(x_shape, w_shape, stride, padding)))
    return {"conv2d": (x, w, stride, padding),
            "conv2d_backward_x": (dy, w, tuple(x_shape), stride, padding),
            "conv2d_backward_w": (dy, x, tuple(w_shape), stride, padding)}


def _output_shape(x_shape, w_shape, stride, padding):
    return x_shape[0], *output_size(x_shape, w_shape, stride, padding), w_shape[3]


def _flops(convolution):
    return products(_output_shape(*convolution), convolution[1])


def _row(op, convolution, variant, found):
    x, w, stride, _ = convolution
    return {"pass": op, "x": x, "w": w, "stride": stride, "variant": variant, **found,
            "gflops": 1e-6 * _flops(convolution) / found["ms"]}
