"""A measuring process: ``python -m npse.bench.worker MODULE.FUNCTION '{"option": value}'`` prints one line of JSON."""

import importlib
import json
import sys
import traceback


def main(job, options):
    """Call a function of `npse.bench` and print {"result": ...}, or {"error": ...} with what it raised."""
    module, function = job.split(".")
    try:
        answer = {"result": getattr(importlib.import_module(f"npse.bench.{module}"), function)(**json.loads(options))}
    except Exception as error:
        traceback.print_exc()
        answer = {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"}
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
