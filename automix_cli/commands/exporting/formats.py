"""The formats that `automix export` writes, each by one function.

Touch points, to add a format: a function here and its line in `WRITERS`, how it is read back in
`check`, and its name in the help of the flag.
"""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from automix_cli.engine.weights import write_weights
from automix_cli.errors import SettingsError
from automix_cli.models.backbones import ClassifierSpec
from automix_cli.models.exported import ExportedClassifier, timm_names

EXTRA = ("onnx", "onnxscript", "onnxruntime")
LEAST_OPSET = 18
"""The dynamo exporter knows no older ones."""


@dataclass(frozen=True)
class Shipment:
    """What is exported.

    Attributes:
        network: On the CPU, in evaluation mode.
        weights: Its tensors under our names.
        spec: What it was built from.
        metadata: What the file says of itself; plain values.
        opset: Of ONNX.
        is_any_size: Whether height and width shall be free.
    """

    network: ExportedClassifier
    weights: dict[str, Tensor]
    spec: ClassifierSpec
    metadata: dict[str, Any]
    opset: int
    is_any_size: bool


def write_safetensors(shipment: Shipment, path: Path) -> bool:
    """Write the tensors under timm's names; the network that holds them decides on sizes.

    Raises:
        SettingsError: the network does not end in one layer.
    """
    try:
        tensors = timm_names(shipment.weights, shipment.spec.backbone)
    except ValueError as problem:
        raise SettingsError(
            f"cannot write weights for timm: {problem}", hint="take `--format torch-export`"
        ) from problem
    # "format" is what timm and transformers look for
    write_weights(path, tensors, shipment.metadata, format="pt")
    return shipment.is_any_size


def write_torch_export(shipment: Shipment, path: Path) -> bool:
    """Write a program for `torch.export.load`; say whether any height and width will do."""
    program = traced(shipment)
    with warnings.catch_warnings(action="ignore"):  # torch's own, of its own code
        torch.export.save(
            program, path, extra_files={"automix.json": json.dumps(shipment.metadata)}
        )
    return _is_any_size(program)


def write_onnx(shipment: Shipment, path: Path) -> bool:
    """Write ONNX by the dynamo exporter; say whether any height and width will do.

    Raises:
        SettingsError: the exporter cannot give this opset.
    """
    program = traced(shipment)
    with warnings.catch_warnings(action="ignore"):  # torch's own, of its own code
        made = torch.onnx.export(
            program,
            input_names=["images"],
            output_names=["probabilities" if shipment.network.softmax else "logits"],
            opset_version=shipment.opset,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert made is not None
    model: Any = made.model_proto
    given = next(each.version for each in model.opset_import if not each.domain)
    if given != shipment.opset:
        raise SettingsError(
            f"`--opset {shipment.opset}` cannot be had for this network, the exporter gave {given}",
            hint=f"leave it out, or ask for {given}",
        )
    entry = model.metadata_props.add()
    entry.key, entry.value = "automix", json.dumps(shipment.metadata)
    path.write_bytes(model.SerializeToString())
    return _is_any_size(program)


def traced(shipment: Shipment) -> ExportedProgram:
    """The network as a graph: any batch, and any height and width if they can be."""
    size = shipment.spec.image_size
    images = torch.zeros(2, shipment.spec.in_channels, size, size)
    batch = Dim("batch")
    free = {0: batch, 2: Dim.AUTO, 3: Dim.AUTO} if shipment.is_any_size else {0: batch}
    return torch.export.export(shipment.network, (images,), dynamic_shapes=(free,))


def _is_any_size(program: ExportedProgram) -> bool:
    (name,) = program.graph_signature.user_inputs
    node = next(each for each in program.graph.nodes if each.name == name)
    return not any(isinstance(each, int) for each in node.meta["val"].shape[2:])


WRITERS: Mapping[str, Callable[[Shipment, Path], bool]] = MappingProxyType(
    {
        "onnx": write_onnx,
        "torch-export": write_torch_export,
        "safetensors": write_safetensors,
        "timm": write_safetensors,
    }
)
"""By name of the format."""

ENDINGS: Mapping[str, str] = MappingProxyType(
    {
        "onnx": ".onnx",
        "torch-export": ".pt2",
        "safetensors": ".timm.safetensors",
        "timm": ".timm.safetensors",
    }
)
"""How the names of files end, by name of the format."""


def refuse_what_onnx_lacks(opset: int) -> None:
    """Say which extra to install, and which opsets there are.

    Raises:
        SettingsError: something is missing, or there is no such opset.
    """
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise SettingsError(
            f"`--format onnx` needs {', '.join(missing)}, which is not installed",
            hint="install the extra `export`: `pip install 'automix-cli[export]'`",
        )
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if not LEAST_OPSET <= opset <= newest:
        raise SettingsError(
            f"`--opset` must be in [{LEAST_OPSET}, {newest}], got `{opset}`",
            hint="leave it out: runtimes of any age since 2022 know 18",
        )
