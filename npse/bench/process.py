"""Fresh processes to measure in: what one measurement leaves behind (threads, caches, memory) cannot touch the next."""

import json
import os
import subprocess
import sys

POOLS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS")


def ask(job, *, threads, environment=None, **options):
    """Run a job of `npse.bench.worker` in a fresh process and return its result.

    Parameters
    ----------
    job : str, "module.function" of `npse.bench`; it gets ``threads`` and ``options``
    threads : int, also the limit of every library's own pool
    environment : dict of str to str, variables set beside those of this process

    Raises
    ------
    ChildProcessError
        The job raised something, or its process died; NPSE_TRACEBACK=1 shows its own words.
    """
    variables = {**os.environ, **dict.fromkeys(POOLS, str(threads)), **(environment or {})}
    command = [sys.executable, "-m", "npse.bench.worker", job, json.dumps({"threads": threads, **options})]
    ran = subprocess.run(command, env=variables, text=True, stdout=subprocess.PIPE,
                         stderr=None if os.environ.get("NPSE_TRACEBACK") else subprocess.DEVNULL)
    try:
        answer = json.loads(ran.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise ChildProcessError(f"the process of {job} ended with code {ran.returncode} and without a result; "
                                "NPSE_TRACEBACK=1 shows what it said") from None
    if "error" in answer:
        raise ChildProcessError(answer["error"])
    return answer["result"]
