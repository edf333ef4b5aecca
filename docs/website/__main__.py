"""Build the site: gather its pages, and call Sphinx. All warnings are errors, and nothing is loaded from the network.

    python docs/website                     writes build/site/html/index.html
    python docs/website --out FOLDER        writes FOLDER/html/index.html

The environment variable NPSE_REPOSITORY holds the web address of the repository (https://github.com/OWNER/NAME).
Without it the site has no links to source files, Binder and Colab.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "docs"), str(ROOT)]

from website import pages  # noqa: E402

REPOSITORY = os.environ.get("NPSE_REPOSITORY", "").rstrip("/")


def write(made: dict[str, str | Path], folder: Path) -> None:
    """Make a folder hold these sources and nothing else. What has not changed keeps its time, so Sphinx is quick."""
    for name, source in made.items():
        file = folder / name
        content = source.read_bytes() if isinstance(source, Path) else source.encode()
        if not file.exists() or file.read_bytes() != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    for file in folder.rglob("*"):
        if file.is_file() and file.relative_to(folder).as_posix() not in made:
            file.unlink()


def build(out: Path, repository: str = REPOSITORY) -> int:
    """Build the site into ``out/html``; return Sphinx's exit code."""
    from sphinx.cmd.build import main as sphinx

    write(pages.gathered(ROOT, repository), out / "source")
    code = sphinx(["-b", "html", "-W", "--keep-going", "-q", "-a", "-c", str(ROOT / "docs" / "website"),
                   "-d", str(out / "doctrees"), str(out / "source"), str(out / "html")])
    if code == 0 and (ROOT / pages.EXPLAINER).is_dir():
        copied = out / "html" / "explainer"
        shutil.copytree(ROOT / pages.EXPLAINER, copied, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        page = (copied / "index.html").read_text(encoding="utf-8")
        (copied / "index.html").write_text(pages.explainer(page, pages.targets(ROOT)), encoding="utf-8")
    return code


def main() -> int:
    """Read the command line, build, and say where the site is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site", help="a folder for the site")
    out = parser.parse_args().out
    code = build(out)
    if code == 0:
        print(f"open {out / 'html' / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
