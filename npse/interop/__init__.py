"""Other tools' files: state dicts of PyTorch, timm's names, safetensors, ONNX.

    model = interop.to_onnx(network, (32, 32, 3), mean, std)
    interop.export_torch("runs/mine", "mine.safetensors")
"""

from npse.interop.graph import NotExportable, trace
from npse.interop.onnx_file import to_onnx

__all__ = ["NotExportable", "to_onnx", "trace"]
