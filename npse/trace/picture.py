"""Draws traces: the threads of a block, and for each array how often each cell is read and which thread writes it.

    draw(naive, tiled).savefig("matmul.png")          the picture has one row for each trace

It needs matplotlib.
"""

from dataclasses import dataclass

import numpy as np

from npse.gradcheck.pictures import flat
from npse.support.arithmetic import ceil_div
from npse.support.style import GREY, INK, LABEL, ORANGE, PAPER, PURPLE, SMALL, TITLE, figure
from npse.support.style import png as png_of
from npse.trace.access_log import READ, WRITE, Memory

CELLS = 400                 # a panel with more cells has no numbers in them
ROW = 16                    # at most so many numbers of a list are side by side
WIDTH, HEIGHT = 1.5, 2.4    # inches: the smallest width and the largest height of a panel
GAP = 0.15                  # inches between two panels
PAGE = 10.0                 # inches: width of the picture; panels that do not fit go to the next line
CELL = 0.18                 # inches: side of a cell, if there are many
LEGEND = "Numbers: how often the block reads a cell (blue: global memory, green: shared memory), or writes it.\n" \
         "Colours of threads: which thread writes a cell. Frames: one thread, and the cells that it uses."
WRONG = "Purple corners: cells with a race, cells that are read but never written, and threads that access an index " \
        "outside of an array.\nPurple dashes around an array: threads access an index outside of it."
CORNER = 0.45               # size of the mark of a cell, as a part of its side
FILTERS = ("w", "filter")   # the names of arrays of filters begin with these


def draw(*traces, block=0, thread=None):
    """Draw the accesses of one block of each launch.

    Parameters
    ----------
    *traces : Trace
    block : int or tuple
        The block to draw.
    thread : int, optional
        The number of the thread whose cells get a frame; by default one in the middle.

    Returns
    -------
    matplotlib Figure
        It has no window: save it, or show it in a notebook.

    Raises
    ------
    ValueError
        There is no trace, or no such block.
    """
    if not traces:
        raise ValueError("expected at least one trace, got none: the op launches no kernel, or no trace was given")
    lines = [(trace, line, first) for trace in traces for line, first in _lines(_panels(trace))]
    marked = any(finding.marked for trace in traces for finding in trace.findings)
    legend = f"{LEGEND}\n{WRONG}" if marked else LEGEND
    heights = [*((0.95 if first else 0.7) + max(panel.height for panel in line) for _, line, first in lines),
               0.6 + 0.15 * len(legend.splitlines()) + 0.3 * len(traces)]
    picture = figure(PAGE, sum(heights))
    picture.get_layout_engine().set(w_pad=0.09)
    *strips, foot = np.ravel(picture.subfigures(len(heights), 1, height_ratios=heights))
    foot.suptitle(legend, fontsize=SMALL, color=GREY)
    most = {space: max((trace.reads(memory.name, block).max(initial=0) for trace in traces for memory in trace.arrays
                        if memory.space == space), default=0) for space in ("global", "shared")}
    for strip, (trace, line, first) in zip(strips, lines, strict=True):
        chosen = _middle(trace, block) if thread is None else thread
        if first:
            strip.suptitle(f"{trace.name}: {trace.grid}", fontsize=TITLE, weight="bold", x=0.008, ha="left", color=INK)
        widths = [panel.width for panel in line]
        *places, empty = strip.subplots(1, len(line) + 1, squeeze=False,
                                        width_ratios=[*widths, max(PAGE - sum(widths), 0.01)])[0]
        empty.set_axis_off()
        for ax, panel in zip(places, line, strict=True):
            if panel.memory is None:
                _threads(ax, trace, block, chosen)
            else:
                _memory(ax, trace, panel.memory, block, chosen, most[panel.memory.space])
    _table(foot.subplots(), traces)
    return picture


def png(*traces, block=0):
    """Return the picture of `draw` as the bytes of a PNG file."""
    return png_of(draw(*traces, block=block))


