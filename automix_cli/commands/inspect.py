"""`automix inspect`: what a checkpoint or an export holds, without running anything in it.

Of safetensors and torch.export files only descriptions are read, never a tensor; checkpoints are
read with `weights_only`; ONNX files as protocol buffers.
"""

from __future__ import annotations

import importlib.util
import json
import math
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from automix_cli.engine.checkpoint import FORMAT, load_checkpoint
from automix_cli.engine.weights import DAMAGE, read_content, reason
from automix_cli.errors import CheckpointError, SettingsError
from automix_cli.reporting.export_tables import inspection_tables
from automix_cli.reporting.tables import print_tables

SCHEMA_VERSION = 1
MOST_HEADER_BYTES = 100_000_000
"""What safetensors itself allows a header to have."""

Shapes = dict[str, tuple[int, ...]]


def run(path: Path, *, as_json: bool) -> None:
    """Show what a file holds.

    Raises:
        CheckpointError: it is missing, damaged, or of no kind that is known.
        SettingsError: it is ONNX, and the extra that reads it is not installed.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise CheckpointError(
            f"wanted a file at `{path}`, found {found}",
            hint="a run folder holds `ckpt.pt`, `best.pt` and `classifier.safetensors`",
        )
    content = {
        "schema_version": SCHEMA_VERSION,
        "file": str(path),
        "num_bytes": path.stat().st_size,
        **inspected(path),
    }
    if as_json:
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
    else:
        print_tables(*inspection_tables(content))


def inspected(path: Path) -> dict[str, Any]:
    """Kind, settings, data, versions and tensors of a file."""
    readers = {".safetensors": of_safetensors, ".pt2": of_torch_export, ".onnx": of_onnx}
    try:
        return described(*readers.get(path.suffix, of_pytorch)(path))
    except DAMAGE as problem:
        raise CheckpointError(
            f"`{path}` is truncated or damaged: {reason(problem)}", hint="copy the file again"
        ) from problem


def described(kind: str, said: Mapping[str, Any], shapes: Shapes) -> dict[str, Any]:
    """Put together what is shown.

    Args:
        kind: Of file.
        said: What it says of itself.
        shapes: Of its tensors, by name.
    """
    dataset, settings = said.get("dataset", {}), said.get("settings", {})
    facts = {
        **{
            name: dataset[name] for name in ("name", "in_channels", "image_size") if name in dataset
        },
        **({"classes": len(dataset["class_names"])} if "class_names" in dataset else {}),
        **{
            f"{section}.{key}": settings[section][key]
            for section, key in (("model", "backbone"), ("model", "stem"), ("mix", "method"))
            if key in settings.get(section, {})
        },
        **said.get("export", {}),
        **said.get("state", {}),
    }
    return {
        "kind": kind,
        "num_tensors": len(shapes),
        "num_numbers": sum(map(math.prod, shapes.values())),
        "facts": facts,
        "settings": settings,
        "dataset": dataset,
        "software": said.get("software", {}),
        "groups": grouped(shapes),
        "tensors": {name: list(shape) for name, shape in shapes.items()},
    }


def grouped(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, dict[str, Any]]:
    """How many tensors and numbers there are below each of the first two words of the names."""
    groups: dict[str, dict[str, Any]] = {}
    for name, shape in shapes.items():
        words = name.split(".")
        group = groups.setdefault(
            ".".join(words[: min(2, max(1, len(words) - 1))]),
            {"num_tensors": 0, "numel": 0, "largest": "", "largest_shape": []},
        )
        group["num_tensors"] += 1
        group["numel"] += math.prod(shape)
        if not group["largest"] or math.prod(shape) > math.prod(group["largest_shape"]):
            group["largest"], group["largest_shape"] = name, list(shape)
    return groups


def of_safetensors(path: Path) -> tuple[str, dict[str, Any], Shapes]:
    """The header of a safetensors file; no tensor is read."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(MOST_HEADER_BYTES, path.stat().st_size - 8):
            raise ValueError("it does not begin with a header of safetensors")
        header = json.loads(file.read(length))
    metadata = header.pop("__metadata__", {})
    shapes = {name: tuple(each["shape"]) for name, each in header.items()}
    return "safetensors", json.loads(metadata.get("automix", "{}")), shapes


def of_torch_export(path: Path) -> tuple[str, dict[str, Any], Shapes]:
    """The descriptions in a torch.export archive; its program is not loaded."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        (config,) = (each for each in names if each.endswith("/model_weights_config.json"))
        tensors = json.loads(unpacked(archive, config))["config"]
        extra = [each for each in names if each.endswith("/extra/automix.json")]
        said = json.loads(unpacked(archive, extra[0])) if extra else {}
    shapes = {
        name: tuple(size["as_int"] for size in each["tensor_meta"]["sizes"])
        for name, each in tensors.items()
    }
    return "torch.export", said, shapes


def unpacked(archive: zipfile.ZipFile, name: str) -> bytes:
    """An entry that is no larger than a description may be.

    Raises:
        ValueError: it unpacks to more.
    """
    with archive.open(name) as entry:
        content = entry.read(MOST_HEADER_BYTES + 1)
    if len(content) > MOST_HEADER_BYTES:
        raise ValueError(f"`{name}` unpacks to more than {MOST_HEADER_BYTES:,} bytes")
    return content


def of_onnx(path: Path) -> tuple[str, dict[str, Any], Shapes]:
    """The protocol buffer of an ONNX file.

    Raises:
        SettingsError: `onnx` is not installed.
    """
    if importlib.util.find_spec("onnx") is None:
        raise SettingsError(
            "`automix inspect` needs onnx for such a file, which is not installed",
            hint="install the extra `export`: `pip install 'automix-cli[export]'`",
        )
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(str(path), load_external_data=False)
    except DecodeError as problem:
        raise ValueError(f"it is no ONNX model: {problem}") from problem
    said = {each.key: each.value for each in model.metadata_props}
    ours = json.loads(said.get("automix", "{}"))
    opsets = {each.domain or "onnx": each.version for each in model.opset_import}
    ours["state"] = {f"opset of {domain}": version for domain, version in opsets.items()}
    return "onnx", ours, {each.name: tuple(each.dims) for each in model.graph.initializer}


def of_pytorch(path: Path) -> tuple[str, dict[str, Any], Shapes]:
    """A checkpoint of ours, or any PyTorch file of tensors and plain values."""
    content = read_content(path)
    if isinstance(content, dict) and content.get("format") == FORMAT:
        checkpoint = load_checkpoint(path)
        header, state = checkpoint.header, checkpoint.state
        said = {"settings": header.settings, "dataset": header.dataset, "software": header.software}
        said["state"] = {"step": state.step, "num_processes": header.num_processes}
        tensors = dict(named(checkpoint.model)) | dict(named(checkpoint.optimizer, "optimizer."))
        return "checkpoint of automix", said, tensors
    return "PyTorch file of tensors and plain values", {}, dict(named(content))


def named(
    value: Any, name: str = "", seen: set[int] | None = None
) -> Iterable[tuple[str, tuple[int, ...]]]:
    """All tensors in a tree of plain values, by their place in it.

    Args:
        value: The tree; what stands in it at several places is looked into once, since a small
            file can hold a tree that would take for ever.
        name: Of its place.
        seen: What has been looked into.
    """
    seen = set() if seen is None else seen
    if isinstance(value, Tensor):
        yield name.removesuffix(".") or "tensor", tuple(value.shape)
    elif isinstance(value, dict | list | tuple) and id(value) not in seen:
        seen.add(id(value))
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in entries:
            yield from named(each, f"{name}{key}.", seen)
