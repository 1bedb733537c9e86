"""`automix export`: a trained classifier as a file that another program loads, verified."""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from automix_cli.commands.attacking.subject import chosen_images
from automix_cli.commands.evaluating.judged_images import Viewer, load_judged
from automix_cli.commands.exporting.card import CARD, write_card
from automix_cli.commands.exporting.file_written import written_at_last
from automix_cli.commands.exporting.formats import (
    ENDINGS,
    WRITERS,
    Shipment,
    refuse_what_onnx_lacks,
)
from automix_cli.commands.exporting.hub import push, refuse_what_cannot_be_pushed
from automix_cli.commands.exporting.verification import TEST, Expectation, verify
from automix_cli.commands.requests.export import ExportRequest
from automix_cli.commands.trained import (
    Trained,
    chosen_checkpoint,
    ready_network,
    rebuild,
    refuse_other_classes,
    stored_settings,
)
from automix_cli.engine.runtime import build_accelerator
from automix_cli.errors import SettingsError
from automix_cli.models.backbones import ClassifierSpec
from automix_cli.models.classifier import Classifier
from automix_cli.models.exported import (
    ExportedClassifier,
    is_plain_timm,
    is_torchvision_resnet,
    takes_size,
)
from automix_cli.reporting.export_tables import export_table
from automix_cli.reporting.progress import say
from automix_cli.reporting.records import software_versions
from automix_cli.reporting.tables import print_tables
from automix_cli.settings import Settings
from automix_cli.settings.layering import Layer, Overrides, load

SCHEMA_VERSION = 1
BATCHES = (1, 2, 7)
WEIGHTS_ALONE = ("safetensors", "timm")


def run(overrides: Overrides, request: ExportRequest) -> None:
    """Write the network that `evaluation.weights` selects, and prove that the file is that network.

    Raises:
        AutoMixError: anything a person can mend; the exit code says what kind.
    """
    refuse_what_makes_no_sense(request)
    path = chosen_checkpoint(request.run, request.checkpoint)
    settings, _ = load(overrides, base=Layer(stored_settings(path), str(path)))
    target = request.output or path.with_name(f"classifier{ENDINGS[request.format]}")
    trained, network = ready_network(path, settings, torch.device("cpu"))
    shipment = prepared(trained, settings, request)
    expected = expectation(trained, network, settings, request)
    with written_at_last(target, force=request.force) as partial:
        any_size = WRITERS[request.format](shipment, partial)
        readers = who_reads(request.format, shipment.spec)
        checks = [
            verify(partial, reader, shipment.spec, expected, any_size=any_size)
            for reader in readers
        ]
        num_bytes = partial.stat().st_size
    content: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "checkpoint": str(path),
        "file": str(target),
        "format": request.format,
        "num_bytes": num_bytes,
        "any_size": any_size,
        "checks": checks,
        **shipment.metadata["export"],
    }
    card = write_card(trained, shipment, content, request.license)
    content["card"] = str(card)
    try:
        if request.hub_repo is not None:
            content["hub"] = {"repo": request.hub_repo, "url": None}
            files = {target.name: target, CARD: card}
            content["hub"]["url"] = push(request.hub_repo, files, private=request.private)
    finally:  # what was exported is there, and shown, even if it could not be pushed
        show(content, as_json=request.as_json)


def show(content: dict[str, Any], *, as_json: bool) -> None:
    """Tables for people, or JSON for programs."""
    if as_json:
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
    else:
        print_tables(*export_table(content))


def refuse_what_makes_no_sense(request: ExportRequest) -> None:
    """Say so before anything is read.

    Raises:
        SettingsError: no such format, or options that it has no use for.
    """
    if request.format not in WRITERS:
        raise SettingsError(
            f"`--format` must be one of {', '.join(WRITERS)}, got `{request.format}`"
        )
    if request.format in WEIGHTS_ALONE and (request.normalize or request.softmax):
        raise SettingsError(
            f"`--format {request.format}` holds weights alone: nothing can be put before or after",
            hint="leave out `--normalize` and `--softmax`, or take `--format onnx`",
        )
    if request.private and request.hub_repo is None:
        raise SettingsError("`--private` is about a repository, give `--push-to-hub` too")
    if request.hub_repo is not None:
        refuse_what_cannot_be_pushed(request.hub_repo)
    if request.format == "onnx":
        refuse_what_onnx_lacks(request.opset)


