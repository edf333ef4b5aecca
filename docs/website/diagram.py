"""Flowcharts in Mermaid, which GitHub draws with a script, as SVG that is made when the site is built.

Of Mermaid's language it reads what npse's pages use: ``flowchart``, nodes ``name["text"]``, chains of the arrows
``-->``, ``-->|"text"|`` and ``-. "text" .->``. Groups (``subgraph``) are read as if their nodes stood alone.
"""

import html
import itertools
import re
from collections.abc import Iterable

FENCED = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NODE = r'(?P<name>\w+)(?:\[(?P<quote>"?)(?P<text>.*?)(?P=quote)\])?'
ARROW = r'\s*(?:-->(?:\|"?(?P<solid>[^|"]*)"?\|)?|-\.\s*"(?P<dotted>[^"]*)"\s*\.->)\s*'
LETTER, LINE, PAD, GAP, AISLE = 7.2, 18, 12, 22, 62                  # in pixels


class Chart:
    """A flowchart: the lines of text of each node by its name, and the arrows as (from, to, lines of text, dotted)."""

    def __init__(self, source: str) -> None:
        head, *lines = source.strip().splitlines()
        self.direction = head.split()[1]
        self.nodes: dict[str, list[str]] = {}
        self.arrows: list[tuple[str, str, list[str], bool]] = []
        groups = set(re.findall(r"subgraph (\w+)", source))
        for line in map(str.strip, lines):
            if line != "end" and not line.startswith("subgraph"):
                self._read(line, groups)

    def _read(self, line: str, groups: set[str]) -> None:
        place, arrow, previous = 0, None, ""
        while node := re.compile(NODE).match(line, place):
            name = node["name"]
            if node["text"] or (name not in self.nodes and name not in groups):
                self.nodes[name] = broken(node["text"] or name)
            if arrow:
                self.arrows.append((previous, name, broken(arrow["solid"] or arrow["dotted"] or ""),
                                    arrow["dotted"] is not None))
            place, previous = node.end(), name
            if not (arrow := re.compile(ARROW).match(line, place)):
                break
            place = arrow.end()
        if line[place:].strip():
            raise ValueError(f"a flowchart has a line that cannot be drawn: {line}")
        self.arrows = [a for a in self.arrows if a[0] in self.nodes and a[1] in self.nodes]

    def ranks(self) -> list[list[str]]:
        """Return the nodes by their distance from those that no arrow leaves, in an order with few crossings."""
        rank = dict.fromkeys(self.nodes, 0)
        for _ in self.nodes:
            for source, target, *_rest in self.arrows:
                rank[source] = max(rank[source], rank[target] + 1)
        rows = [[name for name in self.nodes if rank[name] == k] for k in range(max(rank.values()) + 1)]
        for lower, upper in itertools.pairwise(rows):
            middle = {name: mean(lower.index(target) / len(lower) for source, target, *_ in self.arrows
                                 if source == name and target in lower) for name in upper}
            upper.sort(key=lambda name: middle[name])
        return rows


def mean(values: Iterable[float]) -> float:
    """Return the mean; one half if there are no values."""
    found = [*values]
    return sum(found) / len(found) if found else 0.5


def broken(text: str) -> list[str]:
    """Return the lines of a text of Mermaid."""
    return re.split(r"<br */?>", text) if text else []


def svg(source: str) -> str:
    """Return a flowchart as SVG. Its ranks follow one another along one axis, the nodes of a rank along the other."""
    chart = Chart(source)
    rows, across = chart.ranks(), chart.direction in ("LR", "RL")
    sizes = {name: (LETTER * max(map(len, lines)) + 2 * PAD, LINE * len(lines) + 2 * PAD - 4)
             for name, lines in chart.nodes.items()}
    words = max((LETTER * len(line) for _, _, lines, _ in chart.arrows for line in lines), default=0)
    aisle = words + 24 if across else AISLE
    along, side = (0, 1) if across else (1, 0)
    depth = [max(sizes[name][along] for name in row) for row in rows]
    breadth = [sum(sizes[name][side] + GAP for name in row) - GAP for row in rows]
    total = sum(depth) + aisle * (len(rows) - 1), max(breadth)
    centre: dict[str, tuple[float, float]] = {}
    reach = 0.0
    for k, row in enumerate(rows):
        near = (total[1] - breadth[k]) / 2
        for name in row:
            middle = near + sizes[name][side] / 2
            # the nodes that no arrow leaves stand at the end of the way: at the top, or at the right
            far = total[0] - reach - depth[k] / 2 if across else reach + depth[k] / 2
            centre[name] = (far, middle) if across else (middle, far)
            near += sizes[name][side] + GAP
        reach += depth[k] + aisle
    width, height = (total if across else total[::-1])
    drawn = [arrow(centre, sizes, *arrow_) for arrow_ in chart.arrows]
    drawn += [box(centre[name], sizes[name], lines) for name, lines in chart.nodes.items()]
    said = "; ".join(f"{source} to {target}" for source, target, *_ in chart.arrows)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{html.escape(said)}" '
            f'viewBox="-2 -2 {width + 4:.0f} {height + 4:.0f}" width="{width + 4:.0f}" height="{height + 4:.0f}">'
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
            'orient="auto-start-reverse"><path d="M0 0 8 4 0 8z"/></marker></defs>'
            f'{"".join(drawn)}</svg>')


def box(centre: tuple[float, float], size: tuple[float, float], lines: list[str]) -> str:
    """Return a node as SVG: a rectangle with lines of text."""
    (x, y), (width, height) = centre, size
    top = y - LINE * (len(lines) - 1) / 2 + 5
    text = "".join(f'<text x="{x:.0f}" y="{top + LINE * k:.0f}">{html.escape(line)}</text>'
                   for k, line in enumerate(lines))
    return (f'<rect x="{x - width / 2:.0f}" y="{y - height / 2:.0f}" width="{width:.0f}" height="{height:.0f}" rx="6"/>'
            f"{text}")


def arrow(centre: dict[str, tuple[float, float]], sizes: dict[str, tuple[float, float]], source: str, target: str,
          lines: list[str], dotted: bool) -> str:
    """Return an arrow as SVG, from the border of one node to the border of another, with its words."""
    ends = []
    for here, there in ((source, target), (target, source)):
        (x, y), (u, v), (width, height) = centre[here], centre[there], sizes[here]
        scale = min(width / 2 / (abs(u - x) or 1e-9), height / 2 / (abs(v - y) or 1e-9))
        ends.append((x + (u - x) * scale, y + (v - y) * scale))
    (x, y), (u, v) = ends
    text = "".join(f'<text class="word" x="{(x + u) / 2:.0f}" y="{(y + v) / 2 - 6 + LINE * k:.0f}">{html.escape(line)}'
                   "</text>" for k, line in enumerate(lines))
    dashes = ' stroke-dasharray="4 4"' if dotted else ""
    return f'<path class="arrow" d="M{x:.0f} {y:.0f}L{u:.0f} {v:.0f}" marker-end="url(#tip)"{dashes}/>{text}'


def drawn(text: str) -> str:
    """Return the Markdown of a page with its flowcharts drawn."""
    return FENCED.sub(lambda found: f'<div class="diagram" tabindex="0">{svg(found[1])}</div>', text)
