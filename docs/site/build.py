"""Build the site: gather its pages, and call Sphinx. All warnings are errors, and nothing is loaded from the network.

    python docs/site/build.py                     writes build/site/html/index.html
    python docs/site/build.py --out FOLDER        writes FOLDER/html/index.html

The pages are those of docs/ and notebooks/, as they stand in the repository, and pages that are made from the code. The
environment variable NPSE_REPOSITORY holds the web address of the repository (https://github.com/OWNER/NAME); without it
the site has no links to source files, Binder and Colab.
"""

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]

import api  # noqa: E402
import book  # noqa: E402
import diagram  # noqa: E402
import links  # noqa: E402

REPOSITORY = os.environ.get("NPSE_REPOSITORY", "").rstrip("/")
GITHUB = "https://github.com/"
EXPLAINER = "docs/explainer"


@dataclass(frozen=True)
class Section:
    """A section of the site: its first page, and the pages below it, by the names of files in docs/ without .md."""

    name: str
    title: str = ""
    words: str = ""
    pages: tuple[str, ...] = field(default=())


# A section with words has a first page made of them and of a list of its pages. A page that does not exist is left out.
SECTIONS = (
    Section("start"),
    Section("book/index"),
    Section("notebooks/index"),
    Section("course", "Course and teaching", "For students and teachers: exercises with a judge that explains, and a "
            "way to mark them.", ("teaching", "judge", "zoo")),
    Section("laboratory", "Laboratory and results", "Experiments with several seeds and error bars, and every number "
            "with its command.", ("experiments", "networks", "excitations", "gates", "results")),
    Section("speed", "How fast, and why", "What the block costs, and the shortest way to an accuracy.",
            ("speed", "cost", "recipes")),
    Section("gpu", "GPU", "The same ops as kernels for NVIDIA GPUs, and a simulator that needs none.", ("cuda",)),
    Section("howto", "How-to", "One task a page.", ("add_an_op", "add_an_excitation", "data", "interop", "same_block",
                                                    "cluster", "one_allreduce")),
    Section("api/index"),
    Section("design", "Design", "How npse is built, and why.",
            ("architecture", "decisions/index", "glossary", "contributing", "changelog", "security", "conduct")),
)
REST = "howto"                       # the section of pages of docs/ that no section names
RENAMED = {"docs/decisions/README.md": "decisions/index.md", "notebooks/README.md": "notebooks/index.md",
           "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "SECURITY.md": "security.md",
           "CODE_OF_CONDUCT.md": "conduct.md"}


def places(root: Path) -> dict[str, str]:
    """Return where on the site each file of the repository is found that the site shows; both paths are relative."""
    found = {}
    for pattern in ("docs/*.md", "docs/decisions/*.md", "docs/pictures/*", "docs/results/*", "notebooks/*.ipynb"):
        for file in sorted(root.glob(pattern)):
            path = file.relative_to(root).as_posix()
            found[path] = path.removeprefix("docs/")
    found |= {f"docs/site/{file.name}": file.name for file in sorted((root / "docs" / "site").glob("*.md"))
              if file.name != "README.md"}
    found |= {path: name for path, name in RENAMED.items() if (root / path).exists()}
    return found


def targets(root: Path) -> dict[str, str]:
    """Return `places`, and which pages stand for files and folders that the site does not show as they are."""
    found = places(root)
    found |= {"README.md": "index.md", "docs": "index.md", "notebooks": "notebooks/index.md",
              "docs/decisions": "decisions/index.md", "npse/reference": "book/index.md"}
    found |= {f"npse/reference/{chapter}.py": f"book/{chapter}.md" for chapter in book.chapters()}
    if (root / EXPLAINER).is_dir():
        found |= {EXPLAINER: "explainer/index.html", f"{EXPLAINER}/index.html": "explainer/index.html"}
    return found


def toctree(pages: Iterable[str], hidden: bool = True, depth: int = 1) -> str:
    options = [":hidden:"] if hidden else []
    return "\n".join(["```{toctree}", *options, f":maxdepth: {depth}", "", *pages, "```", ""])


