"""The roofline of a step: how fast each op call runs, against how much arithmetic it does for each byte it moves."""

import math

from matplotlib.figure import Figure

from npse.analysis.plots import ACCENT, INK, MUTED
from npse.bench.flops import PASS_OF
from npse.bench.report import call

LABELLED, LEAST = 8, 1e-3        # how many calls have a number; the share of a step below which a call is not drawn
COLOURS = {"conv2d": ACCENT, "conv2d_backward_x": "#e8a33d", "conv2d_backward_w": "#7b4b94"}
OTHERS, OTHER_COLOUR = "all others", "#3d7ea6"
# The three passes of a convolution have nearly one intensity: which side of its disc the number of each stands on.
SIDES = {"conv2d": (0, 1), "conv2d_backward_x": (-1, 0), "conv2d_backward_w": (1, 0)}


def roofline(rows, rates, title):
    """Draw the op calls of `npse.bench.ops.measure`, the area of each its share of the step, under the machine's roofs.

    Roofs: the rate of sgemm, and copying in the last cache and through memory. Left out are calls without a count of
    operations and those of next to no share.
    """
    total = sum(row["ms_step"] for row in rows)
    rows = [{**row, "intensity": row["flops"] / row["bytes"], "share": row["ms_step"] / total}
            for row in rows if row["flops"] and row["ms_step"] > LEAST * total]
    figure = Figure(figsize=(9.5, 6.2), layout="constrained")
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log", title=title, xlabel="operations for each byte moved", ylabel="GFLOP/s")
    low, high = (end(row["intensity"] for row in rows) for end in (min, max))
    slowest, fastest = (end(row["gflops"] for row in rows) for end in (min, max))
    span = low / 2, max(3 * high, 4 * rates["sgemm_gflops"] / rates["copy_memory_gbs"])
    axes.set(xlim=span, ylim=(slowest / 5, 5 * max(fastest, rates["sgemm_gflops"])))
    _roofs(axes, rates, span)
    for name, colour in {**COLOURS, OTHERS: OTHER_COLOUR}.items():
        points = [row for row in rows if PASS_OF.get(row["op"], OTHERS) == name]
        style = {"color": colour, "alpha": 0.6, "edgecolors": INK, "linewidths": 0.5}
        axes.scatter([row["intensity"] for row in points], [row["gflops"] for row in points],
                     s=[_area(row) for row in points], **style)
        axes.scatter([], [], s=50, label=name, **style)
    _name_the_costly(axes, sorted(rows, key=lambda row: -row["share"])[:LABELLED])
    axes.legend(frameon=False, fontsize=8, loc="upper left", ncols=4, title="area: share of the step", title_fontsize=8,
                alignment="left")
    axes.grid(alpha=0.25, linewidth=0.5)
    return figure


def _roofs(axes, rates, span):
    roof = rates["sgemm_gflops"]
    axes.plot(span, (roof, roof), color=INK, linewidth=1.5)
    axes.annotate(f"sgemm {roof:.0f} GFLOP/s", (span[1], roof), (-4, 4), textcoords="offset points", ha="right",
                  fontsize=8, color=INK)
    for place, style in (("cache", "-"), ("memory", "--")):
        slope = rates[f"copy_{place}_gbs"]
        end = roof / slope
        axes.plot((span[0], end), (slope * span[0], roof), color=MUTED, linewidth=1.5, linestyle=style)
        middle = math.sqrt(span[0] * end)
        axes.text(middle, 1.15 * slope * middle, f"copy in {place} {slope:.0f} GB/s", ha="center", fontsize=8,
                  color=MUTED, rotation=math.degrees(math.atan(slope)), rotation_mode="anchor",
                  transform_rotates_text=True)


def _area(row):
    return 12 + 2500 * row["share"]                               # square points


def _name_the_costly(axes, rows):
    for number, row in enumerate(rows, start=1):
        away = 5 + math.sqrt(_area(row)) / 2                      # points
        offset = [away * side for side in SIDES.get(PASS_OF.get(row["op"]), (0, 1))]
        axes.annotate(str(number), (row["intensity"], row["gflops"]), offset, textcoords="offset points", ha="center",
                      va="center", fontsize=8, color=INK)
    key = "\n".join(f"{number}  {row['share']:.0%}  {row['op']}  {call(row['op'], row['arguments'])}"
                    for number, row in enumerate(rows, start=1))
    axes.text(0.985, 0.02, key, transform=axes.transAxes, ha="right", va="bottom", fontsize=7, color=INK,
              linespacing=1.5, multialignment="left")