@dataclass
class _Panel:
    """One panel: its array, or None for the threads, and its size in inches."""

    memory: Memory | None
    width: float
    height: float


def _panels(trace):
    """Return the panels of a trace, in order: the threads, then the arrays that are read or written."""
    touched = [memory for number, memory in enumerate(trace.arrays)
               if trace.reads(memory.name).any() or trace.writes(memory.name).any()
               or any(access.array == number for access in trace.log.out_of_bounds)]
    return [_Panel(None, *_size(_folded(trace.reads_by_thread()))),
            *(_Panel(memory, *_size(_picture(memory, trace.reads(memory.name)))) for memory in touched)]


def _lines(panels):
    """Divide the panels into lines not wider than the page. Return (line, whether it is the first line) for each."""
    lines, free = [[]], PAGE
    for panel in panels:
        if panel.width + GAP > free and lines[-1]:
            lines.append([])
            free = PAGE
        lines[-1].append(panel)
        free -= panel.width + GAP
    return [(line, number == 0) for number, line in enumerate(lines)]


def _size(picture):
    """Return the size of a panel in inches, such that its cells are squares and its captions fit."""
    rows, columns = picture.shape
    cell = min(max(WIDTH / columns, CELL), HEIGHT / rows, (PAGE - GAP) / columns)
    return max(columns * cell, WIDTH), rows * cell


def _middle(trace, block):
    """Return the number of the thread in the middle of those that read or write."""
    busy = np.flatnonzero(trace.reads_by_thread(block=block).ravel() + trace.writes_by_thread(block=block).ravel())
    return int(busy[len(busy) // 2]) if len(busy) else 0


def _threads(ax, trace, block, chosen):
    counts = trace.reads_by_thread(block=block)
    numbers = _folded(np.arange(counts.size).reshape(counts.shape))
    _tiles(ax, _colours(numbers, trace), _folded(counts), numbers == chosen,
           _folded(trace.outside_by_thread(block=block)) > 0)
    where = trace.place(trace.block_number(block), trace.blocks)
    ax.set_title("threads", fontsize=LABEL + 1, color=INK)
    ax.set_xlabel(f"block {where}: reads of\nglobal memory, by thread", fontsize=SMALL, color=GREY)


def _memory(ax, trace, memory, block, chosen, most):
    from matplotlib import colormaps

    name = memory.name
    reads, writers = _picture(memory, trace.reads(name, block)), _picture(memory, trace.writers(name, block))
    written = memory.space == "global" and not np.nansum(reads)
    framed = _picture(memory, trace.cells(name, WRITE if written else READ, block, chosen)) == 1
    if written:
        colours, numbers = _colours(writers, trace), _picture(memory, trace.writes(name, block))
        says = f"{int(np.nansum(numbers))} writes"
    else:
        shades = colormaps["Blues" if memory.space == "global" else "Greens"]
        colours = shades(0.1 + 0.6 * np.nan_to_num(reads) / max(most, 1))
        colours[np.nan_to_num(reads) == 0] = _rgba(PAPER)
        colours[np.isnan(reads)] = 0
        numbers = reads
        says = f"{int(np.nansum(reads))} reads"
    _tiles(ax, colours, numbers, framed, _picture(memory, trace.wrong_cells(name, block)) == 1)
    if outside := int(trace.outside_by_thread(name, block).sum()):
        ax.spines[:].set(visible=True, color=PURPLE, linestyle="--", linewidth=2)
        says += f", {outside} outside"
    ax.set_title(name, fontsize=LABEL + 1, color=INK)
    ax.set_xlabel(f"{memory.space}, {' x '.join(map(str, memory.shape))}\n{says}", fontsize=SMALL, color=GREY)


def _tiles(ax, colours, numbers, framed, wrong):
    """Draw squares with these colours and numbers. Draw a frame or a purple corner where ``framed`` or ``wrong``."""
    from matplotlib.patches import Polygon, Rectangle

    height, width = numbers.shape
    ax.imshow(colours, interpolation="nearest")
    for edge in range(1, max(height, width)):
        if edge < width:
            ax.axvline(edge - 0.5, color="white", lw=0.8)
        if edge < height:
            ax.axhline(edge - 0.5, color="white", lw=0.8)
    dark = colours[..., :3] @ (0.3, 0.6, 0.1) < 0.5
    for i, j in np.argwhere(~np.isnan(numbers)) if numbers.size <= CELLS else ():
        if numbers[i, j]:
            ax.text(j, i, f"{numbers[i, j]:.0f}", ha="center", va="center", fontsize=6.5 if width > 10 else 7.5,
                    color="white" if dark[i, j] else INK)
    for i, j in np.argwhere(framed):
        ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=ORANGE, lw=1.8, zorder=3))
    for i, j in np.argwhere(wrong):
        top, right = i - 0.5, j + 0.5
        corner = [(right - CORNER, top), (right, top), (right, top + CORNER)]
        ax.add_patch(Polygon(corner, color=PURPLE, lw=0, zorder=4))
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def _table(ax, traces):
    heads = ("", "reads of global memory", "per thread", "32-byte pieces", "writes", "reads of shared memory",
             "findings")
    ax.set_axis_off()
    table = ax.table([_totals(trace) for trace in traces], colLabels=heads, loc="center", cellLoc="center",
                     colWidths=[0.16, 0.18, 0.1, 0.14, 0.1, 0.18, 0.14], edges="horizontal")
    table.auto_set_font_size(False)
    table.scale(1, 1.2)
    table.set_fontsize(LABEL)
    for (row, _), cell in table.get_celld().items():
        cell.set_edgecolor("#d1d5db")
        cell.set_text_props(color=GREY if row == 0 else INK)


