"""What users import states its types: mypy asks for them, the package ships them, and an editor shows them."""

import tomllib
from pathlib import Path

import pytest

import npse

ROOT = Path(__file__).parents[1]
PUBLIC = ("analysis", "backend", "data", "gradcheck", "layers", "models", "reference", "training", "types")


def test_mypy_asks_for_the_types_of_what_users_import():
    overrides = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mypy"]["overrides"]
    typed, = [part["module"] for part in overrides if part.get("disallow_untyped_defs")]
    assert {name.removeprefix("npse.").removesuffix(".*") for name in typed} >= set(PUBLIC)
    ignored = [module for part in overrides if part.get("ignore_errors") for module in part["module"]]
    assert ignored == ["npse.cpu.*", "npse.cuda.*"]


def test_the_package_says_that_it_has_types():
    assert (Path(npse.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize(("call", "shown"), [
    ("npse.models.se_resnet20(", ("reduction: int=4", "widths: tuple[int, ...]", "-> Sequential")),
    ("npse.reference.scale(", ("u: Array", "s: Array", "-> Array")),
    ("npse.gradcheck.check_gradient(", ("wrt: str | Sequence[str] | None=None", "-> Report")),
])
def test_an_editor_shows_the_arguments(call, shown):
    jedi = pytest.importorskip("jedi")
    signature, = jedi.Script(f"import npse\n{call}", project=jedi.Project(ROOT)).get_signatures()
    for words in shown:
        assert words in signature.to_string()
