"""Reads an export back as a stranger would; run in a process of its own.

`python -m automix_cli.commands.exporting.check FOLDER` finds in the folder `check.json` (what to
load, and how) and `inputs.npz` (images by name), and writes `outputs.npz` and `latency.json`.
Nothing of the process that exported is there, so that what it forgot to write is missing. Legend: n
images, c channels, h w pixels, k classes.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from automix_cli.engine.weights import read_weights
from automix_cli.models.backbones import ClassifierSpec
from automix_cli.models.exported import load_with_ours, load_with_timm, load_with_torchvision

IMAGES_AT_A_TIME = 32
TIMED = 20
"""How often the latency of one image is taken."""

Run = Callable[[np.ndarray], np.ndarray]


def onnxruntime(path: str, spec: ClassifierSpec) -> Run:
    """A session of onnxruntime on the CPU."""
    del spec  # the file says everything
    import onnxruntime as runtime

    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return lambda images: np.asarray(session.run(None, {given.name: images})[0])


def torch_export(path: str, spec: ClassifierSpec) -> Run:
    """The program that `torch.export.load` reads."""
    del spec  # the file says everything
    return _of_module(torch.export.load(path).module())


def timm(path: str, spec: ClassifierSpec) -> Run:
    """The model that plain timm builds."""
    return _of_module(load_with_timm(path, spec))


def torchvision(path: str, spec: ClassifierSpec) -> Run:
    """The model that torchvision builds."""
    return _of_module(load_with_torchvision(read_weights(Path(path)), spec))


def ours(path: str, spec: ClassifierSpec) -> Run:
    """Our own network, for backbones that timm does not build by itself."""
    return _of_module(load_with_ours(read_weights(Path(path)), spec))


READERS: dict[str, Callable[[str, ClassifierSpec], Run]] = {
    "onnxruntime": onnxruntime,
    "torch.export": torch_export,
    "timm": timm,
    "torchvision": torchvision,
    "automix": ours,
}
"""By name: who reads the file."""


def _of_module(module: Any) -> Run:
    def run(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return module(torch.from_numpy(images)).numpy()

    return run


def median_milliseconds(run: Run, image: np.ndarray) -> float:
    """How long one image takes, after one that does not count."""
    run(image)
    times: list[float] = []
    for _ in range(TIMED):
        start = time.perf_counter()
        run(image)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def main(folder: Path) -> None:
    """Load the file, show it the images, write down what it says."""
    check = json.loads((folder / "check.json").read_text(encoding="utf-8"))
    run = READERS[check["reader"]](check["path"], ClassifierSpec(**check["spec"]))
    with np.load(folder / "inputs.npz", allow_pickle=False) as stored:
        inputs = {name: stored[name] for name in stored.files}
    outputs = {
        name: np.concatenate(
            [
                run(images[start : start + IMAGES_AT_A_TIME])
                for start in range(0, len(images), IMAGES_AT_A_TIME)
            ]
        )
        for name, images in inputs.items()
    }
    np.savez(folder / "outputs.npz", **outputs)  # pyright: ignore[reportArgumentType]
    latency = {"milliseconds": median_milliseconds(run, inputs["batch 1"])}
    (folder / "latency.json").write_text(json.dumps(latency), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
