"""An import of npse changes no setting of the user's process."""

import importlib.util
import os
import subprocess
import sys

import pytest

SCRIPT = """
import importlib, locale, logging, os, pkgutil, random, signal, sys, warnings
import matplotlib.pyplot, numpy as np, threadpoolctl
others = ["numba", "llvmlite.binding", "PIL.Image", "rich", "typer", "safetensors", "platformdirs", "pooch"]
others += ["numba.cuda"] if sys.argv[1] == "cuda" else []
for name in others:
    importlib.import_module(name)                  # npse does not cause what they change
from numba import config


def settings():
    found = {f"numba.config.{name}": getattr(config, name) for name in dir(config) if name.isupper()}
    found |= {f"rcParams {name}": value for name, value in matplotlib.rcParams.items()}
    found |= {f"environ {name}": value for name, value in os.environ.items()}
    found |= {f"threads of {pool['filepath']}": pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
    found |= {str(number): signal.getsignal(number) for number in signal.valid_signals()}
    return found | {"np.geterr": np.geterr(), "np.printoptions": np.get_printoptions(), "filters": warnings.filters[:],
                    "showwarning": warnings.showwarning, "locale": locale.setlocale(locale.LC_ALL),
                    "backend": matplotlib.get_backend(), "handlers": logging.root.handlers[:],
                    "random": random.getstate(), "np.random": str(np.random.get_state()), "folder": os.getcwd(),
                    "excepthook": sys.excepthook, "recursion": sys.getrecursionlimit(), "path": sys.path[:]}


sys.modules["torch"] = None                        # takes seconds, and changes many settings
before, failed = settings(), []
import npse
for module in pkgutil.walk_packages(npse.__path__, "npse."):
    if module.name != "npse.__main__":
        try:
            importlib.import_module(module.name)
        except Exception:                          # if an extra is not installed
            failed.append(module.name)
after = settings()
print(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))
needs_an_extra = ("npse.cuda", "npse.trace", "npse.bench.gpu_rates", "npse.bench.torch_peer")
print([name for name in failed if not name.startswith(needs_an_extra)])
"""


@pytest.mark.quick                                 # .ci/run runs these without the extras too
@pytest.mark.parametrize("simulator", ["0", "1"])
def test_no_import_changes_a_setting_of_the_users(simulator):
    cuda = "cuda" if importlib.util.find_spec("numba_cuda") else "no cuda"
    ran = subprocess.run([sys.executable, "-c", SCRIPT, cuda], env=os.environ | {"NUMBA_ENABLE_CUDASIM": simulator},
                         capture_output=True, text=True)
    assert ran.stdout == "[]\n[]\n", ran.stdout + ran.stderr
