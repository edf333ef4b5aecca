"""Which submissions look alike, beyond what everybody has in common. For a teacher to look at; it changes no mark.

A program is seen as overlapping runs of its tokens, with the student's own names made equal, and its comments. What
stands in the student's file or the solution from the start, or in many of the submissions, says nothing.
"""

import io
import itertools
import keyword
import tokenize
from collections import Counter

from npse.exercises.annotated import ANSWER, STUDENT

RUN = 8                      # tokens
COMMON = 4                   # submissions with the same run make it common knowledge (at least, and 1 in 6)
FEWEST = 40                  # runs of its own that a submission must have to be compared
ALIKE = 0.75                 # share of these runs that two must have in common
_SKIPPED = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER)


def flags(exercise, submissions):
    """Pairs of submissions to one exercise that look alike.

    Parameters
    ----------
    exercise : Exercise
    submissions : dict of student -> cells

    Returns
    -------
    list of dict
        ``exercise``, ``students`` (two names), ``share`` (of the smaller one's own runs), ``runs``; most alike first.
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
    """Runs of tokens and comments of some code; as much of it as can be read."""
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
    """Whether a name is nobody's own choice: a keyword, NumPy, or an attribute."""
    return keyword.iskeyword(name) or name in ("np", "numpy") or (before and before[-1] == ".")
