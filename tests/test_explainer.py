"""The explainer, docs/explainer: every number that it shows is the book's, in hundreds of random states."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, WITHOUT, found_on

from npse import reference as ops
from npse.gradcheck import check_gradient
from npse.gradcheck.cases.case import Case
from npse.gradcheck.compare import compare
from npse.gradcheck.measure import Measurement
from npse.gradcheck.numeric import numeric_gradient
from npse.layers.excitation import GATES
from npse.reference.activation import pieces

FOLDER = Path(__file__).parents[1] / "docs" / "explainer"
PAGE = (FOLDER / "index.html").as_uri()
PIECES = {"hard_sigmoid": pieces, "relu": lambda a: a > 0}           # the gates that have kinks
OF_ONE_PICTURE = {"w", "w1", "w2", "dw", "dw1", "dw2"}                # arrays without an axis N
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
STATES, JUDGED = 220, 30

# Every number of a page, and every sentence of the judge; the functions are those that an address calls.
COLLECT = """
const {contentWindow: {npse: {page}}, contentDocument: document} = frames[0];
const at = selector => [...document.querySelectorAll(selector)];
const texts = selector => at(selector).map(element => element.textContent);
const numbers = () => at(".cell").map(({dataset, textContent}) =>
  [dataset.name, dataset.index, dataset.value, textContent]);
return HASHES.map((hash, i) => {
  page.open(hash);
  const hidden = i < 20 ? at(".grid .cell, .says, .sum").filter(element => !element.checkVisibility()).length : 0;
  return {hidden, numbers: numbers(), says: texts(".says"), problem: texts("#problem"), diagnosis: texts("#diagnosis"),
          sums: texts(".sum"), ratio: texts("#reduction")};
});"""


# states

def random_state(rng):
    """Draw a state: arrays in the book's shapes, of small whole numbers or of any, and the settings."""
    C = int(rng.integers(2, 5))
    M = int(rng.integers(1, C + 1))
    shapes = {"x": (1, 3, 3, 2), "w": (2, 2, 2, C), "w1": (M, C), "w2": (C, M), "dy": (1, 2, 2, C)}
    size = rng.choice([0.5, 1, 3])
    arrays = {name: rng.integers(-3, 4, shape).astype(float) if rng.random() < 0.2 else rng.normal(size=shape) * size
              for name, shape in shapes.items()}
    arrays = {name: np.clip(array, -9, 9) for name, array in arrays.items()}
    return {**arrays, "gate": str(rng.choice(GATES)), "backward": rng.random() < 0.8, "squeeze": rng.random() < 0.6}


def hash_of(state):
    words = {name: ",".join(map(repr, value.ravel().tolist())) if isinstance(value, np.ndarray) else value
             for name, value in state.items()}
    words |= {name: int(state[name]) for name in ("backward", "squeeze")}
    return "#" + "&".join(f"{name}={word}" for name, word in words.items())


def start():
    """The example of the notebooks 1 to 4."""
    x, w, dy = np.zeros((1, 3, 3, 2)), np.zeros((2, 2, 2, 2)), np.zeros((1, 2, 2, 2))
    x[0, :, :, 0], x[0, :, :, 1] = [[0, 2, 2], [0, 2, 0], [3, 3, 3]], [[0, 0, 3], [1, 0, 0], [0, 2, 2]]
    w[:, :, 0, 0], w[:, :, 1, 0] = [[-2, 2], [0, 0]], [[0, 0], [0, 2]]
    w[:, :, 0, 1], w[:, :, 1, 1] = [[0, -2], [0, 2]], [[0, 0], [0, 1]]
    dy[0, :, :, 0], dy[0, :, :, 1] = [[2, 1], [1, -1]], [[1, 4], [2, -1]]
    w1, w2 = np.array([[1.0, -1], [-1, 1]]), np.array([[math.log(3), 2], [-math.log(3), 1]])
    return {"x": x, "w": w, "w1": w1, "w2": w2, "dy": dy, "gate": "sigmoid", "backward": True, "squeeze": True}


# what the book says

