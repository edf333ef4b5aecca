"""Files of other tools: state dicts of PyTorch in timm's names, safetensors, ONNX.

    interop.export_torch("runs/mine", Path("mine.safetensors"))      # and mine.py, which builds the network in PyTorch
    interop.export_onnx("runs/mine", Path("mine.onnx"))
    interop.import_file("seresnet50.safetensors", "se_resnet50", "runs/seresnet50")
    model = interop.to_onnx(network, (32, 32, 3), mean, std)
"""

from npse.interop.exports import export_onnx, export_torch
from npse.interop.graph import NotExportable, trace
from npse.interop.imports import import_file
from npse.interop.onnx_file import to_onnx

__all__ = ["NotExportable", "export_onnx", "export_torch", "import_file", "to_onnx", "trace"]