def notebook(text: str, path: str, where: dict[str, str], repository: str = "") -> str:
    """Return a notebook for the site: its links are rewritten, its cell for Colab is folded, a line leads to its file.

    Parameters
    ----------
    text : str
        The notebook, in JSON.
    path : str
        Its path in the repository.
    where : dict of str to str
        See `links.rewritten`.
    repository : str
    """
    content = json.loads(text)
    first = True
    for cell in content["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            source = links.rewritten(source, path, where, repository)
            if first:
                source, first = with_launchers(source, path, repository), False
            cell["source"] = source
        elif source.startswith("# On Colab"):
            cell["metadata"]["tags"] = [*cell["metadata"].get("tags", []), "remove-cell"]
    return json.dumps(content, ensure_ascii=False)


def with_launchers(source: str, path: str, repository: str) -> str:
    """Return the first cell of a notebook with a line under its title: download, and Binder and Colab on GitHub."""
    name = path.rpartition("/")[2]
    offers = [f"{{download}}`Download <{name}>`"]
    if repository.startswith(GITHUB):
        place = repository.removeprefix(GITHUB)
        offers += [f"[Binder](https://mybinder.org/v2/gh/{place}/main?labpath={path})",
                   f"[Colab](https://colab.research.google.com/github/{place}/blob/main/{path})"]
    heading, _, rest = source.partition("\n")
    return f"{heading}\n\n**Run it yourself:** {' · '.join(offers)}\n{rest}"


def order(names: Iterable[str]) -> list[str]:
    """Return the pages of the notebooks in their order."""
    return sorted(names)


def sections(pages: dict[str, str]) -> dict[str, str]:
    """Return the first pages that are made: a list of the pages of a section, each with its first sentence.

    Parameters
    ----------
    pages : dict of str to str
        The Markdown of every page of docs/, by its path on the site.
    """
    named = {page for section in SECTIONS for page in (section.name, *section.pages)}
    rest = [name for path in pages if "/" not in path and (name := path.removesuffix(".md")) not in named | {"index"}]
    made = {}
    for section in SECTIONS:
        if not section.words:
            continue
        names = [name for name in (*section.pages, *(rest if section.name == REST else ())) if f"{name}.md" in pages]
        rows = [f"* [{links.title(pages[f'{name}.md'])}]({name}.md): {links.first_sentence(pages[f'{name}.md'])}"
                for name in names]
        rows = [row.removesuffix(": ") for row in rows]
        made[f"{section.name}.md"] = "\n".join([f"# {section.title}\n", f"{section.words}\n", *rows, "", toctree(names)])
    return made


def gathered(root: Path, repository: str = "") -> dict[str, str | Path]:
    """Return the sources of the site by their paths: text, or a file to be copied.

    Parameters
    ----------
    root : Path
        The repository.
    repository : str
        Its web address; see `links.rewritten`.
    """
    where = targets(root)
    made: dict[str, str | Path] = {}
    pages: dict[str, str] = {}
    for path, name in places(root).items():
        file = root / path
        if file.suffix == ".ipynb":
            made[name] = notebook(file.read_text(encoding="utf-8"), path, where, repository)
        elif file.suffix == ".md":
            pages[name] = links.rewritten(diagram.drawn(file.read_text(encoding="utf-8")), path, where, repository)
        else:
            made[name] = file
    pages["decisions/index.md"] += "\n" + toctree(
        name.removeprefix("decisions/") for name in sorted(pages) if re.match(r"decisions/\d", name))
    pages["notebooks/index.md"] += "\n" + toctree(
        name.removeprefix("notebooks/") for name in order(made) if name.endswith(".ipynb"))
    pages["index.md"] += "\n" + toctree(section.name for section in SECTIONS)
    made |= pages | sections(pages)

    chapters = book.chapters()
    made["book/index.md"] = book.contents(chapters) + "\n" + toctree(chapters)
    made |= {f"book/{chapter}.md": "---\nhide-toc: true\n---\n" + book.page(chapter, ops, root / "npse")
             for chapter, ops in chapters.items()}
    modules = api.installed()
    made["api/index.md"] = api.contents(modules) + "\n" + toctree(module.__name__ for module in modules)
    made |= {f"api/{module.__name__}.rst": api.page(module) for module in modules}
    return made


def write(made: dict[str, str | Path], folder: Path) -> None:
    """Make a folder hold these sources and nothing else; what has not changed keeps its time, so that Sphinx is quick."""
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

    write(gathered(ROOT, repository), out / "source")
    code = sphinx(["-b", "html", "-W", "--keep-going", "-q", "-c", str(HERE), "-d", str(out / "doctrees"),
                   str(out / "source"), str(out / "html")])
    if code == 0 and (ROOT / EXPLAINER).is_dir():
        shutil.copytree(ROOT / EXPLAINER, out / "html" / "explainer", dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("*.py", "__pycache__"))
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