def forward(u, w1, w2, gate):
    a1 = ops.dense(ops.squeeze(u), w1)
    a2 = ops.dense(ops.relu(a1), w2)
    s = getattr(ops, gate)(a2)
    return {"u": u, "z": ops.squeeze(u), "a1": a1, "h": ops.relu(a1), "a2": a2, "s": s, "y": ops.scale(u, s)}


def book(state):
    """Every number of a state, by the names of the page."""
    x, w, w1, w2, dy, gate, with_backward, squeeze_path = state.values()
    found = {"x": x, "w": w, "w1": w1, "w2": w2, **forward(ops.conv2d(x, w), w1, w2, gate)}
    if not with_backward:
        return found
    u, s = found["u"], found["s"]
    direct, ds = ops.scale_backward(dy, u, s)
    da2 = getattr(ops, f"{gate}_backward")(ds, s)
    dh, dw2, _ = ops.dense_backward(da2, found["h"], w2)
    da1 = ops.relu_backward(dh, found["h"])
    dz, dw1, _ = ops.dense_backward(da1, found["z"], w1)
    through = ops.squeeze_backward(dz, u.shape)
    du = direct + through if squeeze_path else direct
    if gate == "sigmoid" and squeeze_path:
        np.testing.assert_allclose(du, ops.se_backward(dy, u, w1, w2)[0], rtol=1e-9, atol=1e-9)

    def y(u):
        return forward(u, w1, w2, gate)["y"]
    numeric = numeric_gradient(y, u, dy, lambda u: kinks(u=u, **{name: state[name] for name in ("w1", "w2", "gate")}))
    return found | {"dy": dy, "direct": direct, "through": through, "du": du, "ds": ds, "da2": da2, "dw2": dw2,
                    "dh": dh, "da1": da1, "dw1": dw1, "dz": dz, "dw": ops.conv2d_backward_w(du, x, w.shape),
                    "dx": ops.conv2d_backward_x(du, w, x.shape), "numeric": numeric.value}


def kinks(u, w1, w2, gate):
    found = forward(u, w1, w2, gate)
    return [found["a1"], *([PIECES[gate](found["a2"])] if gate in PIECES else [])]


def verdicts(state):
    """The judge's result for each gradient, in the order of the page."""
    numbers = book(state)
    wrt = {"u": ("u", "w1", "w2"), "w": ("w", "x")}
    results = []
    for kind, names in wrt.items():
        def maps(u=None, x=None, w=None):
            return ops.conv2d(x, w) if u is None else u

        def run(_, w1, w2, maps=maps, **rest):
            return forward(maps(**rest), w1, w2, state["gate"])["y"]

        def at_kinks(w1, w2, maps=maps, **rest):
            return kinks(maps(**rest), w1, w2, state["gate"])
        arguments = {name: numbers[name] for name in ({"u": ("u",), "w": ("x", "w")}[kind] + ("w1", "w2"))}
        case = Case(("se",), "page", lambda rng: {}, run, None, names, at_kinks)
        measured = Measurement(case, ops, arguments, numbers["y"], state["dy"],
                               tuple(numbers[f"d{name}"] for name in names))
        results += [compare(measured, name) for name in names]
    return results


# the page in a browser

@pytest.fixture(scope="module")
def states():
    rng = np.random.default_rng(0)
    return [start(), start() | {"squeeze": False}, *(random_state(rng) for _ in range(STATES))]


