"""``npse export RUN --to torch|onnx``: the network of a run for other tools."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from npse.cli.bench import print_table
from npse.cli.command import names, run_folder
from npse.cli.console import status

FORMATS = ("torch", "onnx")
BATCHES = (1, 128)


def export(
    run: Annotated[Path, Argument(metavar="RUN", help="folder of a run, or a network that comes with npse")],
    to: Annotated[str, Option(metavar="FORMAT", help="torch: a state dict, and a Python file that builds the network; "
                              "onnx: a model for any runtime", autocompletion=names("npse.cli.export:FORMATS"))],
    out: Annotated[Path | None, Option(metavar="FILE", help="torch: .safetensors, .pt or .pth; onnx: .onnx",
                                       show_default="MODEL.safetensors or MODEL.onnx in RUN")] = None,
    weights: Annotated[str, Option(help="last or best")] = "last",
    time: Annotated[bool, Option("--time", help="onnx: measure npse and onnxruntime in turn")] = False,
) -> None:
    """Write the weights of a run in a file that PyTorch, timm or an ONNX runtime can load.

    A network that timm has gets timm's names and layouts. Where onnxruntime is installed, an ONNX model is run once and
    its logits are compared with those of npse.
    """
    import npse
    from npse import interop
    from npse.support.names import suggest

    if to not in FORMATS:
        raise ValueError(f"unknown format {to!r}; {suggest(to, FORMATS)}")
    if time and to != "onnx":
        raise ValueError("--time compares with onnxruntime, so it is for --to onnx alone")
    if (place := run_folder(run)) != run:                         # nothing is written into the installed package
        out = out or Path(f"{run}.{'safetensors' if to == 'torch' else 'onnx'}")
        run = place
    if to == "torch":
        found = interop.export_torch(run, out, weights, version=npse.__version__)
        typer.echo(f"weights: {found.weights}, in the names of {found.origin}")
        typer.echo(f"network: {found.code}, which shows how to load it")
        if found.twin and found.twin.library == "timm":
            typer.echo(f'or: timm.create_model("{found.twin.name}", num_classes={found.classes}).load_state_dict(...)')
        return
    found = interop.export_onnx(run, out, weights)
    typer.echo(f"model: {found.weights}; input images float32 (N, C, H, W), pixels in 0..1; output logits (N, classes)")
    _compare(run, found.weights, weights, time)


def _compare(run, model, weights, time):
    """Print how well onnxruntime agrees with npse, and the time of both if it was asked for."""
    from npse import backend
    from npse.bench import exported
    from npse.bench.report import Table
    from npse.support.extras import install

    if not exported.has_onnxruntime():
        if time:
            raise ImportError(f"--time needs onnxruntime, which is not installed; run: {install('interop')}")
        typer.echo("onnxruntime is not installed, so the model was checked by the package onnx alone")
        return
    backend.use("auto")
    with status() as doing:
        doing.update("comparing with onnxruntime")
        both = exported.Exported(run, model, weights)
        difference = both.difference()
        typer.echo(f"onnxruntime's logits differ from npse's by at most {difference:.0e} of the largest one")
        if difference > exported.TOLERANCE:                       # a deep network may amplify rounding
            rounding = both.rounding()
            typer.echo(f"npse's own logits in float32 differ from those in float64 by {rounding:.0e}")
            if difference > 10 * rounding:
                raise ValueError(f"{model} does not compute what npse computes; do not use it, and report this")
        if not time:
            return
        rows = []
        for count in BATCHES:
            doing.update(f"timing batches of {count}")
            ours, theirs = both.milliseconds(count)
            rows.append((str(count), f"{ours:.2f}", f"{theirs:.2f}", f"{theirs / ours:.2f}"))
    print_table(Table(f"Time of a prediction, {both.threads} threads",
                      ("images in a batch", "npse, ms", "onnxruntime, ms", "npse is times as fast"), rows,
                      ["Median of five rounds in turn. Valid only if nothing else runs; the ratio suffers less."]))