def prepared(trained: Trained, settings: Settings, request: ExportRequest) -> Shipment:
    """The network to ship, with what its file says of itself.

    It is built without the memory format of training, whose hooks belong in no graph.

    Raises:
        SettingsError: `--format timm`, and timm does not build this network.
    """
    model, dataset = settings.model, trained.dataset
    spec = ClassifierSpec(
        backbone=model.backbone,
        stem=model.stem,
        num_classes=len(dataset["class_names"]),
        in_channels=dataset["in_channels"],
        image_size=dataset["image_size"],
        feature_stage=model.feature_stage,
        drop_path_rate=model.drop_path_rate,
        merged_feature=model.merged_feature,
    )
    if request.format == "timm" and not is_plain_timm(spec.backbone, spec.stem):
        raise SettingsError(
            f"timm does not build `{spec.backbone}` with stem `{spec.stem}` by itself",
            hint="take `--format safetensors`, read by `automix eval`, or `--format torch-export`",
        )
    plain = settings.model_copy(update={"model": model.model_copy(update={"channels_last": False})})
    classifier = rebuild(trained, plain).eval()
    mean, std = (trained.mean, trained.std) if request.normalize else (None, None)
    network = ExportedClassifier(classifier, mean, std, softmax=request.softmax)
    metadata = {
        "settings": trained.settings,
        "dataset": dataset,
        "software": software_versions(),
        "export": {
            "weights": trained.network,
            "backbone": spec.backbone,
            "stem": spec.stem,
            "input": ["batch", spec.in_channels, spec.image_size, spec.image_size],
            "input_range": "[0, 1]" if request.normalize else "normalised by mean and std",
            "output": "probabilities" if request.softmax else "logits",
            "loads_with_plain_timm": is_plain_timm(spec.backbone, spec.stem),
        },
    }
    return Shipment(
        network=network,
        weights=dict(classifier.state_dict()),
        spec=spec,
        metadata=metadata,
        opset=request.opset,
        is_any_size=takes_size(network, spec.in_channels, second_size(spec.image_size)),
    )


def second_size(size: int) -> int:
    """Another resolution, half as large again."""
    return size + size // 2


def expectation(
    trained: Trained, network: Classifier, settings: Settings, request: ExportRequest
) -> Expectation:
    """What the network says as `automix eval` judges it: it is not the one that is exported."""
    accelerator = build_accelerator(device="cpu", mixed_precision="no")
    held_out = trained.settings["data"].get("holdout", 0.0)
    test = load_judged(settings.data, accelerator, holdout=held_out).test
    refuse_other_classes(trained, test.class_names)
    chosen = test.take(chosen_images(test, min(request.verify_images, len(test))))
    size = int(trained.dataset["image_size"])
    channels = len(trained.mean)
    viewer = Viewer(settings.data, (0.0,) * channels, (1.0,) * channels, size, accelerator.device)
    batches = list(viewer.batches(chosen, settings.evaluation.batch_size))
    pixels, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    larger = second_size(size)
    inputs = {f"batch {number}": pixels[:number] for number in BATCHES}
    inputs[f"size {larger}"] = F.interpolate(pixels[:2], size=(larger, larger))
    inputs[TEST] = pixels
    mean, std = (torch.tensor(each).view(1, -1, 1, 1) for each in (trained.mean, trained.std))
    shown = {name: (each - mean) / std for name, each in inputs.items()}
    with torch.no_grad():
        outputs = {
            name: said(network, each, softmax=request.softmax)
            for name, each in shown.items()
            if not name.startswith("size") or takes_size(network, channels, larger)
        }
    given = inputs if request.normalize else shown
    return Expectation({name: given[name] for name in outputs}, outputs, labels)


def said(network: Classifier, images: Tensor, *, softmax: bool) -> Tensor:
    """Logits or probabilities, a few images at a time."""
    logits = torch.cat([network(each) for each in images.split(64)])
    return logits.softmax(dim=1) if softmax else logits


def who_reads(file_format: str, spec: ClassifierSpec) -> list[str]:
    """The programs that must read a file."""
    if file_format == "onnx":
        return ["onnxruntime"]
    if file_format == "torch-export":
        return ["torch.export"]
    if not is_plain_timm(spec.backbone, spec.stem):
        say(
            f"timm does not build `{spec.backbone}` with stem `{spec.stem}` by itself: the file is"
            " verified with automix's own network"
        )
        return ["automix"]
    theirs = is_torchvision_resnet(spec.backbone, spec.stem, spec.in_channels)
    return ["timm", "torchvision"] if theirs else ["timm"]
