"""Whether the judge's first sentence about a mutant is right: decided by rules, without a reader.

A sentence is

* **right** if its kind is one of those that the operator lists, if it has one of the operator's words, or if it quotes
  the changed code and the code that belongs there: the change that it asks for gives the right function's source, up
  to the order of the two sides of a product or a sum;
* **right by numbers** if it names another change that gives the same numbers: the judge says the same on other numbers
  and other shapes;
* **vague** if it claims no cause: it states what is seen, such as a factor, zeros, a shape or an exception, or it says
  that nothing explains the numbers;
* **misleading** in every other case: it names a change that was not made, and says something else elsewhere; it
  blames the precision of float32; or the judge itself ends with an exception.

A sentence that tells two mistakes, where one was made, or that calls a factor a size, where no size was changed, is
right by numbers or misleading.
"""

import ast
import re

RIGHT, BY_NUMBERS, VAGUE, MISLEADING = VERDICTS = ("right", "right by numbers", "vague", "misleading")

FAILS = "judge fails"            # the kind where the judge itself raises an exception

# sentences that say nothing about the change, whatever their kind is
EMPTY = re.compile("no simple mistake explains|not finite|a different factor at each place|differs from the book|"
                   "is not linear in dy: every|gives a different result when called again")
# sentences that state what is seen and claim no cause
SEEN = re.compile("|".join((
    r"^every entry of \w+ is \S+ times too (large|small)( \(.+ here\))?(, besides the wrong sign)?\.$",
    "is all zeros", r"raises \w+", "has the wrong sign, everywhere", "has shape", "has dtype",
    r"is given \S+ but returns", "backward must return", "right except at the border", "and right elsewhere",
    r"the error of \w+ (is|along)", "is zero except at one place", "differs from call to call",
    "has a term that is not a multiple")))
# a factor that is said to be a size: true by chance unless the change is about a size
SIZE = re.compile(r"times too (large|small), and .+ is ")
# two mistakes in one sentence: the text of one, and that of the other
TWO = re.compile(r", and (d\w+ (?!that of|tells why)|all of it )")

# a change that is asked for: code, its line, and the code that belongs there
ASKS = re.compile(r"`([^`]+)` \(line \d+\) must be (?:`([^`]+)`|left out)")


def first_sentence(text):
    """Return a text up to its first full stop, which is followed by a blank; "Eq. 4" goes on."""
    return re.match(r".*?(?<!Eq)\.(?=\s|$)|.*", " ".join(text.split()))[0]


def without_numbers(sentence):
    """Return a sentence with # for every number, to compare what is said on different shapes."""
    return re.sub(r"(?<![\w])-?\d+(\.\d+)?(e[+-]?\d+)?", "#", sentence)


def _has(sentence, words):
    """Whether one of the words begins somewhere in a sentence, not within another word."""
    return any(re.search(rf"(?<!\w){re.escape(word)}", sentence) for word in words)


def restores(sentence, right, wrong):
    """Whether the change that a sentence asks for makes the right function of the wrong one; both are source texts."""
    return any(_same_code(changed, right) for before, after in ASKS.findall(sentence)
               for changed in _changed(wrong, before, after))


def _changed(source, before, after):
    """Yield the source with one place changed; without a statement that begins with ``before`` if nothing follows."""
    if after:
        for found in re.finditer(re.escape(before), source):
            yield from (source[:found.start()] + text + source[found.end():] for text in (after, f"({after})"))
        return
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for block in (getattr(node, "body", None), getattr(node, "orelse", None)):
            for step in list(block) if isinstance(block, list) else ():
                if ast.unparse(step).splitlines()[0] == before and len(block) > 1:
                    kept = list(block)
                    block.remove(step)
                    yield ast.unparse(tree)
                    block[:] = kept


def _same_code(source, other):
    """Whether two texts are the same code; a * b and b * a are the same, and so are a + b and b + a."""
    try:
        return _dump(source) == _dump(other)
    except SyntaxError:
        return False


def _dump(source):
    return ast.dump(_InOrder().visit(ast.parse(source)))


class _InOrder(ast.NodeTransformer):
    """Puts the two sides of each product and each sum in one order."""

    def visit_BinOp(self, node):
        self.generic_visit(node)
        if isinstance(node.op, (ast.Mult, ast.Add)):
            node.left, node.right = sorted((node.left, node.right), key=ast.dump)
        return node


def classify(operator, kind, text, elsewhere, right="", wrong=""):
    """Return the verdict on a diagnosis.

    Parameters
    ----------
    operator : Operator
    kind, text : str
        The diagnosis that a user reads first.
    elsewhere : function of () -> list of (kind, text)
        What the judge says on other numbers and shapes; called if the verdict depends on it.
    right, wrong : str
        The source of the right function and that of the mutant.
    """
    sentence = first_sentence(text)
    if kind == FAILS:
        return MISLEADING
    if restores(sentence, right, wrong):
        return RIGHT
    if (kind == "unexplained" or EMPTY.search(sentence)) and not ASKS.search(sentence):
        return VAGUE
    tells_more = TWO.search(sentence) or (SIZE.search(sentence) and "averaged" not in operator.kinds)
    if not tells_more and (kind in operator.kinds or _has(sentence, operator.words)):
        return RIGHT
    if not tells_more and SEEN.search(sentence) and not ASKS.search(sentence):
        return VAGUE
    if kind == "dtype":                                           # it blames the precision of another mistake
        return MISLEADING
    others = [(other, without_numbers(first_sentence(said))) for other, said in elsewhere()]
    same = [other == (kind, without_numbers(sentence)) for other in others]
    return BY_NUMBERS if same and all(same) else MISLEADING
