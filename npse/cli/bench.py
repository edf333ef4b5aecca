"""``npse bench``: how fast npse is on this machine, op by op, compared with its peak rates and with its peers."""

import json
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from npse.cli.command import names
from npse.cli.console import say, show, status


def bench(
    model: Annotated[str, Option(help="as in npse train", autocompletion=names("npse.models:MODELS"))] = "se_resnet20",
    batch_size: Annotated[int, Option(min=1, help="images in a step")] = 128,
    threads: Annotated[int | None, Option(min=1, help="of every library", show_default="all cores")] = None,
    edition: Annotated[str, Option(help="auto, reference, cpu or cuda")] = "auto",
    each_variant: Annotated[bool, Option("--variants",
                                         help="time each variant of the convolution, the simplest first")] = False,
    vs: Annotated[str | None, Option(metavar="PEERS", help="torch, openvino, onnxruntime, with commas between them: "
                                     "also time the same work there; the last two evaluate only")] = None,
    rounds: Annotated[int, Option(min=1, help="with --vs: fresh processes for each library and mode")] = 5,
    json_file: Annotated[Path | None, Option("--json", metavar="FILE",
                                             help="write all results to this file")] = None,
    roofline: Annotated[Path | None, Option(metavar="FILE", help="draw a roofline of the ops to this PNG file")] = None,
    ranks: Annotated[str | None, Option(metavar="NUMBERS", help="such as 1,2,4: instead of all else, time the step in "
                                        "so many processes of MPI, of --threads (by default 1) each, and predict more: "
                                        "docs/cluster.md")] = None,
    scaling: Annotated[Path | None, Option(metavar="FILE", help="with --ranks: draw measured and predicted times to "
                                           "this PNG file")] = None,
    static: Annotated[bool, Option("--static", help="instead of all else, tell what is known of the cuda edition's "
                                   "kernels without a GPU: launches, registers, occupancy, instructions")] = False,
    capability: Annotated[str, Option(help="with --static: compute capability of a GPU")] = "9.0",
    quick: Annotated[bool, Option("--quick", help="few repeats, one BLAS kernel: a quick trial")] = False,
) -> None:
    """Measure this machine or its GPU, a training step and its ops. Results are valid only if nothing else runs."""
    from npse import backend, models
    from npse.bench import compare, gpu, machine_rates, ops, report, step, variants
    from npse.bench.process import ask
    from npse.support import environment
    from npse.support.files import expect_place

    if static:
        models.build(model)
        _static(model, batch_size, capability, json_file)
        return
    name = backend.choose(edition)[0]
    peers = compare.peers_of(vs, name) if vs else []
    on_gpu = name == "cuda"
    if on_gpu and (each_variant or roofline):
        raise ValueError("--variants and --roofline are about the processor; leave them out, or add --edition cpu")
    expect_place(json_file)
    if scaling and not ranks:
        raise ValueError("--scaling draws what --ranks measures; add --ranks 1,2")
    if ranks:
        if each_variant or roofline or vs:
            raise ValueError("--ranks measures nothing else; leave out --variants, --roofline and --vs")
        expect_place(scaling, ".png")
        models.build(model)
        _scaling(_numbers(ranks, batch_size), threads or 1, json_file, scaling, model=model, batch_size=batch_size,
                 edition=name, seconds=0.0 if quick else 3.0)
        return
    expect_place(roofline, ".png")
    models.build(model)                                           # an unknown name is refused at once
    threads = threads or environment.cores()
    seconds = (lambda usual: 0.0) if quick else float
    work = {"model": model, "batch_size": batch_size, "threads": threads, "edition": name}
    found = {**environment.record(), **work, "rounds": rounds, "quick": quick}

    with status() as doing:
        tell = doing.update if doing.console.is_terminal else _line
        tell("measuring the rates of this machine")
        found["machine"] = (ask(gpu.measure, threads=threads) if on_gpu else
                            machine_rates.rates(threads, seconds(1), () if quick else machine_rates.CORE_TYPES))
        print_table((report.gpu if on_gpu else report.machine)(found["machine"]))
        tell("measuring a training step")
        found["step"] = ask(step.measure, **work, seconds=seconds(3))
        print_table(report.step(found["step"], model, batch_size, threads))
        tell("measuring the ops of a step")
        found["ops"] = ops.against(ask(ops.measure, **work, seconds=seconds(0.2)), found["machine"])
        print_table(report.ops(found["ops"], found["step"]["train"]["ms"], on_gpu))
        if each_variant:
            tell("measuring the variants of the convolution")
            found["variants"] = variants.measure_variants(found["ops"], threads, seconds(0.3))
            print_table(report.variants(found["variants"], found["machine"]))
        if peers:
            rows, failures = compare.versus(peers, **work, seconds=seconds(3), rounds=rounds, say=tell)
            versus = compare.summary(rows)
            found |= {"versus": rows, "failures": failures, **versus}
            print_table(report.versus(versus, failures, batch_size, rounds))
    _write(found, json_file, roofline)


def _numbers(text, batch_size):
    """Return numbers of ranks such as "1,2,4" as a list."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and 1 <= int(word) <= batch_size for word in words):
        raise ValueError(f"--ranks must be numbers from 1 to the batch size {batch_size}, such as 1,2,4, "
                         f"but is {text!r}")
    return [int(word) for word in dict.fromkeys(words)]


def _scaling(ranks, threads, json_file, drawing, **work):
    """Measure and predict the time of a step with several ranks."""
    from npse.bench import scaling
    from npse.support import environment
    from npse.support.files import write_atomically

    with status() as doing:
        found = scaling.measure(ranks, threads, doing.update if doing.console.is_terminal else _line, **work)
    print_table(scaling.table(found, work["model"]))
    if json_file:
        write_atomically(json_file, json.dumps({**environment.record(), **work, **found}, indent=1) + "\n")
    if drawing:
        from npse.analysis.plots import save

        save(scaling.picture(found, f"{work['model']}, batch {work['batch_size']}, threads a rank: {threads}"), drawing)
    for path in filter(None, (json_file, drawing)):
        typer.echo(f"wrote {path}")


def _static(model, batch_size, capability, json_file):
    """Tell what is known of the kernels of a training step without a GPU."""
    from npse.support import environment, nvidia_driver
    from npse.support.files import expect_place, write_atomically

    expect_place(json_file)
    nvidia_driver.expect_compiler("npse bench --static")

    from npse.bench import static
    from npse.cuda.runtime.machine_code import capability_of

    wanted = capability_of(capability)
    rows = static.measure(model, batch_size, wanted)
    print_table(static.table(rows, model, batch_size, wanted))
    if json_file:
        write_atomically(json_file, json.dumps({**environment.record(), "model": model, "batch_size": batch_size,
                                                "capability": wanted, "kernels": rows}, indent=1) + "\n")
        typer.echo(f"wrote {json_file}")


def _line(text):
    typer.echo(text, err=True)


def _write(found, json_file, picture):
    from npse.support.files import write_atomically

    if json_file:
        write_atomically(json_file, json.dumps(found, indent=1) + "\n")
    if picture:
        from npse.analysis.plots import save
        from npse.bench.roofline import roofline

        save(roofline(found["ops"], found["machine"], f"{found['model']}, batch {found['batch_size']}, "
                      f"{found['threads']} threads: one training step"), picture)
    for path in filter(None, (json_file, picture)):
        typer.echo(f"wrote {path}")


def print_table(table):
    """Print a `Table`."""
    show(table.columns, table.rows, table.title, table.notes, table.spare)
    say("")
