"""The roofline of a step: the rate of each op call against its arithmetic intensity, in operations for each byte."""

import math

from npse.bench.flops import pass_of
from npse.bench.report import call
from npse.support.arithmetic import ceil_div
from npse.support.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SMALL, figure, plain

LABELLED, DRAWN = 8, 0.98        # how many calls get a number; the share of the time that the drawn calls cover
COLOURS = {"conv2d": ORANGE, "conv2d_backward_x": PURPLE, "conv2d_backward_w": GREEN}
OTHERS = "all others"
# The three passes of a convolution have almost the same intensity, so the number of each stands on another side.
SIDES = {"conv2d": (0, 1), "conv2d_backward_x": (-1, 0), "conv2d_backward_w": (1, 0)}


def roofline(rows, rates, title):
    """Draw the op calls of `npse.bench.ops.measure` as discs, and the roofs of the machine as lines.

    The area of a disc is the call's share of the step. The roofs are the rate of sgemm, and of copying in the last
    cache and in memory. Calls without a count of operations are left out. So are the smallest calls, which together
    take two per cent of the time.
    """
    rows = _costly(rows)
    picture = figure(9.5, 7, title)
    axes = picture.subplots()
    axes.set(xscale="log", yscale="log", xlabel="operations for each byte moved",
             ylabel="GFLOP/s of the formula (an algorithm that needs fewer operations can exceed the roof)")
    low, high = (end(row["intensity"] for row in rows) for end in (min, max))
    slowest, fastest = (end(row["gflops"] for row in rows) for end in (min, max))
    span = low / 2, max(3 * high, 4 * rates["sgemm_gflops"] / rates["copy_memory_gbs"])
    axes.set(xlim=span, ylim=(slowest / 2, 2 * max(fastest, rates["sgemm_gflops"])))
    _roofs(axes, rates, span)
    for name, colour in {**COLOURS, OTHERS: BLUE}.items():
        points = [row for row in rows if (pass_of(row["op"]) or OTHERS) == name]
        style = {"color": colour, "alpha": 0.55, "edgecolors": INK, "linewidths": 0.5}
        axes.scatter([row["intensity"] for row in points], [row["gflops"] for row in points],
                     s=[_area(row) for row in points], zorder=2, **style)
        axes.scatter([], [], s=50, label=name, **style)
    axes.legend(frameon=False, fontsize=SMALL, loc="lower right", title="area: share of the step", alignment="left",
                title_fontsize=SMALL)
    plain(axes)
    _name_the_costly(picture, axes, rows[:LABELLED])
    return picture


def _costly(rows):
    """Return the calls that take nearly all of the time, the slowest first, with intensity and share of the step."""
    total, so_far, costly = sum(row["ms_step"] for row in rows), 0.0, []
    counted = sorted((row for row in rows if row["flops"]), key=lambda row: -row["ms_step"])
    for row in counted:
        if so_far < DRAWN * sum(other["ms_step"] for other in counted):
            costly.append({**row, "intensity": row["flops"] / row["bytes"], "share": row["ms_step"] / total})
        so_far += row["ms_step"]
    return costly


def _roofs(axes, rates, span):
    roof = rates["sgemm_gflops"]
    axes.plot(span, (roof, roof), color=INK, linewidth=1.5)
    axes.annotate(f"sgemm {roof:.0f} GFLOP/s", (span[1], roof), (-4, 4), textcoords="offset points", ha="right",
                  fontsize=SMALL, color=INK)
    for place, style in (("cache", "-"), ("memory", "--")):
        slope = rates[f"copy_{place}_gbs"]
        end = roof / slope
        axes.plot((span[0], end), (slope * span[0], roof), color=GREY, linewidth=1.5, linestyle=style)
        middle = math.sqrt(span[0] * end)
        axes.text(middle, 1.15 * slope * middle, f"copy in {place} {slope:.0f} GB/s", ha="center", fontsize=SMALL,
                  color=GREY, rotation=math.degrees(math.atan(slope)), rotation_mode="anchor",
                  transform_rotates_text=True)


def _area(row):
    return 12 + 2500 * row["share"]                               # square points


def _name_the_costly(picture, axes, rows):
    """Number the calls in the picture and list them below it."""
    from matplotlib.patheffects import withStroke

    for number, row in enumerate(rows, start=1):
        away = 6 + math.sqrt(_area(row)) / 2                      # points
        offset = [away * side for side in SIDES.get(pass_of(row["op"]), (0, 1))]
        axes.annotate(str(number), (row["intensity"], row["gflops"]), offset, textcoords="offset points", ha="center",
                      va="center", fontsize=SMALL, color=INK, weight="bold", zorder=4,
                      path_effects=[withStroke(linewidth=2, foreground="white")])
    lines = [f"{number}  {row['share']:.0%}  {row['op']}  {call(row['op'], row['arguments'])}"
             for number, row in enumerate(rows, start=1)]
    half = ceil_div(len(lines), 2)
    columns = ("\n".join(lines[:half]), "\n".join(lines[half:]))
    for place, text in zip((0.06, 0.53), columns, strict=True):
        picture.text(place, 0.01, text, fontsize=SMALL - 1, color=INK, linespacing=1.5, va="bottom")
    picture.get_layout_engine().set(rect=(0, 0.03 + 0.025 * half, 1, 0.97 - 0.025 * half))
