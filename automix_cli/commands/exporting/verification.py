"""Proves that an exported file says what the trained network says.

Legend: n images, c channels, h w pixels, k classes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import Tensor

from automix_cli.errors import VerificationError
from automix_cli.models.backbones import ClassifierSpec

TOLERANCE = 1e-4
"""Largest difference allowed, times the largest output (at least 1): float32 in another order."""

TEST = "test images"


@dataclass(frozen=True)
class Expectation:
    """What a file must say.

    Attributes:
        inputs: Images `(n, c, h, w)` by name, `TEST` among them.
        outputs: What the trained network says of them, `(n, k)`.
        labels: Of the test images.
    """

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    labels: Tensor


def verify(
    path: Path, reader: str, spec: ClassifierSpec, expected: Expectation, *, any_size: bool
) -> dict[str, Any]:
    """Load a file in a fresh process and compare what it says.

    Args:
        path: The file.
        reader: Who reads it; a key of `check.READERS`.
        spec: What the network was built from.
        expected: What it must say.
        any_size: Whether images of other sizes are shown too.

    Returns:
        Differences by input, right answers before and after, and the latency.

    Raises:
        VerificationError: it cannot be loaded, or says something else.
    """
    names = [name for name in expected.inputs if any_size or not name.startswith("size")]
    with TemporaryDirectory(prefix="automix-export-") as name:
        folder = Path(name)
        inputs = {name: expected.inputs[name].numpy() for name in names}
        np.savez(folder / "inputs.npz", **inputs)  # pyright: ignore[reportArgumentType]
        check = {"path": str(path.resolve()), "reader": reader, "spec": asdict(spec)}
        (folder / "check.json").write_text(json.dumps(check), encoding="utf-8")
        command = [sys.executable, "-m", f"{__package__}.check", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            last_line = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise VerificationError(
                f"`{path.name}` cannot be loaded and run by {reader} in a fresh process: "
                f"{last_line}",
                hint="nothing was written; report it with the name of the backbone",
            )
        with np.load(folder / "outputs.npz", allow_pickle=False) as stored:
            outputs = {name: stored[name] for name in names}
        latency = json.loads((folder / "latency.json").read_text(encoding="utf-8"))
    return {"reader": reader, **compare(outputs, expected, path.name), **latency}


def compare(outputs: Mapping[str, np.ndarray], expected: Expectation, name: str) -> dict[str, Any]:
    """Differences and right answers.

    Raises:
        VerificationError: they are too large, or a test image is judged otherwise.
    """
    differences: dict[str, float] = {}
    for shown, output in outputs.items():
        wanted = expected.outputs[shown].numpy()
        if output.shape != wanted.shape:
            raise VerificationError(
                f"`{name}` gives shape {output.shape} for {shown}, wanted {wanted.shape}",
                hint="nothing was written",
            )
        differences[shown] = float(np.abs(output - wanted).max())
        allowed = TOLERANCE * max(1.0, float(np.abs(wanted).max()))
        if not differences[shown] <= allowed:  # NaN is no agreement
            raise VerificationError(
                f"`{name}` does not say what the trained network says: for {shown} they differ by "
                f"{differences[shown]:.3g}, allowed is {allowed:.3g}",
                hint="nothing was written; report it with the name of the backbone",
            )
    labels = expected.labels.numpy()
    before = int((expected.outputs[TEST].numpy().argmax(axis=1) == labels).sum())
    after = int((outputs[TEST].argmax(axis=1) == labels).sum())
    if before != after:
        raise VerificationError(
            f"`{name}` is right about {after} of {len(labels)} test images, the trained network "
            f"about {before}",
            hint="nothing was written",
        )
    return {
        "differences": differences,
        "max_difference": max(differences.values()),
        "num_images": len(labels),
        "top1_before": before / len(labels),
        "top1_after": after / len(labels),
    }
