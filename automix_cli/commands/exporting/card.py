"""What an export's model card says, collected from the checkpoint, the checks and the request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from automix_cli.commands.exporting.formats import Shipment
from automix_cli.commands.trained import Trained
from automix_cli.engine.checkpoint import load_checkpoint
from automix_cli.errors import SettingsError
from automix_cli.reporting import records
from automix_cli.reporting.model_card import MARK, UNKNOWN, model_card
from automix_cli.reporting.progress import say

CARD = "README.md"
OWN_IMAGES = ("folder", "csv")
"""Data sets without a name that others know."""


def write_card(
    trained: Trained, shipment: Shipment, content: Mapping[str, Any], licence: str | None
) -> Path:
    """Write the card beside the export; a README that is not ours is left alone.

    Returns:
        The card: `README.md`, or where that is somebody's own, `FILE.README.md`.

    Raises:
        SettingsError: it cannot be written.
    """
    file = Path(content["file"])
    card = file.with_name(CARD)
    if card.is_file() and MARK not in card.read_text(encoding="utf-8", errors="replace"):
        card = file.with_name(f"{file.name}.{CARD}")
        say(f"`{file.with_name(CARD)}` is not a card of ours: the card is `{card}`")
    try:
        records.write_text(card, model_card(facts(trained, shipment, content, licence)))
    except OSError as problem:
        raise SettingsError(f"cannot write `{card}`: {problem}") from problem
    return card


def facts(
    trained: Trained, shipment: Shipment, content: Mapping[str, Any], licence: str | None
) -> dict[str, Any]:
    """Everything that the card says."""
    mix, run = trained.settings["mix"], trained.settings.get("run", {})
    name = trained.dataset["name"]
    return {
        **{key: content[key] for key in ("format", "weights", "backbone", "input")},
        **{key: content[key] for key in ("input_range", "output")},
        "file": Path(content["file"]).name,
        "method": mix["method"],
        "dataset": UNKNOWN if name in OWN_IMAGES else name,
        "license": licence or UNKNOWN,
        "class_names": trained.dataset["class_names"],
        "mean": trained.mean,
        "std": trained.std,
        "is_plain_timm": content["loads_with_plain_timm"],
        "has_one_size": not shipment.is_any_size,
        "readers": [check["reader"] for check in content["checks"]],
        "check": content["checks"][0],
        "metrics": metrics_of(trained.path, content["weights"]),
        "training": {
            "method": mix["method"],
            "network": f"{content['backbone']}, stem {content['stem']}",
            "data set": UNKNOWN if name in OWN_IMAGES else name,
            "preset": run.get("preset") or "none",
            "epochs": trained.settings["train"]["epochs"],
            "batch size": trained.settings["train"]["batch_size"],
            "seed": run.get("seed", UNKNOWN),
        },
        "file_facts": {
            "bytes": f"{content['num_bytes']:,}",
            "other heights and widths": "yes" if content["any_size"] else "no",
            "median time of one image on a CPU": f"{content['checks'][0]['milliseconds']:.1f} ms",
            **{f"{key} (exported with)": each for key, each in records.software_versions().items()},
        },
    }


def metrics_of(path: Path, weights: str) -> dict[str, Any] | None:
    """The newest test accuracy of the network that a file, or the run it lies in, knows."""
    if path.suffix != ".safetensors":
        last = load_checkpoint(path).state.last
    else:
        summary = path.with_name(records.SUMMARY)
        is_run = path.name == records.CLASSIFIER and summary.is_file()
        last = json.loads(summary.read_text(encoding="utf-8"))["last"] if is_run else {}
    return last.get("test", {}).get(f"{weights}_one_hot")
