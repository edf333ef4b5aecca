"""The reasons why a GPU cannot be used, each in one line. The driver is a fake, so every computer tests every case."""

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from npse import backend
from npse.support import nvidia_driver

ROOT = Path(__file__).parents[1]


class Driver:
    """A driver that has one GPU by default."""

    def __init__(self, init=0, version=13000, words=b"system not yet initialized"):
        self.init, self.version, self.words = init, version, words

    def cuInit(self, flags):
        return self.init

    def cuGetErrorString(self, code, text):
        text._obj.value = self.words
        return 0

    def cuDriverGetVersion(self, version):
        version._obj.value = self.version
        return 0

    def cuDeviceGet(self, device, number):
        return 0

    def cuDeviceGetName(self, text, length, device):
        text.value = b"NVIDIA Test GPU"
        return 0


@pytest.fixture
def computer(monkeypatch):
    """Give this computer a driver (or None), and the extra cuda with wheels of a CUDA version (None: without it)."""
    real_version, real_spec = importlib.metadata.version, importlib.util.find_spec

    def computer(driver, wheels="13.0.1", numba_cuda="0.31.0"):
        def version(package):
            found = {"cuda-bindings": wheels, "numba-cuda": numba_cuda}
            if package not in found:
                return real_version(package)
            if found[package] is None:
                raise importlib.metadata.PackageNotFoundError(package)
            return found[package]

        def find_spec(name):
            return (wheels and object()) if name in ("numba_cuda", "greenlet") else real_spec(name)

        monkeypatch.setattr(nvidia_driver, "_driver", lambda: driver)
        monkeypatch.setattr(nvidia_driver, "_initialised", lambda: driver.cuInit(0))
        monkeypatch.setattr(importlib.metadata, "version", version)
        monkeypatch.setattr(importlib.util, "find_spec", find_spec)
        nvidia_driver.name.cache_clear()
    monkeypatch.delenv("NUMBA_ENABLE_CUDASIM", raising=False)
    yield computer
    nvidia_driver.name.cache_clear()


@pytest.mark.parametrize(("driver", "wheels", "words"), [
    (Driver(), None, ["numba-cuda, which is not installed", " -m pip install -e ", "[cuda]\"", "cuda12"]),
    (None, "13.0.1", ["no NVIDIA driver was found", "install the driver"]),
    (Driver(init=100), "13.0.1", ["the driver finds none", "nvidia-smi"]),
    (Driver(init=802), "13.0.1", ["cannot start: system not yet initialized (error 802)"]),
    (Driver(version=12080), "13.0.1", ["too old", "CUDA 12.8", "needs CUDA 13", "update the driver", "[cuda12]\""]),
    (Driver(version=11040), "12.9.1", ["too old", "CUDA 11.4", "needs CUDA 12", "update the driver"]),
])
def test_a_missing_part_is_reported_in_one_line(computer, driver, wheels, words):
    computer(driver, wheels)
    line = backend.why_unavailable("cuda")
    assert "\n" not in line
    assert all(word in line for word in words), line
    with pytest.raises(ImportError) as refused:
        backend.use("cuda")
    assert str(refused.value) == line
    assert "cuda" not in backend.available()


def test_old_wheels_run_on_a_new_driver(computer):
    computer(Driver(version=13000), "12.9.1")
    assert nvidia_driver.why_unavailable() is None


def test_auto_takes_the_gpu_and_says_so(computer, monkeypatch):
    computer(Driver())
    monkeypatch.setattr(backend, "_lacks_when_tried", lambda: None)
    assert backend.choose() == ("cuda", "the fastest edition available, on NVIDIA Test GPU")


def test_auto_says_why_a_gpu_is_not_used(computer):
    computer(Driver(), wheels=None)
    name, reason = backend.choose()
    assert name in ("cpu", "reference")
    assert "NVIDIA Test GPU is not used" in reason
    assert nvidia_driver.install("cuda") in reason


