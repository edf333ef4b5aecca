"""Fresh processes for measurements: threads, caches and memory of one measurement do not affect the next."""

import json
import os
import subprocess
import sys

POOLS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS")


def ask(function, *, threads, environment=None, **options):
    """Call a function of `npse.bench` in a fresh process (`npse.bench.worker`) and return its result.

    Parameters
    ----------
    function : function of a module of `npse.bench`; it is called with ``threads`` and ``options``, which pass as JSON
    threads : int, also the limit for the thread pools of all libraries
    environment : dict of str to str, variables that are set in addition to those of this process

    Raises
    ------
    ChildProcessError
        The function raised an exception, or its process died; NPSE_TRACEBACK=1 shows what it printed.
    """
    job = f"{function.__module__.removeprefix('npse.bench.')}.{function.__name__}"
    variables = {**os.environ, **dict.fromkeys(POOLS, str(threads)), **(environment or {})}
    command = [sys.executable, "-m", "npse.bench.worker", job, json.dumps({"threads": threads, **options})]
    ran = subprocess.run(command, env=variables, text=True, stdout=subprocess.PIPE,
                         stderr=None if os.environ.get("NPSE_TRACEBACK") else subprocess.DEVNULL)
    try:
        answer = json.loads(ran.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise ChildProcessError(f"the process of {job} ended with code {ran.returncode} and without a result; "
                                "set NPSE_TRACEBACK=1 to see what it printed") from None
    if "error" in answer:
        raise ChildProcessError(answer["error"])
    return answer["result"]
