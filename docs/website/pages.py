"""What the site is made of: pages of docs/ and notebooks/, as the repository has them, and pages made from the code.

`gathered` returns them all as sources for Sphinx, under their paths on the site, with links that fit.
"""

import json
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from website import api, book, diagram, links

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
    Section("notebooks/index", "Notebooks"),
    Section("course_and_teaching", "Course and teaching",
            "For students and teachers: exercises with a judge that explains, and a way to mark them.",
            ("teaching", "judge", "zoo")),
    Section("laboratory_and_results", "Laboratory and results",
            "Experiments with several seeds and error bars, and every number with its command.",
            ("experiments", "networks", "excitations", "gates", "results")),
    Section("how_fast_and_why", "How fast, and why", "What the block costs, and the shortest way to an accuracy.",
            ("speed", "cost", "recipes")),
    Section("on_a_gpu", "GPU", "The same ops as kernels for NVIDIA GPUs, and a simulator that needs none.", ("cuda",)),
    Section("how_to", "How-to", "One task a page.",
            ("add_an_op", "add_an_excitation", "add_a_host", "data", "interop", "same_block", "cluster",
             "one_allreduce")),
    Section("api/index"),
    Section("about_the_design", "Design", "How npse is built, and why.",
            ("architecture", "decisions/index", "glossary", "contributing", "changelog", "security", "conduct")),
)
REST = "how_to"                      # the section of pages of docs/ that no section names
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
    found |= {f"docs/website/{file.name}": file.name for file in sorted((root / "docs" / "website").glob("*.md"))}
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


def toctree(pages: Iterable[str]) -> str:
    """Return a list of pages for the navigation."""
    return "\n".join(["```{toctree}", ":hidden:", "", *pages, "```", ""])


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


def explainer(text: str, where: dict[str, str]) -> str:
    """Return the explainer's page with its links to pages of the repository as links to pages of the site."""
    def changed(link: re.Match[str]) -> str:
        wanted = posixpath.normpath(posixpath.join(EXPLAINER, link[1]))
        there = re.sub(r"\.(md|ipynb)$", ".html", where.get(wanted, ""))
        return f'href="../{there}"' if there else link[0]
    return re.sub(r'href="(\.\./[^"#]+)"', changed, text)


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
        head = f"# {section.title}\n\n{section.words}\n"
        made[f"{section.name}.md"] = "\n".join([head, *rows, "", toctree(names)])
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
        name.removeprefix("notebooks/") for name in sorted(made) if name.endswith(".ipynb"))
    pages["index.md"] += "\n" + toctree(
        f"{section.title} <{section.name}>" if section.title else section.name for section in SECTIONS)
    first_pages = sections(pages)
    if taken := {*first_pages} & {*pages}:
        raise ValueError(f"docs/{min(taken)} has the name of a section's first page; rename one of them")
    made |= pages | first_pages

    chapters, lessons = book.chapters(), book.lessons(root / "notebooks")
    made["book/index.md"] = book.contents(chapters) + "\n" + toctree(chapters)
    made |= {f"book/{chapter}.md": "---\nhide-toc: true\n---\n" + book.page(chapter, ops, root, lessons)
             for chapter, ops in chapters.items()}
    modules = api.installed()
    made["api/index.md"] = api.contents(modules) + "\n" + toctree(module.__name__ for module in modules)
    made |= {f"api/{module.__name__}.rst": api.page(module) for module in modules}
    return made