def _totals(trace):
    reads, writes = ({space: sum(int(count(memory.name).sum()) for memory in trace.arrays if memory.space == space)
                      for space in ("global", "shared")} for count in (trace.reads, trace.writes))
    threads = int(np.prod(trace.blocks) * np.prod(trace.threads))
    pieces = sum(trace.pieces(memory.name) for memory in trace.arrays if memory.space == "global")
    return (trace.name, reads["global"], f"{reads['global'] / threads:.4g}", pieces, writes["global"],
            reads["shared"] or "-", len(trace.findings) or "-")


def _colours(threads, trace):
    """Return a colour for each thread, lighter than the frames. Return no colour where there is no thread."""
    from matplotlib import colormaps

    size = max(int(np.prod(trace.threads)) - 1, 1)
    colours = 0.45 * colormaps["turbo"](0.08 + 0.84 * np.nan_to_num(threads) / size) + 0.55
    colours[np.nan_to_num(threads, nan=-1) < 0] = _rgba(PAPER)
    colours[np.isnan(threads)] = 0
    return colours


def _rgba(colour):
    from matplotlib.colors import to_rgba
    return to_rgba(colour)


def _picture(memory, values):
    """Return an array as a picture with two axes: maps side by side, lists of pixels as maps, long rows folded."""
    *images, pixels, C = (1, *values.shape)[-3:] if values.ndim in (2, 3) else (0, 0)
    side = round(pixels ** 0.5)
    if memory.space == "global" and side > 1 and side * side == pixels and pixels >= 4 * C:
        values = values.reshape(*images, side, side, C)
    picture = _folded(flat(np.atleast_1d(values).astype(float), is_filter=memory.name.lstrip("d").startswith(FILTERS)))
    return picture.T if len(picture) > max(ROW, 2 * picture.shape[1]) else picture


def _folded(values):
    """Return numbers as a picture with two axes. A long row is divided into several rows."""
    values = np.atleast_2d(values.reshape(-1, values.shape[-1])).astype(float)
    if len(values) > 1 or values.size <= ROW // 2:
        return values
    row = ROW // 2 if values.size <= 4 * ROW else ROW
    folded = np.full((ceil_div(values.size, row), row), np.nan)
    folded.flat[:values.size] = values
    return folded
