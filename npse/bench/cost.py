"""Count what a network costs at inference, layer by layer: parameters, multiply-adds, bytes.

The network runs once, and every op that it calls is observed. Multiply-adds are those that the op declares
(`npse.reference.contract.op`): convolutions, dense layers and other products with weights, the products with gates, and
the additions of an average. Bytes are those of the arrays that the op reads and writes.

A call belongs to the layer of the first array of a layer that it takes, so a convolution that applies the batch norm
after it costs what both cost. Without such an array it belongs to the innermost layer that calls it.
Excitations, with all layers below them, are the share of squeeze-and-excitation. A block may give the gates to an op
that does more than scaling, with a squeeze that costs no pass over the map. The multiply-adds of such an excitation are
those of the excitation alone, on a map of the same size; its bytes are those of the ops that it really calls.
"""

import inspect
import math
import sys
from dataclasses import asdict, dataclass

import numpy as np

from npse import backend, models
from npse.bench import cost_time
from npse.bench.flops import arrays, traffic
from npse.bench.process import ask
from npse.layers import Excitation


@dataclass
class Row:
    """What one layer costs, without the layers below it; an excitation with them."""

    layer: str
    output: tuple = ()           # shape of the result of its last op
    parameters: int = 0
    buffers: int = 0             # numbers that are kept but not learned: running statistics
    multiply_adds: int = 0
    bytes: int = 0
    excitation: bool = False
    bytes_alone: int = 0         # of an excitation whose squeeze or scaling is part of other ops: if it ran alone


def counted(model, options, batch=1, size=None):
    """Build a model with options, run it on random images, and return what was counted, as a dictionary.

    ``layers`` holds a `Row` of each layer, as a dictionary. The images are (batch, size, size, channels): 3 channels if
    the options have none; without ``size`` they are as large as those that the model is made for.
    """
    if size is not None:
        options = options | {"image_size": size}
    network = models.build(model, **options).eval()
    size = size or inspect.signature(models.MODELS[model]).parameters["image_size"].default
    x = np.random.default_rng(0).standard_normal((batch, size, size, options.get("channels", 3)), np.float32)
    return {"model": model, "options": options, "batch": batch, "size": size,
            "layers": [asdict(row) for row in rows(network, x)]}


def timed(found, rounds, threads):
    """Measure the time and the memory of what `counted` returned, in fresh processes; see `npse.bench.cost_time`.

    A single network with excitations is compared with the same network without them.
    """
    sides = [(side["model"], side["model"], side["options"], side["size"]) for side in found]
    if len(sides) == 1 and any(row["excitation"] for row in found[0]["layers"]):
        (name, _, options, size), = sides
        sides = [("without", name, options | {"se": False}, size), ("with excitations", name, options, size)]
    taken = ask(cost_time.measure, networks=[side[1:] for side in sides], batch=found[0]["batch"], rounds=rounds,
                threads=threads)
    named_times = [{"name": name} | times for (name, *_), times in zip(sides, taken, strict=True)]
    for row, (_, model, options, size) in zip(named_times, sides, strict=True):
        network = {"model": model, "options": options, "size": size, "batch": found[0]["batch"]}
        row |= {f"{kind}_memory": ask(cost_time.memory, **network, kind=kind, threads=threads)
                for kind in ("forward", "training")}
    return {"rounds": rounds, "threads": threads, "networks": named_times}


def rows(network, x):
    """Return the `Row` of every layer that has arrays or calls ops, for one prediction of a network; see this file."""
    record = _Record(network)
    with backend.observing(record):
        network(x)
    for name, shape in record.fused.items():
        alone = _Record(record.layers[name], name)
        with backend.observing(alone):
            record.layers[name](np.ones(shape, x.dtype))
        row = record.rows[name]
        row.output, row.multiply_adds, row.bytes_alone = shape, alone.rows[name].multiply_adds, alone.rows[name].bytes
    return [row for row in record.rows.values() if row.parameters or row.output]      # a dropout is silent here


def totals(rows):
    """Return the sums over rows as `count` gives them, and those of its excitations, and the share of these."""
    names = "parameters", "buffers", "multiply_adds", "bytes"
    whole = {name: sum(row[name] for row in rows) for name in names}
    part = {name: sum(row[name] for row in rows if row["excitation"]) for name in names}
    alone = sum(row["bytes_alone"] for row in rows)
    return {"network": whole, "excitations": part | {"bytes_alone": alone},
            "share": {name: part[name] / whole[name] if whole[name] else 0.0 for name in names}}


def grouped(rows, depth):
    """Return rows as `count` gives them, with one for all layers whose names begin with the same ``depth`` parts."""
    found = {}
    for row in rows:
        name = ".".join(row["layer"].split(".")[:depth])
        group = found.setdefault(name, {"layer": name, "output": (), "parameters": 0, "multiply_adds": 0, "bytes": 0})
        group["output"] = row["output"] or group["output"]
        for key in ("parameters", "multiply_adds", "bytes"):
            group[key] += row[key]
    return list(found.values())


class _Record:
    """Adds each op call to the row of its layer; see `npse.backend.observing`."""

    def __init__(self, network, name=""):
        self.layers = dict(named(network, name))
        self.rows = {}
        self.fused = {}                                           # the map of each excitation that no block calls
        self._gates = {}                                          # of those whose map is not known yet
        self._names, self._owners = {}, {}                        # the rows of layers and of arrays, by identity
        place = None
        for key, layer in self.layers.items():
            if place is None or not _within(key, place):
                place = key if isinstance(layer, Excitation) else None
            row = self.rows.setdefault(place or key, Row(place or key, excitation=place is not None))
            self._names[id(layer)] = row.layer
            row.parameters += _elements(layer.parameters)
            row.buffers += _elements(layer.buffers)
            self._owners |= {id(array): row.layer for array in (*layer.parameters.values(), *layer.buffers.values())}

    def __call__(self, op, arguments, result):
        callers = list(self._callers())                           # the innermost first
        owners = (self._owners[id(value)] for value in arguments if id(value) in self._owners)
        row = self.rows[next(owners, None) or self._names[id(callers[0][0])]]
        first = arrays((), result)[0]
        row.output = first.shape
        row.bytes += traffic(arguments, result)
        row.multiply_adds += op.contract.multiply_adds(arguments, result)
        if row.excitation:
            if not any(isinstance(layer, Excitation) and method == "__call__" for layer, method in callers):
                self._gates[row.layer] = first
        else:
            self._take_gates(arrays(arguments, None))

    def _callers(self):
        """Yield the layers that call the op, each with the name of its method."""
        frame = sys._getframe()
        while frame := frame.f_back:
            caller = frame.f_locals.get("self")
            if id(caller) in self._names:
                yield caller, frame.f_code.co_name

    def _take_gates(self, given):
        """Find the excitations whose gates are among the arrays given to an op, and keep the shape of its maps."""
        maps = [array for array in given if array.ndim == 4]
        for name, gates in list(self._gates.items()):
            if maps and any(np.may_share_memory(gates, array) for array in given):
                self.fused[name] = maps[0].shape
                del self._gates[name]


def named(layer, name=""):
    """Yield the name of a layer and the layer, then those below it."""
    yield name, layer
    for key, child in layer.children.items():
        yield from named(child, f"{name}.{key}".lstrip("."))


def _within(name, place):
    return name == place or name.startswith(f"{place}.")


def _elements(arrays):
    return sum(math.prod(array.shape) for array in arrays.values())
