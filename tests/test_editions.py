"""The rules between packages: the same ops in every edition, a light import, and imports that run one way."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import npse
from npse import backend, reference
from npse.editions.dispatch import CHAPTERS

ROOT = Path(npse.__file__).parent

# What each package or module under npse may import from npse.
# `data` and the packages above it may import `backend`: augmentation, prediction and the update step are ops.
HELPERS = {"support", "backend"}
ARROWS = {
    "types": set(),
    "reference": {"reference"},
    "editions": {"editions", "reference", "support"},
    "cpu": {"cpu", "reference", "editions", "support"},
    "cuda": {"cuda", "reference", "editions", "support"},
    "backend": {"support"},
    "support": {"support"},
    "gradcheck": {"gradcheck", "support"},
    "exercises": {"exercises", "gradcheck", "reference"} | HELPERS,
    "zoo": {"zoo", "gradcheck", "reference", "support"},
    "notebook": {"analysis", "notebook", "reference", "data", "training", "support"},
    "trace": {"trace", "cuda", "reference", "gradcheck", "support"},
    "layers": {"layers", "backend", "support"},
    "models": {"models", "layers", "support"},
    "data": {"data"} | HELPERS,
    "training": {"training", "models", "layers", "data"} | HELPERS,
    "analysis": {"analysis", "bench", "training", "models", "layers", "data"} | HELPERS,
    "bench": {"bench", "interop", "training", "models", "layers", "data", "reference", "cpu", "cuda"} | HELPERS,
    "lab": {"lab", "bench", "training", "models", "data"} | HELPERS,
    "interop": {"interop", "training", "models", "layers", "data", "reference"} | HELPERS,
    "cli": {"cli", "interop", "lab", "bench", "analysis", "training", "models", "data", "gradcheck", "zoo", "exercises",
            "trace", "reference", "cpu", "cuda", "__version__"} | HELPERS,
    "__main__": {"cli"},
    "__init__": {"backend"},
}
EVERYBODY_IMPORTS = {"types"}


@pytest.mark.parametrize("name", backend.available())
def test_every_edition_has_the_signatures_of_the_book(name):
    edition = backend.edition(name)
    for op in reference.OPS:
        assert inspect.signature(getattr(edition, op)) == inspect.signature(getattr(reference, op)), op


def test_the_contract_lists_every_op_once():
    assert len(set(reference.OPS)) == len(reference.OPS)
    assert set(reference.__all__) == {*reference.OPS, "OPS"}
    for op in reference.OPS:
        assert getattr(reference, op).__doc__, f"{op} has no docstring"


def test_only_a_missing_numba_disables_the_cpu_edition(monkeypatch):
    assert "reference" in backend.available()
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None if name == "numba" else object())
    assert backend.available() == ["reference"]
    with pytest.raises(ImportError, match="numba"):
        backend.edition("cpu")


def test_import_needs_numpy_alone():
    heavy = ("numba", "matplotlib", "typer", "pooch", "rich", "PIL", "safetensors", "scipy", "tqdm")
    code = ("import sys, npse; npse.use('reference'); print([m for m in sys.argv[1:] if m in sys.modules]); "
            "assert 'numpy' in sys.modules")
    ran = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_packages_are_imported_on_first_use():
    code = ("import sys, npse; assert 'npse.models' not in sys.modules; npse.models.se_resnet8; "
            "print(sorted(set(npse._PACKAGES) - set(dir(npse)))); npse.gradcheck.check_gradient; npse.nothing")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout == "[]\n"
    assert ran.stderr.splitlines()[-1] == "AttributeError: module 'npse' has no attribute 'nothing'"


def package_of(file):
    """Return the package or module directly under npse that a file belongs to: layers, backend, ..."""
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(file, tree):
    """Yield every (line, package under npse) that a file imports, at its head or in a function, relative ones too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = ["npse", *file.relative_to(ROOT).parts[:-1]]
            module = ".".join([*above[:len(above) - node.level + 1], *filter(None, [node.module])]) \
                if node.level else node.module
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("npse."):
                yield node.lineno, name.split(".")[1]


def violations(file, source):
    package = package_of(file)
    for line, imported in imports(file, ast.parse(source)):
        if imported not in ARROWS[package] | EVERYBODY_IMPORTS:
            yield f"{file.relative_to(ROOT)}:{line}: {package} imports {imported}"


