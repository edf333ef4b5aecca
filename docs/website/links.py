"""Links of a page, as they must be on the site: pure functions from text to text."""

import posixpath
import re
from collections.abc import Mapping

LINK = re.compile(r"(?P<picture>!?)\[(?P<words>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^)\s]+)\)")
FENCED = re.compile(r"(^ *```.*?^ *```[^\n]*$)", re.DOTALL | re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z]+:")                  # an address with a scheme


def anchor(heading: str) -> str:
    """Return the anchor of a heading, as GitHub and MyST make it: "A picture" and "A-picture" give "a-picture"."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def rewritten(text: str, page: str, places: Mapping[str, str], repository: str = "") -> str:
    """Return the Markdown of a page with its links turned into links of the site. Fenced code stays as it is.

    Parameters
    ----------
    text : str
    page : str
        The page's path in the repository.
    places : mapping of str to str
        Where on the site a file or a folder of the repository is found; both as paths.
    repository : str
        The web address of the repository. It serves targets that the site does not have. Without it only the words of
        such links remain.
    """
    def changed(link: re.Match[str]) -> str:
        target, picture, words = link["target"], link["picture"], LINK.sub(changed, link["words"])   # [![a](b)](c)
        if ELSEWHERE.match(target):
            return f"{picture}[{words}]({target})"
        path, _, heading = target.partition("#")
        hash_ = f"#{anchor(heading)}" if heading else ""
        if not path:
            return f"{picture}[{words}]({hash_})"
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
        if wanted in places:
            here = posixpath.dirname(places[page])
            there = posixpath.relpath(places[wanted], here or ".")
            if there.endswith(".html"):                               # no page that Sphinx knows
                return f'<a href="{there}{hash_}">{words}</a>'
            return f"{picture}[{words}]({there}{hash_})"
        return f"[{words}]({repository}/blob/main/{wanted}{hash_})" if repository else words

    parts = FENCED.split(text)
    return "".join(part if number % 2 else LINK.sub(changed, part) for number, part in enumerate(parts))


def title(text: str) -> str:
    """Return the words of the first heading of a page."""
    found = re.search(r"^# +(.*)", text, re.MULTILINE)
    return found[1].strip() if found else ""


def first_sentence(text: str) -> str:
    """Return the first sentence after the first heading of a page, without links; empty if it begins otherwise."""
    _, _, body = text.partition("\n# ") if not text.startswith("# ") else ("", "", text[2:])
    for paragraph in body.split("\n\n")[1:]:
        if re.match(r"[A-Z*]|`(?!``)", paragraph):
            plain = LINK.sub(lambda link: link["words"], " ".join(paragraph.split()))
            return re.split(r"(?<=[.:?!])\s", plain)[0].rstrip(":")
    return ""
