"""Finds submissions that look alike. The list is for the teacher; it changes no mark.

A program is compared as a set of its comments and of overlapping runs of its tokens, in which the student's own names
are replaced by one word. Runs and comments of the given file, of the solution, or of many submissions do not count.
"""

import io
import itertools
import keyword
import tokenize
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
    submissions : dict of student -> cells

    Returns
    -------
    list of dict
        ``exercise``, ``students`` (two names), ``share`` (shared runs as a part of the own runs of the smaller one),
        ``runs`` (number of shared runs). The largest share comes first.
    """
    given = features([exercise.as_file(STUDENT)]) | features([exercise.as_file(ANSWER)])
    found = {student: features(cells) - given for student, cells in submissions.items()}
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


def features(cells):
    """Return the set of the runs of tokens and the comments of some code. A part that cannot be read is left out."""
    tokens, comments = [], set()
    for cell in cells:
        try:
            for token in tokenize.generate_tokens(io.StringIO(cell).readline):
                if token.type == tokenize.COMMENT:
                    comments.add(token.string)
                elif token.type == tokenize.NAME and not _fixed(token.string, tokens):
                    tokens.append("name")
                elif token.type not in (*_SKIPPED, tokenize.STRING):
                    tokens.append(token.string)
        except (tokenize.TokenError, SyntaxError):
            continue
    return {tuple(tokens[i:i + RUN]) for i in range(len(tokens) - RUN + 1)} | comments


def _fixed(name, before):
    """Return whether a name was not chosen by the student: a keyword, NumPy, or an attribute."""
    return keyword.iskeyword(name) or name in ("np", "numpy") or (before and before[-1] == ".")
