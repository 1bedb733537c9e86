"""`automix import-openmixup`: weights of the reference as a checkpoint of ours.

The file is read with `weights_only`: it may hold tensors and plain values, and runs no code. The
settings say which network it is; every tensor must find its place in it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from torch import Tensor

from automix_cli import build
from automix_cli.commands.evaluating.judged_images import load_judged
from automix_cli.commands.exporting.file_written import written_at_last
from automix_cli.commands.requests.export import ImportRequest
from automix_cli.data.datasets import DataSplits
from automix_cli.engine.checkpoint import Header, load_weights, save_imported
from automix_cli.engine.runtime import build_accelerator
from automix_cli.engine.weights import read_content
from automix_cli.errors import CheckpointError, SettingsError
from automix_cli.models.openmixup import Converted, converted
from automix_cli.reporting import records
from automix_cli.reporting.export_tables import import_table
from automix_cli.reporting.progress import say
from automix_cli.reporting.tables import print_tables
from automix_cli.settings import Settings
from automix_cli.settings.layering import Overrides, load
from automix_cli.settings.mix import LEARNED
from automix_cli.settings.toml import as_saved

SCHEMA_VERSION = 1


def run(overrides: Overrides, request: ImportRequest) -> None:
    """Read a file of the reference, find every tensor its place, and write a checkpoint.

    Raises:
        AutoMixError: anything a person can mend; the exit code says what kind.
    """
    if overrides.preset is None and not overrides.configs:
        raise SettingsError(
            "wanted the settings that the weights were trained with, got none",
            hint="name the preset of their row, such as `--preset cifar100-r18`;"
            " `automix presets list` has all",
        )
    settings, _ = load(overrides)
    weights, meta = read_reference(request.file)
    try:
        found = converted(weights, settings.model.backbone)
    except ValueError as problem:
        raise CheckpointError(
            f"cannot take over `{request.file}`: {problem}",
            hint="wanted the weights of a classifier, trained by AutoMix, SAMix, AdAutoMix or a"
            " rival; `automix inspect` shows what a file holds",
        ) from problem
    refuse_another_method(found, settings, request.file)
    accelerator = build_accelerator(device="cpu", mixed_precision="no")
    splits = load_judged(settings.data, accelerator, holdout=settings.data.holdout)
    refuse_misfits(found, settings, splits, request.file)
    for why in sorted(set(found.left_out.values())):
        number = list(found.left_out.values()).count(why)
        say(f"left out {number} tensors: {why}")
    target = request.output or request.file.with_suffix(".automix.pt")
    versions = {"openmixup": str(meta.get("openmixup_version", "unknown"))}
    header = Header(
        settings=as_saved(settings),
        dataset=splits.description(),
        software={**versions, **records.software_versions()},
        num_processes=1,
        metrics_bytes=0,
    )
    with written_at_last(target, force=request.force) as partial:
        save_imported(partial, found.state, header)
    show(described(found, settings, request.file, target), as_json=request.as_json)


def read_reference(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights in a file of the reference, and what it says besides.

    Raises:
        CheckpointError: missing, damaged, unsafe, or without weights.
    """
    content = read_content(path)
    nested = content.get("state_dict") if isinstance(content, dict) else None
    weights = content if nested is None else nested
    if not isinstance(weights, dict) or not all(isinstance(e, Tensor) for e in weights.values()):
        raise CheckpointError(
            f"`{path}` holds no weights of a network under `state_dict`",
            hint="`automix inspect` shows what a file holds",
        )
    meta = content.get("meta") if nested is not None else None
    return dict(weights), meta if isinstance(meta, dict) else {}


def refuse_another_method(found: Converted, settings: Settings, path: Path) -> None:
    """The method of the settings must be one that leaves such weights.

    Raises:
        SettingsError: it is not.
    """
    method = settings.mix.method
    if found.has_mix_block == (method in LEARNED):
        return
    held, others = "one network and no mix block", "vanilla, mixup, cutmix, ..."
    if found.has_mix_block:
        held, others = "two networks and a mix block", ", ".join(LEARNED)
    raise SettingsError(
        f"`{path}` holds {held}, which `mix.method` `{method}` does not leave",
        hint=f"say what it was trained with by `--method`: {others}",
    )


def refuse_misfits(found: Converted, settings: Settings, splits: DataSplits, path: Path) -> None:
    """Every tensor must have a place in the network of the settings, and every place a tensor.

    Raises:
        CheckpointError: what differs.
        SettingsError: the settings describe no network.
    """
    classifier = build.classifier(
        settings.model,
        num_classes=len(splits.class_names),
        in_channels=splits.in_channels,
        size=splits.image_size,
    )
    if found.has_mix_block:
        load_weights(build.learned(classifier, settings.mix), found.state, path)
        return
    prefix = "classifier."
    own = {
        name.removeprefix(prefix): each
        for name, each in found.state.items()
        if name.startswith(prefix)
    }
    head = classifier.head_mixed.state_dict()  # of ours alone
    load_weights(classifier, {**own, **{f"head_mixed.{name}": head[name] for name in head}}, path)


def described(found: Converted, settings: Settings, source: Path, target: Path) -> dict[str, Any]:
    """What was done, in plain values."""
    return {
        "schema_version": SCHEMA_VERSION,
        "source": str(source),
        "file": str(target),
        "method": settings.mix.method,
        "backbone": settings.model.backbone,
        "stem": settings.model.stem,
        "dataset": settings.data.name,
        "num_tensors": len(found.state),
        "left_out": found.left_out,
    }


def show(content: dict[str, Any], *, as_json: bool) -> None:
    """A table for people, or JSON for programs."""
    if as_json:
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
    else:
        print_tables(import_table(content))
