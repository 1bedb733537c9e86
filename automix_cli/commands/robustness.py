"""`automix robustness`: attacks, unknown images and hidden patches, for one network or several."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from automix_cli.commands.attacking.attacks import attack_record, masking_records
from automix_cli.commands.attacking.plan import Plan, plan_from
from automix_cli.commands.attacking.subject import Subject, chosen_images
from automix_cli.commands.attacking.unknown import (
    load_unknown,
    occlusion_records,
    unknown_names,
    unknown_records,
)
from automix_cli.commands.evaluating.judged_images import Viewer, load_judged
from automix_cli.commands.heads import accuracy_record
from automix_cli.commands.judging import accelerator_to_judge, judging
from automix_cli.commands.requests.robustness import RobustnessRequest
from automix_cli.commands.trained import (
    Trained,
    chosen_checkpoint,
    ready_network,
    refuse_other_classes,
    stored_settings,
)
from automix_cli.data.datasets import Images
from automix_cli.engine.runtime import Accelerator
from automix_cli.errors import SettingsError
from automix_cli.evaluation.accuracy import measure
from automix_cli.evaluation.pixel_classifier import PixelClassifier
from automix_cli.reporting import records
from automix_cli.reporting.progress import say
from automix_cli.reporting.robustness_files import write_robustness
from automix_cli.reporting.robustness_tables import robustness_tables
from automix_cli.reporting.tables import print_tables
from automix_cli.settings import Settings
from automix_cli.settings.layering import Layer, Origins, Overrides, load

SCHEMA_VERSION = 1

BATCH_SIZE = 128
"""Images attacked at a time where nobody asks for another number: an attack keeps all activations
for the gradient, so the batch of an evaluation may not fit."""


def run(overrides: Overrides, request: RobustnessRequest) -> None:
    """Measure the robustness of one network or of several on the same images.

    Raises:
        AutoMixError: anything a person can mend; the exit code says what kind.
    """
    plan = plan_from(request)
    paths = chosen_paths(request)
    configured = [load(overrides, base=Layer(stored_settings(path), str(path))) for path in paths]
    refuse_different_data([settings for settings, _ in configured])
    accelerator = accelerator_to_judge(configured[0][0].run)
    data = configured[0][0].data  # a folder without a test part is judged on what it holds out
    test = load_judged(data, accelerator, holdout=data.holdout).test
    chosen = chosen_images(test, request.quick)
    names = unknown_names(request.unknown, data)
    unknown = load_unknown(names, data, accelerator) if "unknown" in plan.parts else {}
    reports: dict[str, dict[str, Any]] = {}
    for label, path, (settings, origins) in zip(short_names(paths), paths, configured, strict=True):
        say(f"{label}: {path}, {len(chosen):,} of {len(test):,} test images")
        trained, network = ready_network(path, settings, accelerator.device)
        refuse_other_classes(trained, test.class_names)
        pixels = PixelClassifier(network, trained.mean, trained.std).to(accelerator.device)
        subject = Subject(
            accelerator,
            pixels,
            *own_part(accelerator, test, chosen),
            *form_and_viewer(trained, settings, accelerator),
            batch_size(settings, origins),
            request.seed,
        )
        with judging(path):
            reports[label] = model_report(subject, plan, trained, unknown, settings, request)
    if accelerator.is_main_process:
        content = {
            "schema_version": SCHEMA_VERSION,
            "dataset": configured[0][0].data.name,
            "split": "test",
            "num_images": len(chosen),
            "num_test_images": len(test),
            "quick": request.quick is not None,
            "seed": request.seed,
            "norm": plan.norm,
            "device": str(accelerator.device),
            "software": records.software_versions(),
            "models": reports,
        }
        finish(content, request, paths)
    accelerator.end_training()


def chosen_paths(request: RobustnessRequest) -> list[Path]:
    """The files of the networks to compare, each once."""
    named = [each / records.CHECKPOINT if each.is_dir() else each for each in request.checkpoints]
    if request.run is not None or not named:
        named = [chosen_checkpoint(request.run, None), *named]
    return list(dict.fromkeys(named))


def refuse_different_data(configured: Sequence[Settings]) -> None:
    """Networks are compared on the same images.

    Raises:
        SettingsError: they were trained on different data.
    """
    names = sorted({settings.data.name for settings in configured})
    if len(names) > 1:
        raise SettingsError(
            f"the checkpoints were trained on different data: {', '.join(names)}",
            hint="compare networks of one data set",
        )


def short_names(paths: Sequence[Path]) -> list[str]:
    """A name for each file that a table has room for; the path where that would be ambiguous."""
    short = [
        path.parent.name if path.name == records.CHECKPOINT else f"{path.parent.name}/{path.name}"
        for path in (each.resolve() for each in paths)
    ]
    return [
        name if short.count(name) == 1 else str(path)
        for name, path in zip(short, paths, strict=True)
    ]


def batch_size(settings: Settings, origins: Origins) -> int:
    """What `--batch-size` says, or what is safe."""
    asked = settings.evaluation.batch_size
    return asked if origins["evaluation.batch_size"] == "--batch-size" else min(asked, BATCH_SIZE)


def form_and_viewer(
    trained: Trained, settings: Settings, accelerator: Accelerator
) -> tuple[tuple[int, int], Viewer]:
    """Channels and size of the network's images, and what shows them as pixels in [0, 1]."""
    channels, size = int(trained.dataset["in_channels"]), int(trained.dataset["image_size"])
    none, one = (0.0,) * channels, (1.0,) * channels
    return (channels, size), Viewer(settings.data, none, one, size, accelerator.device)


