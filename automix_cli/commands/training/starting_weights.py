"""The weights that `model.init` names: found, read and described."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from automix_cli.build.starting import Start
from automix_cli.commands.trained import read_file
from automix_cli.data.datasets import DataSplits
from automix_cli.engine.checkpoint import FORMAT
from automix_cli.engine.hub import fetch
from automix_cli.engine.weights import has_metadata, read_content, read_weights
from automix_cli.errors import CheckpointError, SettingsError
from automix_cli.models.backbones import ClassifierSpec
from automix_cli.models.exported import our_names
from automix_cli.models.pretrained import as_timm_loads, is_of_timm, published_weights
from automix_cli.reporting import records
from automix_cli.reporting.progress import say
from automix_cli.settings import Settings

TIMM = "timm"


def read_start(settings: Settings, *, in_channels: int, image_size: int) -> Start | None:
    """Read the weights that a run begins with; None: it begins with random ones.

    Args:
        settings: Of the whole run.
        in_channels: Of the images to come.
        image_size: Their height and width.

    Raises:
        SettingsError: timm publishes no such weights.
        CheckpointError: the weights are missing, damaged, unsafe or of another network.
    """
    model = settings.model
    if model.init is None:
        return None
    spec = ClassifierSpec(
        backbone=model.backbone,
        stem=model.stem,
        num_classes=0,
        in_channels=in_channels,
        image_size=image_size,
        feature_stage=model.feature_stage,
        drop_path_rate=model.drop_path_rate,
    )
    source, _, tag = model.init.partition(":")
    if source == TIMM:
        start = _of_timm(settings, tag or None, spec)
    else:
        start = _of_file(_file_of(Path(model.init).expanduser()), spec)
    wrong = [
        name
        for name, each in start.weights.items()
        if each.is_floating_point() and not bool(torch.isfinite(each).all())
    ]
    if wrong:
        raise CheckpointError(
            f"`{start.path}` holds weights that are not finite: `{wrong[0]}`",
            hint="begin with the weights of another run, or its `best.pt`",
        )
    return start


def describe(start: Start, splits: DataSplits) -> dict[str, Any]:
    """What checkpoints and the summary say of the weights that a run began with."""
    return {**start.said(), "new_heads": list(start.new_heads(splits.class_names))}


def announce_start(start: Start, splits: DataSplits) -> None:
    """Say what is taken over, what is drawn anew, and what does not go together."""
    said = describe(start, splits)
    say(f"beginning with {start.origin}, from {start.path}, sha256 {said['sha256'][:16]}")
    heads = said["new_heads"]
    if heads:
        why = "no class names are known of them"
        if start.class_names is not None:
            known, wanted = len(start.class_names), len(splits.class_names)
            why = f"{known} classes there, {wanted} here"
            if known == wanted:
                why = f"other names of the {known} classes"
            if start.class_names == splits.class_names:
                why = "there is none in the file"
        say(f"  the backbone is taken over whole; drawn anew: {', '.join(heads)} ({why})")
    else:
        say("  the backbone and both heads are taken over whole")
    if start.mean is not None and (start.mean, start.std) != (splits.mean, splits.std):
        say(
            f"  warning: they were trained with images of mean {_numbers(start.mean)} and std "
            f"{_numbers(start.std or ())}; here {_numbers(splits.mean)} and {_numbers(splits.std)}"
        )


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{each:.3g}" for each in values)


def _of_timm(settings: Settings, tag: str | None, spec: ClassifierSpec) -> Start:
    model = settings.model
    try:
        published = published_weights(model.backbone, tag)
    except ValueError as problem:
        raise SettingsError(
            f"`model.init` is `{model.init}`, but {problem}",
            hint="name a file or a run in `model.init`, or leave it out",
        ) from problem
    may_download = settings.data.download is not False
    path = fetch(published.repository, published.file, download=may_download)
    origin = f"timm's pretrained weights {published.repository}"
    return _of_others(path, spec, origin, published.mean, published.std)


def _file_of(path: Path) -> Path:
    """The file to read of what was named: of a run its checkpoint, else its portable weights."""
    if not path.is_dir():
        return path
    for name in (records.CHECKPOINT, records.CLASSIFIER):
        if (path / name).is_file():
            return path / name
    raise CheckpointError(
        f"wanted the weights of a run in `{path}`, found neither `{records.CHECKPOINT}` nor "
        f"`{records.CLASSIFIER}`",
        hint="`model.init` names a run folder, a file of weights, or `timm`",
    )


def _of_file(path: Path, spec: ClassifierSpec) -> Start:
    if not is_ours(path):
        return _of_others(path, spec, "weights of another program")
    file = read_file(path)
    chosen = file.only or file.settings.get("evaluation", {}).get("weights", "momentum")
    which = f"{'the momentum' if chosen == 'momentum' else 'the'} classifier"
    backbone, method = file.settings["model"]["backbone"], file.settings["mix"]["method"]
    return Start(
        path,
        f"{which} of a run ({method}, {backbone}, {file.dataset['name']})",
        file.below({"momentum": "momentum_classifier."}.get(chosen, "classifier."))
        if file.only is None
        else file.tensors,
        class_names=tuple(file.dataset["class_names"]),
        mean=tuple(map(float, file.dataset["mean"])),
        std=tuple(map(float, file.dataset["std"])),
    )


def is_ours(path: Path) -> bool:
    """Whether a file of weights was written by this program.

    Raises:
        CheckpointError: it is missing, damaged or unsafe.
    """
    if path.suffix == ".safetensors" and path.is_file():
        return has_metadata(path, "automix")
    content = read_content(path)
    return isinstance(content, dict) and content.get("format") == FORMAT


def _of_others(
    path: Path, spec: ClassifierSpec, origin: str, *normalization: tuple[float, ...]
) -> Start:
    """Weights under timm's names, or under those of another program that timm knows."""
    weights = read_weights(path)
    mean, std = normalization or (None, None)
    try:
        if is_of_timm(spec.backbone) and spec.stem == "imagenet":
            weights = as_timm_loads(weights, spec)
        return Start(path, origin, our_names(weights, spec.backbone), mean=mean, std=std)
    except ValueError as problem:
        raise CheckpointError(
            f"`{path}` does not fit `{spec.backbone}`: {problem}",
            hint="`model.backbone` must be the network that the weights are of",
        ) from problem