DRIVE = """
const {contentWindow: window, contentDocument: document} = frames[0];
const cell = (name, index) => document.querySelector(`.cell[data-name="${name}"][data-index="${index}"]`);
const value = (...place) => Number(cell(...place).dataset.value);
const send = (target, event) => target.dispatchEvent(event);
const key = (target, key, more = {}) =>
  send(target, new window.KeyboardEvent("keydown", {key, bubbles: true, ...more}));
const pointer = (target, type, clientX) => {
  const buttons = type === "pointerup" ? 0 : 1;
  send(target, new window.PointerEvent(type, {clientX, button: 0, buttons, bubbles: true}));
};
const text = selector => document.querySelector(selector).textContent;
const choose = (selector, value, type) => {
  const control = document.querySelector(selector);
  if (value !== null) control.value = value;
  send(control, new window.Event(type, {bubbles: true}));
};
const seen = {};

const pixel = cell("x", "0,1,0");
pixel.focus();
seen.tip = text("#how");
seen.before = [value("x", "0,1,0"), value("u", "0,0,0")];
key(pixel, "ArrowUp");
seen.up = [value("x", "0,1,0"), value("u", "0,0,0")];
key(pixel, "PageDown");
key(pixel, "ArrowDown", {shiftKey: true});
seen.down = value("x", "0,1,0");
key(pixel, "End");
key(pixel, "ArrowUp");
seen.limit = value("x", "0,1,0");
key(pixel, "ArrowRight");
seen.right = document.activeElement.dataset.index;
key(document.activeElement, "5");
document.activeElement.value = "5,5";
key(document.activeElement, "Enter");
seen.typed = [value("x", "0,2,0"), document.activeElement.dataset.index];
key(document.activeElement, "Enter");
document.activeElement.value = "7";
key(document.activeElement, "Escape");
seen.escaped = value("x", "0,2,0");

const weight = cell("w2", "0,0");
pointer(weight, "pointerdown", 100);
pointer(weight, "pointermove", 150);
pointer(weight, "pointerup", 150);
pointer(weight, "pointermove", 300);
seen.dragged = [value("w2", "0,0"), value("a2", "0")];

const made = cell("z", "0");
made.focus();
seen.how = text("#how");
seen.sources = document.querySelectorAll(".cell.source").length;

choose("#gate", "relu", "change");
seen.gate = [value("a2", "0"), value("s", "0")];
document.querySelector("#filters [value='4']").click();
choose("#hidden", "3", "input");
seen.sizes = [document.querySelectorAll(".cell[data-name='w1']").length, text("#reduction")];
document.querySelector("#backward").click();
seen.pressed = document.querySelector("#backward").getAttribute("aria-pressed");
document.querySelector("#squeeze-path").click();
seen.verdict = text("[data-verdict='u'] .says");
seen.hash = window.location.hash;
seen.unreachable = [...document.querySelectorAll(".grid")].filter(
  grid => grid.querySelectorAll(".cell[tabindex='0']").length !== 1).length;
seen.unnamed = [...document.querySelectorAll(".cell")].filter(one => !one.ariaLabel || one.tabIndex < -1).length;
seen.sums = [];
for (const one of document.querySelectorAll(".cell")) {
  const {name} = one.dataset, index = one.dataset.index.split(",").map(Number);
  if (!(name in window.npse.explain.sums)) continue;
  const all = window.npse.page.values(), at = ([name, index]) => index.reduce((part, i) => part[i], all[name]);
  const {terms} = window.npse.explain.explain(name, index, all);
  const sum = terms.reduce((sum, term) => sum + term.reduce((product, place) => product * at(place), 1), 0);
  seen.sums.push([name, Number(one.dataset.value), sum]);
}
document.querySelector(".try a[href*='gate=softmax']").click();
seen.link = [text("#gate option:checked"), window.location.hash.includes("gate=softmax")];
document.querySelector("#restart").click();
seen.restarted = [value("x", "0,1,0"), document.querySelectorAll(".cell[data-name='w1']").length];

const narrow = frames[1];
seen.widths = HASHES.map(hash => {
  narrow.contentWindow.npse.page.open(hash);
  return narrow.contentDocument.documentElement.scrollWidth;
});
seen.opened = frames[2].contentDocument.querySelector(".cell[data-name='s']").dataset.value;
const loaded = frame => frame.contentWindow.performance.getEntriesByType("resource");
seen.loaded = frames.flatMap(loaded).map(({name}) => name);
return seen;"""


