"""Chromium without a window: it shows a page, and tells what a script on it has found."""

import html
import json
import os
import re
import shutil
import subprocess

NAMES = "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"
CHROMIUM = os.environ.get("NPSE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
WITHOUT = "no Chromium on the PATH or in NPSE_CHROMIUM"

FRAME = "<iframe src='{address}' style='width:{width}px;height:{height}px;border:0'></iframe>"
OUTER = """<!doctype html><meta charset="utf-8">{frames}
<script>addEventListener("load", () => {{
  const frames = [...document.querySelectorAll("iframe")];
  let found;
  try {{ found = (function () {{ {script} }})(); }} catch (error) {{ found = {{error: error.stack}}; }}
  document.body.replaceChildren(document.createElement("pre"));
  document.querySelector("pre").textContent = JSON.stringify(found);
}});</script>"""


def run(folder, *words, timeout=120):
    """Run Chromium, with its profile in a folder and without a network; return its output and its lines of console."""
    done = subprocess.run([CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                           "--allow-file-access-from-files", "--host-resolver-rules=MAP * ~NOTFOUND",
                           "--force-prefers-reduced-motion", f"--user-data-dir={folder / 'profile'}",
                           "--enable-logging=stderr", *words],
                          capture_output=True, text=True, encoding="utf-8", timeout=timeout)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def found_on(addresses, folder, script, height=3000):
    """Show pages in frames, and run a script that has them in its list ``frames``.

    Parameters
    ----------
    addresses : list of (address, width in pixels)
    folder : Path, for files of the browser
    script : str
        The body of a JavaScript function. What it returns must fit into JSON.

    Returns
    -------
    found, console
        What the script returned, and the lines of the console.
    """
    frames = "".join(FRAME.format(address=html.escape(address, quote=True), width=width, height=height)
                     for address, width in addresses)
    outer = folder / "outer.html"
    outer.write_text(OUTER.format(frames=frames, script=script), encoding="utf-8")
    dom, console = run(folder, "--dump-dom", outer.as_uri())
    written = re.search(r"<pre>(.*)</pre>", dom, re.DOTALL)
    assert written, console
    found = json.loads(html.unescape(written[1]))
    assert not (isinstance(found, dict) and "error" in found), found["error"]
    return found, console