def test_the_command_that_installs_an_extra_names_this_python_and_a_folder_that_has_the_extra():
    command = nvidia_driver.install("cuda")
    assert command.startswith(sys.executable)
    folder, extra = re.fullmatch(r'.* -m pip install -e "(.*)\[(\w+)\]"', command).groups()
    assert extra in tomllib.loads((Path(folder) / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.skipif(sys.platform == "darwin", reason="numba-cuda does not exist for macOS")
def test_trace_needs_the_extra_and_says_so(computer, npse, tmp_path):
    computer(None, wheels=None)
    code, out, err = npse("trace", "squeeze")
    assert (code, out) == (2, "")
    assert err == f"npse: {nvidia_driver.without_numba_cuda('npse trace')}\n"
    assert nvidia_driver.install("cuda") in err
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_installed_by_the_bare_name():
    """npse is on no package index, so a package of that name would come from somebody else."""
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"),
             *(ROOT / "notebooks").glob("[!.]*"), *(ROOT / "npse").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    bare = re.compile(r"pip install [^\n]*[ '\"]npse[\s\['\"=`]")
    texts = [path for path in files if path.suffix in (".md", ".py", ".ipynb") and path.is_file()]
    assert not [path for path in texts if bare.search(path.read_text(encoding="utf-8"))]


def test_auto_never_takes_the_simulator(computer, monkeypatch):
    computer(None)
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    assert nvidia_driver.why_unavailable() is None
    assert backend.choose()[0] != "cuda"


@pytest.mark.parametrize("error", [ImportError, OSError, RuntimeError, AttributeError])
def test_a_library_that_cannot_be_loaded_is_reported(computer, monkeypatch, error):
    computer(Driver())

    def fail(name):
        raise error("libnvrtc.so.13:\n cannot open shared object file")
    monkeypatch.setattr(backend.importlib, "import_module", fail)
    assert backend.why_unavailable("cuda") == ("the cuda edition cannot be loaded: libnvrtc.so.13: cannot open "
                                               f"shared object file; run: {nvidia_driver.install('cuda')}")


def test_a_wrong_value_of_a_variable_is_reported_without_an_installation(computer, monkeypatch):
    computer(Driver())

    def fail(name):
        raise ValueError("NPSE_CUDA_CONVOLUTION must name a variant, but is 'moon'")
    monkeypatch.setattr(backend.importlib, "import_module", fail)
    assert backend.why_unavailable("cuda") == ("the cuda edition cannot be loaded: NPSE_CUDA_CONVOLUTION must name a "
                                               "variant, but is 'moon'")


@pytest.mark.parametrize(("installed", "numpy", "simulator", "words"), [
    ("0.30.4", "2.5.1", False, "numba-cuda 0.30.4 needs NumPy below 2.5, but NumPy 2.5.1 is installed; run: "),
    ("0.30.4", "2.4.6", False, None),
    ("0.31.0", "2.5.1", False, None),
    ("0.30.4", "2.5.1", True, None),
])
def test_a_numpy_that_is_too_new_for_numba_cuda_is_reported(computer, monkeypatch, installed, numpy, simulator, words):
    computer(Driver(), numba_cuda=installed)
    functions = {} if numpy > "2.5" else {"row_stack": print}
    monkeypatch.setattr(nvidia_driver, "np", SimpleNamespace(__version__=numpy, **functions))
    if simulator:
        monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    line = nvidia_driver.why_unavailable()
    assert line == (words and words + nvidia_driver.install("cuda"))
    assert nvidia_driver.without_numba_cuda("npse trace") is None           # the simulator works with any NumPy


def test_the_simulator_needs_greenlet_and_says_so(computer, monkeypatch):
    computer(None)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "greenlet" else find(name))
    assert nvidia_driver.without_numba_cuda("npse trace") is None
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    assert nvidia_driver.why_unavailable() == ("the cuda edition needs greenlet in the simulator, which is not "
                                               f"installed; run: {nvidia_driver.install('cuda')}")


def test_the_extras_require_a_numpy_that_numba_cuda_can_compile_with():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra in ("cuda", "cuda12"):
        assert any(line.startswith("numba-cuda") and "<0.31" in line for line in extras[extra])
        assert any(line.startswith("numpy<2.5;") for line in extras[extra])


@pytest.mark.parametrize("version", ["", "unknown", None])
def test_packages_without_a_version_are_none(computer, version):
    computer(Driver(), wheels=version)
    assert "numba-cuda, which is not installed" in nvidia_driver.why_unavailable()


@pytest.mark.parametrize(("value", "simulated"), [("1", True), (" 2 ", True), ("0", False), ("", False), ("y", False)])
def test_the_variable_of_the_simulator_is_read_as_numba_reads_it(monkeypatch, value, simulated):
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", value)
    assert nvidia_driver.simulated() == simulated


def test_without_a_driver_no_large_package_is_imported():
    code = ("import sys; from npse import backend; from npse.support import nvidia_driver; "
            "nvidia_driver._driver = lambda: None; print(backend.choose()[0]); "
            "print([name for name in ('numba', 'cuda', 'numba_cuda') if name in sys.modules])")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


def test_the_command_line_reports_it_and_exits(npse, computer):
    computer(None)
    for words in (["train"], ["check"], ["bench"]):
        code, _, err = npse(*words, "--edition", "cuda")
        assert code == 2
        assert err.strip() == f"npse: {nvidia_driver.why_unavailable()}"
