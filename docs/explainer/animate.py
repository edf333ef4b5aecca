"""Make docs/pictures/explainer.webp, a short animation of the explainer, with Chromium and Pillow.

    python docs/explainer/animate.py

Each picture is the page itself in a frame, in the state that its address describes, with a pointer drawn on top.
Chromium is found as by the tests; see tests/browser.py.
"""

import html
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

from browser import CHROMIUM, WITHOUT, run  # noqa: E402

TARGET = HERE.parent / "pictures" / "explainer.webp"
WIDTH, HEIGHT = 1280, 940           # of each picture, in pixels
COLUMNS, ROWS = 3, 4                # of the pages that one run of Chromium shows
LIMIT = 2_000_000                   # bytes

PIXEL = '.cell[data-name="x"][data-index="0,1,0"]'
BACKWARD, SWITCH = "#backward", "#squeeze-path"
PICTURE = "0,0,{},0,2,3,0,1,2,0,0,0,3,0,3,2,3,2"                  # x, the pixel that is dragged being open

SHEET = """<!doctype html><meta charset="utf-8">
<style>body {{ margin: 0; display: grid; grid-template-columns: repeat({columns}, {width}px); }}
iframe {{ width: {width}px; height: {height}px; border: 0; display: block; }}</style>
{frames}
<script>
const SCENES = {scenes};
const ARROW = "<svg width='34' height='34' viewBox='0 0 24 24' style='position:fixed;z-index:9'>"
  + "<path d='M4 1v19l5-5 3.4 7.6 3-1.4L12 14h7z' fill='#fff' stroke='#000' stroke-width='1.4'/></svg>";
addEventListener("load", () => document.querySelectorAll("iframe").forEach((frame, i) => {{
  const scene = SCENES[i], page = frame.contentWindow.npse.page, document = frame.contentDocument;
  const cells = () => [...document.querySelectorAll(".grid .cell")];
  page.open(scene.before);
  const before = cells().map(cell => cell.textContent);
  page.open(scene.address);
  if (scene.glow) cells().forEach((cell, i) => {{
    if (cell.textContent !== before[i]) cell.style.boxShadow = "0 0 0 3px var(--glow)";
  }});
  const place = selector => document.querySelector(selector).getBoundingClientRect();
  const at = (side, low, size) => [scene.start, scene.end].map(selector => place(selector))
    .map(box => box[low] + box[size] * 0.6).reduce((from, to) => from + (to - from) * scene.way) + scene[side];
  if (scene.pressed) document.querySelector(scene.end).classList.add("dragged");
  for (const line of document.querySelectorAll(".back .through")) line.style.strokeDashoffset = -scene.flow;
  document.body.insertAdjacentHTML("beforeend", ARROW);
  Object.assign(document.body.lastChild.style, {{left: `${{at("right", "left", "width")}}px`,
                                                top: `${{at("down", "top", "height")}}px`}});
}}));
</script>"""


@dataclass
class Scene:
    """One picture: the page's address, where the pointer is, and for how long it is shown, in milliseconds.

    The pointer is on its way from the element `start` to the element `end`; `way` is 1 at the end, and `right` and
    `down` are added to its place. Numbers that differ from those of the address `before` glow.
    """

    address: str
    end: str
    milliseconds: int = 90
    start: str = ""
    way: float = 1.0
    right: float = 0.0
    down: float = 0.0
    before: str = ""
    glow: bool = False
    pressed: bool = False
    flow: int = 0

    def __post_init__(self) -> None:
        self.start = self.start or self.end
        self.before = self.before or self.address


def story() -> Iterator[Scene]:
    """Drag a pixel there and back, press "backward", switch the squeeze path off and on again."""
    pixels = [2 + k / 2 for k in (0, 1, 2, 3, 4, 5, 6, 6, 6, 4, 2, 0)]

    def dragged(pixel: float) -> str:
        return f"#x={PICTURE.format(pixel)}"
    ahead, back, cut = "#backward=0", "#backward=1", "#backward=1&squeeze=0"
    yield Scene(ahead, PIXEL, 900, down=60, right=40)
    yield Scene(ahead, PIXEL, 300)
    for before, pixel in pairwise(pixels):
        still = before == pixel
        yield Scene(dragged(pixel), PIXEL, 350 if still else 160, right=20 * (pixel - 2), before=dragged(before),
                    glow=not still, pressed=True)
    yield Scene(ahead, PIXEL, 300)
    for step in range(1, 5):
        yield Scene(ahead, BACKWARD, start=PIXEL, way=step / 4)
    for step in range(16):
        yield Scene(back, BACKWARD, 110, flow=step * 2 % 10)
    for step in range(1, 5):
        yield Scene(back, SWITCH, start=BACKWARD, way=step / 4, flow=step * 2 % 10)
    yield Scene(cut, SWITCH, 2800)
    for step in range(14):
        yield Scene(back, SWITCH, 110, flow=step * 2 % 10)


def pictures(scenes: list[Scene]) -> Iterator[Image.Image]:
    """Yield the picture of each scene."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for start in range(0, len(scenes), COLUMNS * ROWS):
            part = scenes[start:start + COLUMNS * ROWS]
            frames = "".join(f"<iframe src='{(HERE / 'index.html').as_uri()}{html.escape(scene.address)}'></iframe>"
                             for scene in part)
            sheet, shot = folder / "sheet.html", folder / "sheet.png"
            sheet.write_text(SHEET.format(columns=COLUMNS, width=WIDTH, height=HEIGHT, frames=frames,
                                          scenes=json.dumps([asdict(scene) for scene in part])), encoding="utf-8")
            _, console = run(folder, f"--window-size={COLUMNS * WIDTH},{ROWS * HEIGHT}", f"--screenshot={shot}",
                             sheet.as_uri(), timeout=300)
            if console:
                raise RuntimeError("\n".join(console))
            with Image.open(shot) as whole:
                for i in range(len(part)):
                    left, top = i % COLUMNS * WIDTH, i // COLUMNS * HEIGHT
                    yield whole.convert("RGB").crop((left, top, left + WIDTH, top + HEIGHT))


def main() -> None:
    """Write the animation."""
    if CHROMIUM is None:
        raise SystemExit(WITHOUT)
    scenes = list(story())
    first, *others = pictures(scenes)
    written = io.BytesIO()
    first.save(written, "WEBP", save_all=True, append_images=others, loop=0, quality=70, method=6, minimize_size=True,
               duration=[scene.milliseconds for scene in scenes])
    if len(written.getvalue()) > LIMIT:
        raise SystemExit(f"the animation has {len(written.getvalue())} bytes; expected at most {LIMIT}")
    TARGET.write_bytes(written.getvalue())
    print(f"{TARGET}: {len(scenes)} pictures, {len(written.getvalue()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