def unlisted(packages):
    """Return one line for each package that has no arrows, and for each arrow without a package."""
    new, gone = sorted(packages - set(ARROWS)), sorted(set(ARROWS) - packages)
    return [*(f"npse/{name} is not listed: say in ARROWS what it may import" for name in new),
            *(f"npse/{name} is listed in ARROWS but does not exist" for name in gone)]


def test_every_package_has_its_arrows():
    found = unlisted({package_of(file) for file in ROOT.rglob("*.py")})
    assert not found, "\n".join(found)


def test_a_package_without_arrows_is_named():
    assert unlisted({*ARROWS, "plugins"} - {"zoo"}) == [
        "npse/plugins is not listed: say in ARROWS what it may import",
        "npse/zoo is listed in ARROWS but does not exist"]


def test_imports_run_one_way():
    files = sorted(ROOT.rglob("*.py"))
    found = [violation for file in files for violation in violations(file, file.read_text(encoding="utf-8"))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("file", "source"), [
    ("layers/a.py", "from npse.reference import relu"),
    ("layers/a.py", "from npse import cpu"),
    ("layers/a.py", "import npse.models"),
    ("layers/a.py", "from ..models import resnet"),
    ("layers/a.py", "def f():\n    from npse.cli import main"),
    ("cpu/a.py", "from npse.cuda.conv import conv2d"),
    ("reference/a.py", "from npse.backend import active"),
    ("backend.py", "import npse.reference"),
    ("gradcheck/cases/a.py", "from npse.layers import Conv2d"),
    ("gradcheck/a.py", "import npse.reference as book"),
    ("models/a.py", "from npse.training import run"),
    ("zoo/a.py", "from npse.backend import active"),
    ("training/a.py", "from npse.analysis import plots"),
    ("lab/a.py", "from npse.cli import progress"),
    ("training/a.py", "from npse.lab import spec"),
    ("support/environment.py", "from npse.cli import main"),
    ("exercises/a.py", "import npse.cli"),
    ("bench/a.py", "from npse.cli import console"),
    ("lab/a.py", "from npse.cuda import conv2d"),
    ("__init__.py", "from npse import models"),
])
def test_a_forbidden_arrow_is_seen(file, source):
    assert len(list(violations(ROOT / file, source))) == 1


@pytest.mark.parametrize(("file", "source"), [
    ("layers/a.py", "from npse.backend import active\nfrom .layer import Layer\nimport numpy"),
    ("cli/a.py", "from npse.cli import check\nfrom npse import training"),
    ("analysis/a.py", "from npse.training import predict"),
])
def test_an_allowed_arrow_passes(file, source):
    assert not list(violations(ROOT / file, source))


def chapters(package):
    """Return the chapters of an edition, by their paths: those of its folder, and of the folders that hold chapters."""
    folder = ROOT / package
    return {file.relative_to(folder).with_suffix("").as_posix()
            for place in (".", *CHAPTERS) for file in (folder / place).glob("*.py")}


def test_the_editions_have_the_chapters_of_the_book_and_nothing_else():
    book = chapters("reference") - {"contract", "checks", "numerics", "old_names"}
    small = {name for name in book if name.startswith(CHAPTERS)}          # ops on numbers, not on maps
    assert chapters("cuda") == book - {"staged", "whitening"}
    alone = {"loss", "staged", "whitening"}                               # here the book's own functions are used
    assert chapters("cpu") - small == book - small - alone
    folders = {edition: {path.name for path in (ROOT / edition).iterdir() if (path / "__init__.py").exists()}
               for edition in ("reference", "cpu", "cuda")}
    assert folders["reference"] == {*CHAPTERS}
    assert folders["cpu"] - {*CHAPTERS} == {"runtime", "simd", "conv_kernels", "norm_kernels", "se_kernels",
                                            "update_kernels"}
    assert folders["cuda"] == {"runtime", "conv_kernels", "se_kernels", "update_kernels", *CHAPTERS}


@pytest.mark.skipif("cpu" not in backend.available(), reason="Numba is missing")
def test_an_op_is_in_the_chapter_of_the_same_name():
    cpu = backend.edition("cpu")
    for name in reference.OPS:
        if hasattr(getattr(cpu, name), "replaced"):
            chapter = "pool" if name.startswith("global_") else getattr(reference, name).__module__.split(".", 2)[2]
            assert getattr(sys.modules[f"npse.cpu.{chapter}"], name) is getattr(cpu, name), name
