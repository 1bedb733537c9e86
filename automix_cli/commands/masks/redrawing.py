"""`automix visualize-masks --progress`: what a run kept of its masks, drawn again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from automix_cli.commands.masks.progress import FILE, read_history
from automix_cli.commands.requests.visualize_masks import MasksRequest
from automix_cli.errors import CheckpointError, SettingsError
from automix_cli.evaluation.masks import measures
from automix_cli.reporting import records
from automix_cli.reporting.evaluation_files import report_folder
from automix_cli.reporting.figures import Background
from automix_cli.reporting.mask_files import progress_table
from automix_cli.reporting.mask_progress import MaskHistory, draw_progress
from automix_cli.reporting.progress import say
from automix_cli.reporting.tables import print_tables

SCHEMA_VERSION = 1


def run(request: MasksRequest, background: Background) -> None:
    """Draw the strip and the animation of a run, finished or not, and say its numbers.

    Raises:
        AutoMixError: anything a person can mend; the exit code says what kind.
    """
    refuse_other_choices(request)
    path = chosen_history(request)
    history = read_history(path)
    content = {
        "schema_version": SCHEMA_VERSION,
        "file": str(path),
        "method": history.method,
        "ratio": history.ratio,
        "pairs": [
            {"first": first, "second": second}
            for first, second in zip(history.captions[::2], history.captions[1::2], strict=True)
        ],
        "epochs": [numbers(history, moment) for moment in range(len(history.epochs))],
    }
    if request.output_dir is not None or not request.as_json:
        folder = report_folder(request.output_dir or path.parent)
        draw_progress(history, folder, background=background)
        say(f"wrote progress.png, .svg and .gif to {folder}")
    if request.as_json:
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
    else:
        print_tables(progress_table(content))


def numbers(history: MaskHistory, moment: int) -> dict[str, Any]:
    """Areas by pair, and means of what `masks.json` has."""
    masks = torch.from_numpy(history.masks[moment]).unsqueeze(1) / 255
    measured = measures(masks)
    area, entropy, variation = measured.double().mean(dim=0).tolist()
    return {
        "epoch": history.epochs[moment],
        "areas": measured[:, 0].tolist(),
        "area_mean": area,
        "entropy": entropy,
        "total_variation": variation,
    }


def refuse_other_choices(request: MasksRequest) -> None:
    """A run kept what it kept: nothing else can be chosen.

    Raises:
        SettingsError: something else is.
    """
    pairs = request.pairs
    given = {
        "--methods": request.methods is not None,
        "--images": bool(pairs.images),
        "--indices": pairs.indices is not None,
        "--classes": pairs.classes is not None,
        "--maps": request.maps,
        "a second run or checkpoint": len(request.checkpoints) + (request.run is not None) > 1,
    }
    wrong = [name for name, is_given in given.items() if is_given]
    if wrong:
        raise SettingsError(
            f"`--progress` draws the pairs that one run kept its masks of, and {wrong[0]} was"
            " given",
            hint=f"leave out {wrong[0]}",
        )


def chosen_history(request: MasksRequest) -> Path:
    """The file of the run or checkpoint named, or of the newest run that has one.

    Raises:
        CheckpointError: there is none.
    """
    named = [*request.checkpoints, *([request.run] if request.run is not None else [])]
    if not named:
        wanted = "a run with masks of its training"
        folder = records.newest_or_raise(Path("runs"), f"{records.MASKS}/{FILE}", wanted)
        say(f"taking the newest run with masks, {folder.parent}")
        return folder / FILE
    folder = named[0].parent if named[0].is_file() else named[0]
    path = folder / records.MASKS / FILE
    if not path.is_file():
        raise CheckpointError(
            f"wanted the masks that a run kept at `{path}`, found nothing",
            hint="a run of automix, samix or adautomix keeps them unless `train.masks_pairs` is 0",
        )
    return path
