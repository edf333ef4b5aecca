"""Tables of `npse cost`, as text. Nothing is counted, measured or printed here."""

import statistics

from npse.bench.cost import grouped, totals
from npse.bench.cost_time import more
from npse.bench.report import Table, warnings

COUNTED = ("Multiply-adds: products with weights or gates, and additions of averages. Batch norm, ReLU, sums of "
           "branches and maxima are not counted; inference can merge batch norm with a convolution.")
BYTES = "Bytes: the arrays that the ops read and write, at inference."
KINDS = {"forward": "prediction", "training": "both passes", "forward_processor": "prediction*",
         "training_processor": "both passes*"}


def counts(networks, depth):
    """Return the tables of one network or of two, as `npse.bench.cost.counted` returns them."""
    if len(networks) == 2:
        return both(*networks, depth), difference(*networks)
    return layers(*networks, depth), share(*networks)


def layers(found, depth):
    """Return the table of one network, a row for each layer, or for each group of ``depth`` parts of a name."""
    rows = [(row["layer"], "x".join(map(str, row["output"])), f"{row['parameters']:,}", short(row["multiply_adds"]),
             short(row["bytes"])) for row in grouped(found["layers"], depth)]
    return Table(_title(found), ("<layer", "<output", "parameters", "multiply-adds", "bytes"), rows,
                 [COUNTED, BYTES], ("output",))


def both(found, other, depth):
    """Return the table of two networks side by side, layer by layer, joined by the names of the layers."""
    sides = [{row["layer"]: row for row in grouped(side["layers"], depth)} for side in (found, other)]
    rows = []
    for name in {**sides[0], **sides[1]}:
        pair = [side.get(name) for side in sides]
        rows.append((name, *(short(row[key]) if row else "-" for key in ("parameters", "multiply_adds", "bytes")
                             for row in pair)))
    titles = [f"{what} {side}" for what in ("parameters", "mult.-adds", "bytes") for side in "AB"]
    return Table(f"A: {_title(found)}; B: {_title(other)}", ("<layer", *titles), rows, [COUNTED, BYTES],
                 ("bytes A", "bytes B"))


def share(found):
    """Return the table of the share that the excitations have in a network."""
    sums = totals(found["layers"])
    names = {"parameters": "parameters", "multiply_adds": "multiply-adds", "bytes": "bytes"}
    rows = [(title, exact(sums["network"][key]), exact(sums["excitations"][key]), f"{sums['share'][key]:.2%}")
            for key, title in names.items()]
    notes = [f"Running statistics of batch norm, which are not parameters: {sums['network']['buffers']:,} numbers."]
    if alone := sums["excitations"]["bytes_alone"]:
        notes.append("Squeeze and scaling are parts of other ops and make no passes of their own over the maps; "
                     f"alone, the excitations would move {short(alone)} bytes.")
    return Table(f"The share of the excitations in {found['model']}", ("<", "network", "excitations", "share"), rows,
                 notes)


def difference(found, other):
    """Return the table of the sums of two networks and their differences."""
    sums = [totals(side["layers"]) for side in (found, other)]
    rows = []
    for title, part, key in (("parameters", "network", "parameters"), ("multiply-adds", "network", "multiply_adds"),
                             ("bytes", "network", "bytes"), ("excitations: parameters", "excitations", "parameters"),
                             ("excitations: multiply-adds", "excitations", "multiply_adds"),
                             ("excitations: bytes", "excitations", "bytes")):
        one, two = (side[part][key] for side in sums)
        rows.append((title, exact(one), exact(two), f"{two - one:+,}", f"{two / one - 1:+.2%}" if one else "-"))
    return Table("Both networks", ("<", found["model"], other["model"], "difference", "share"), rows, spare=("share",))


def times(taken, environment):
    """Return the table of what `npse.bench.cost.timed` measured on a machine.

    ``environment`` is `npse.support.environment.record` with ``load``, the load average before.
    """
    first, *others = taken["networks"]
    rows = []
    for kind, title in KINDS.items():
        cells = [f"{statistics.median(network[kind]):.2f}" for network in taken["networks"]]
        for other in others:
            middle, *extremes = more(other[kind], first[kind])
            cells += [f"{middle:+.1%}", " .. ".join(f"{share:+.1%}" for share in extremes)]
        rows.append((title, *cells))
    for kind in ("forward", "training"):
        peaks = [network[f"{kind}_memory"] for network in taken["networks"]]
        cells = ["-" if peak is None else f"{peak:.0f} MB" for peak in peaks]
        for peak in peaks[1:]:
            cells += ["-" if None in (peak, peaks[0]) else f"{peak / peaks[0] - 1:+.1%}", ""]
        rows.append((f"{KINDS[kind]}, memory", *cells))
    titles = [f"{network['name']}, ms" for network in taken["networks"]] + ["more", "in a round"] * len(others)
    where = f"{taken['threads']} threads on {environment['cores']} cores, {environment['processor']}"
    return Table("The measured time of both" if others else "The measured time", ("<", *titles), rows,
                 [f"cpu edition, {where}; medians of {taken['rounds']} rounds, in which the networks take turns.",
                  "Both passes: forward and backward in training. *: processor time of all threads.",
                  "Memory: the largest of a fresh process, with NumPy and npse in it.",
                  *warnings(environment["load"])], spare=("in a round",))


def exact(value):
    """Return an integer with marks between its thousands, such as 28,071,976."""
    return f"{value:,}"


def short(value):
    """Return an integer in four digits, such as 3.872 G, 13.53 M or 640."""
    if value < 1000:
        return str(value)
    power = 1 if value < 999.95e3 else 2 if value < 999.95e6 else 3      # as printed, less than 1000 of the unit
    value /= 1000**power
    decimals = 3 if value < 9.9995 else 2 if value < 99.995 else 1
    return f"{value:.{decimals}f} {'kMG'[power - 1]}"


def _title(found):
    channels = found["options"].get("channels", 3)
    return f"{found['model']}, {found['batch']} x {found['size']} x {found['size']} x {channels}"
