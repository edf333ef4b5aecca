"""Finds submissions that look alike. The list is for the teacher; it changes no mark.

A program is compared as a set of its comments and of overlapping runs of its tokens, in which the student's own names
are replaced by one word. Runs and comments of the given file, of the solution, or of many submissions do not count.
"""

import contextlib
import hashlib
import io
import itertools
import keyword
import tokenize
import zlib
from collections import Counter

from npse.exercises.annotated import ANSWER, STUDENT

RUN = 8                      # tokens in a run
COMMON = 4                   # a run in so many submissions, and in at least 1 of 6, does not count
FEWEST = 40                  # own runs that a submission needs to be compared
ALIKE = 0.75                 # two submissions look alike if they share this part of the own runs of the smaller one
_SKIPPED = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER)


def flags(exercise, submissions):
    """Find the pairs of submissions to one exercise that look alike.

    Parameters
    ----------
    exercise : Exercise
    submissions : dict of student -> set
        The features of each program.

    Returns
    -------
    list of dict
        ``exercise``, ``students`` (two names), ``share`` (shared runs as a part of the own runs of the smaller one),
        ``runs`` (number of shared runs). The largest share comes first.
    """
    given = {run for one in exercise.in_all_variants() for reader in (STUDENT, ANSWER)
             for run in features([one.as_file(reader)])}
    found = {student: set(runs) - given for student, runs in submissions.items()}
    counts = Counter(run for runs in found.values() for run in runs)
    common = {run for run, count in counts.items() if count >= max(COMMON, len(found) / 6)}
    own = {student: runs - common for student, runs in found.items() if len(runs - common) >= FEWEST}
    pairs = []
    for (a, of_a), (b, of_b) in itertools.combinations(own.items(), 2):
        shared = len(of_a & of_b)
        share = shared / min(len(of_a), len(of_b))
        if share >= ALIKE:
            pairs.append({"exercise": exercise.name, "students": [a, b], "share": round(share, 2), "runs": shared})
    return sorted(pairs, key=lambda pair: -pair["share"])


def copies(exercise, submissions):
    """Find the students who handed in the same program: all of its words and numbers are equal, comments left out.

    Parameters
    ----------
    exercise : Exercise
    submissions : dict of student -> str
        The digest of each program.

    Returns
    -------
    list of dict
        ``exercise``, ``students``, ``solution`` (whether it is npse's own solution: then one student is enough). The
        given file, unchanged, is no copy.
    """
    variants = exercise.in_all_variants()
    given = {digest([one.as_file(STUDENT)]) for one in variants} | {digest([])}
    solutions = {digest([code]) for one in variants for code in (one.as_file(ANSWER), one.solution_code())}
    groups = {}
    for student, program in submissions.items():
        groups.setdefault("solution" if program in solutions else program, []).append(student)
    return [{"exercise": exercise.name, "students": students, "solution": program == "solution"}
            for program, students in groups.items()
            if program not in given and (len(students) > 1 or program == "solution")]


def digest(cells):
    """Return a digest of a program, of its tokens without comments and layout."""
    words = [token.string for token in _tokens(cells) if token.type not in (*_SKIPPED, tokenize.COMMENT)]
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def features(cells):
    """Return the set of the runs of tokens and the comments of some code, each as a number."""
    tokens, comments = [], set()
    for token in _tokens(cells):
        if token.type == tokenize.COMMENT:
            comments.add(token.string)
        elif token.type == tokenize.NAME and not _fixed(token.string, tokens):
            tokens.append("name")
        elif token.type not in (*_SKIPPED, tokenize.STRING):
            tokens.append(token.string)
    runs = {"\0".join(tokens[i:i + RUN]) for i in range(len(tokens) - RUN + 1)} | comments
    return {zlib.crc32(run.encode("utf-8", "surrogatepass")) for run in runs}


def _tokens(cells):
    """Yield the tokens of some code. The rest of a cell that cannot be read is left out."""
    for cell in cells:
        with contextlib.suppress(tokenize.TokenError, SyntaxError):
            yield from tokenize.generate_tokens(io.StringIO(cell).readline)


def _fixed(name, before):
    """Return whether a name was not chosen by the student: a keyword, NumPy, or an attribute."""
    return keyword.iskeyword(name) or name in ("np", "numpy") or (before and before[-1] == ".")