@pytest.fixture(scope="module")
def collected(states, tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip(WITHOUT)
    hashes = [*map(hash_of, states), *WRONG]
    script = f"const HASHES = {json.dumps(hashes)};{COLLECT}"
    found, console = found_on([(PAGE, 1400)], tmp_path_factory.mktemp("collected"), script)
    assert console == []
    return found


@pytest.fixture(scope="module")
def driven(states, tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip(WITHOUT)
    large = [hash_of(state) for state in states if state["w1"].shape in ((4, 4), (3, 4))]
    script = f"const HASHES = {json.dumps(large)};{DRIVE}"
    pages = [(PAGE, 1400), (PAGE, 360), (f"{PAGE}#w2=0,0,0,0&gate=twice_sigmoid", 360)]
    found, console = found_on(pages, tmp_path_factory.mktemp("driven"), script)
    assert console == []
    return found


def close(value, expected):
    return abs(value - expected) <= 1e-6 * max(1, abs(expected))


def is_rounding(text, value):
    """Whether a text shows a number, rounded to three decimals; fewer if it is large, one digit if it is tiny."""
    size = abs(value)
    if 0 < size < 5e-4 or size >= 1e5:
        digit = 10.0 ** (math.floor(math.log10(size)) - (size >= 1e5))
        return abs(float(text) - value) <= 0.5001 * digit and len(text) <= 7
    decimals = 3 - sum(size >= limit for limit in (10, 100, 1000))
    return abs(float(text) - value) <= 0.5001 * 10.0**-decimals and len(text.partition(".")[2]) <= decimals


def test_every_number_is_the_books(states, collected):
    for state, page in zip(states, collected[:len(states)], strict=True):
        expected, shown = book(state), {}
        for name, index, value, text in page["numbers"]:
            if name == "error":
                continue
            place = (*(() if name in OF_ONE_PICTURE else (0,)), *map(int, index.split(",")))
            shown.setdefault(name, set()).add(place)
            if math.isnan(expected[name][place]):
                assert (value, text) == ("null", "kink")
                continue
            assert close(float(value), expected[name][place]), (name, place, value, expected[name][place], state)
            assert is_rounding(text.replace("−", "-"), float(value)), (text, value)
        assert shown == {name: set(np.ndindex(array.shape)) for name, array in expected.items()}
        for text, z in zip(page["sums"], expected["z"][0], strict=True):
            found = re.fullmatch(r"= \((.*)\) / 4", text.replace("−", "-"))
            terms = [float(term.strip("()")) for term in found[1].split(" + ")]
            assert sum(terms) / 4 == pytest.approx(z, abs=6e-4 * max(1, *map(abs, terms)))
        M, C = state["w1"].shape
        assert page["ratio"] == [f"{M}, r = C/M = {round(C / M, 2):g}"]
        assert page["problem"] == [""]
        assert page["hidden"] == 0


def assert_same(sentence, expected):
    """The same words and numbers; of several entries that are equally wrong another may be the worst."""
    if sentence.partition(": ours")[0] != expected.partition(": ours")[0]:
        sentence, expected = (re.sub("worst at .*(?=relative error)", "", text) for text in (sentence, expected))
    assert NUMBER.sub("#", sentence) == NUMBER.sub("#", expected)
    assert list(map(float, NUMBER.findall(sentence))) == pytest.approx(
        list(map(float, NUMBER.findall(expected))), rel=1e-6, abs=1e-12)


def test_the_judge_of_the_page_is_npses(states, collected):
    seen = set()
    judged = [(state, page) for state, page in zip(states, collected[:len(states)], strict=True)
              if state["backward"]][:JUDGED]
    for state, page in judged:
        errors = {index: value for name, index, value, _ in page["numbers"] if name == "error"}
        for sentence, result in zip(page["says"], verdicts(state), strict=True):
            seen.add(result.verdict)
            subject = f"gradient of {result.argument}: {result.verdict}"
            if result.verdict == "cannot tell":                       # npse says more about why
                assert sentence.startswith(subject)
                continue
            assert_same(sentence, f"{subject}, {result.message}" if result.message else subject)
            if result.ok:
                assert float(errors[result.argument]) < 1e-6
    assert {"right", "wrong"} <= seen


def test_a_forgotten_path_is_explained_in_the_judges_words(collected):
    state = start()
    u = ops.conv2d(state["x"], state["w"])

    def forgetful(dy, u, w1, w2):
        _, dw1, dw2, _, _ = ops.se_backward(dy, u, w1, w2)
        return dy * ops.excite(ops.squeeze(u), w1, w2)[:, None, None, :], dw1, dw2
    failure = check_gradient(ops.se, forgetful, {"u": u, "w1": state["w1"], "w2": state["w2"]}).failures[0]
    both, one_path = collected[:2]
    assert both["diagnosis"][0].startswith("Both paths are there.")
    assert one_path["diagnosis"][0].startswith(failure.diagnosis.text)
    assert one_path["says"][0].startswith("gradient of u: wrong, 8 of 8 entries differ")
    assert one_path["says"][1:3] == ["gradient of w1: right", "gradient of w2: right"]


def test_the_gates_of_the_page_are_npses():
    listed = re.search(r"const gates = \{(.*?)\n  \};", (FOLDER / "block.js").read_text(encoding="utf-8"), re.DOTALL)
    assert set(re.findall(r"^    (\w+):", listed[1], re.MULTILINE)) == set(GATES)


WRONG = {
    "#x=1,2": "x must hold 18 numbers, not 2",
    "#x=" + ",".join(["99"] * 18): "x must hold numbers from -9 to 9, not 99",
    "#w1=1,,1,1": "w1 must hold numbers from -9 to 9, not nothing",
    "#w=1": "w must hold 16, 24 or 32 numbers (2 to 4 filters), not 1",
    "#w1=1,2,3": "w1 must hold 2 numbers for each of 1 to 2 hidden units, not 3 in all",
    "#gate=<b>": "gate must be one of sigmoid, hard_sigmoid, twice_sigmoid, tanh, relu, softmax, not <b>",
    "#backward=yes": "backward must be one of 0, 1, not yes",
    "#colour=red": "the address names colour; expected x, w, w1, w2, dy, gate, backward, squeeze",
}


def test_a_wrong_address_is_explained(states, collected):
    for page, problem in zip(collected[len(states):], WRONG.values(), strict=True):
        assert page["problem"] == [f"This address cannot be read: {problem}. The example is shown."]
        assert len(page["numbers"]) == 18 + 16 + 8 + 2 + 4 + 2 + 2 + 4 + 2 + 2 + 8


def test_keys_and_typing_change_a_number(driven):
    assert driven["tip"].startswith("x[0, 0, 1, 0] = 2.")
    assert driven["before"] == [2, 4]
    assert driven["up"] == [2.1, pytest.approx(4.2)]
    assert driven["down"] == 0.1
    assert driven["limit"] == 9
    assert driven["right"] == "0,2,0"
    assert driven["typed"] == [5.5, "0,2,0"]
    assert driven["escaped"] == 5.5


def test_dragging_and_the_controls(driven):
    w2, a2 = driven["dragged"]
    assert w2 == 2.1                                                   # ten steps of 0.1 up from ln 3
    a2, s = driven["gate"]
    assert s == max(a2, 0) > 0
    assert driven["sizes"] == [12, "3, r = C/M = 1.33"]
    assert driven["pressed"] == "true"
    assert driven["verdict"].startswith("gradient of u: wrong")
    assert "gate=relu&backward=1&squeeze=0" in driven["hash"]
    assert driven["link"] == ["softmax", True]
    assert driven["restarted"] == [2, 4]
    assert driven["opened"] == "1"                                     # twice_sigmoid(0), from the address


def test_a_number_says_how_it_is_made(driven):
    assert re.fullmatch(r"z\[0, 0\] = \(.*\) / 4 = .*", driven["how"])
    assert driven["sources"] == 4
    assert len(driven["sums"]) > 100
    for name, value, total in driven["sums"]:
        assert close(total, value), name


def test_the_page_can_be_used_by_keyboard_and_reader(driven):
    assert driven["unreachable"] == driven["unnamed"] == 0


def test_nothing_is_wider_than_a_phone(driven):
    assert max(driven["widths"]) <= 360


def test_nothing_comes_from_the_network(driven):
    files = {path.as_uri() for path in FOLDER.iterdir()}
    assert set(driven["loaded"]) <= files
    for path in [*FOLDER.glob("*.js"), *FOLDER.glob("*.css"), *FOLDER.glob("*.html")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"@import|url\((?!#)|<(?:script|link|img)[^>]*(?:https?:|//)|fetch\(|XMLHttp", text), path