def own_part(
    accelerator: Accelerator, test: Images, chosen: np.ndarray
) -> tuple[Images, np.ndarray]:
    """This process's part of the chosen images, and their numbers in the test set."""
    rank, num_ranks = accelerator.process_index, accelerator.num_processes
    begin, end = (len(chosen) * part // num_ranks for part in (rank, rank + 1))
    return test.take(chosen[begin:end]), chosen[begin:end]


def model_report(
    subject: Subject,
    plan: Plan,
    trained: Trained,
    unknown: Mapping[str, Images | None],
    settings: Settings,
    request: RobustnessRequest,
) -> dict[str, Any]:
    """Everything about one network.

    Raises:
        NotFiniteError: it answers with NaN or infinity.
    """
    num_classes = len(trained.dataset["class_names"])
    clean = measure(
        lambda images: {"clean": subject.pixels(images)},
        ((batch.images, batch.labels) for batch in subject.batches()),
        add_over_processes=subject.add,
    )["clean"]
    report: dict[str, Any] = {
        "checkpoint": str(trained.path),
        "weights": trained.network,
        "method": settings.mix.method,
        "clean": accuracy_record(clean),
    }
    if "attacks" in plan.parts:
        report["attacks"] = [attack_record(subject, row, num_classes) for row in plan.rows]
    if "masking" in plan.parts:
        report["masking"] = masking_records(subject, plan, num_classes)
    if "unknown" in plan.parts:
        report["unknown"] = unknown_records(subject, unknown, request.quick)
    if "occlusion" in plan.parts:
        report["occlusion"] = occlusion_records(subject)
    return report


def finish(content: dict[str, Any], request: RobustnessRequest, paths: Sequence[Path]) -> None:
    """Write the report down and show it; JSON on stdout takes the place of the files."""
    if request.as_json:
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
    else:
        print_tables(*robustness_tables(content))
    folder = request.output_dir or (None if request.as_json else default_folder(paths))
    if folder is not None:
        say(f"wrote {write_robustness(folder, content)}")


def default_folder(paths: Sequence[Path]) -> Path:
    """Beside the one checkpoint; of several, a folder of their own."""
    if len(paths) == 1:
        return paths[0].parent / "robustness"
    return Path("runs") / "robustness" / datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
