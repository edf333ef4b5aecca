"""A small real sweep, which a test kills: python lab_victim.py FOLDER."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from npse.cli.progress import SweepLines
from npse.lab.process import Processes
from npse.lab.results import Results
from npse.lab.spec import Spec
from npse.lab.sweep import Sweep, collect_finished, plan
from npse.support.files import locked

WORKER = (sys.executable, str(Path(__file__).with_name("lab_worker.py")))
SPEC = Spec("victim", "Victim", "Which?", "se", (0, 1), {"batch_size": 32, "epochs": 3},
            {"se": {}, "none": {"excitation": "none"}})


def main(folder):
    folder.mkdir(exist_ok=True)
    results = Results(folder / "results.jsonl")
    with locked(folder), SweepLines() as report, ThreadPoolExecutor(2) as executor:
        sweep = Sweep(collect_finished(plan(SPEC, SPEC.seeds, folder), results, print), results, report)
        results.save()
        sweep.train(executor, Processes(1, WORKER))
    print(f"finished, {len(sweep.failures)} failed", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
