"""Experiments: several networks, each trained with several seeds, compared with error bars.

    spec.py      which networks, from a TOML file; those that npse brings are in specs/
    sweep.py     trains what is missing, several runs at once       process.py, worker.py   one run in its own process
    results.py   results.jsonl: a line for each finished run
    table.py     means, deviations, differences                     comparison.py           the statistics
    output.py    the table as Markdown, CSV and JSON                picture.py              and as a picture
    estimate.py  how long runs will take
"""
