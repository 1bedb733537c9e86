"""The model card beside an export: `README.md` as the Hugging Face Hub reads it.

Fields that nobody told the program stay in it as `unknown`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

UNKNOWN = "unknown"
MARK = "<!-- written by automix export -->"
"""Tells a card of ours from somebody's own README, which is not replaced."""

LIBRARIES = {"onnx": "onnx", "torch-export": "pytorch", "timm": "timm", "safetensors": "timm"}
"""Who loads a format; `safetensors` that timm does not build by itself needs automix."""


def model_card(facts: Mapping[str, Any]) -> str:
    """The whole file.

    Args:
        facts: What `export_card.facts` gives.
    """
    lines = ["---", *front_matter(facts), "---", MARK, "", f"# {title(facts)}", "", about(facts)]
    lines += [
        "",
        "## Use",
        "",
        "```" + language(facts),
        *usage(facts),
        "```",
        "",
        *input_words(facts),
    ]
    lines += ["", "## Results", "", *results(facts)]
    lines += ["", "## Training", "", *rows(facts["training"])]
    lines += ["", "## File", "", *rows(facts["file_facts"])]
    lines += ["", "## Classes", "", class_words(facts["class_names"])]
    lines += ["", "## Not stated", "", *unknown_words(facts)]
    return "\n".join(lines) + "\n"


def title(facts: Mapping[str, Any]) -> str:
    """What the card is about, in a line."""
    return f"{facts['backbone']} trained on {facts['dataset']} with {facts['method']}"


def library(facts: Mapping[str, Any]) -> str:
    """Name of the library that loads the file."""
    needs_ours = facts["format"] == "safetensors" and not facts["is_plain_timm"]
    return "automix" if needs_ours else LIBRARIES[facts["format"]]


def front_matter(facts: Mapping[str, Any]) -> list[str]:
    """The fields that the Hub reads, as YAML; JSON's texts and numbers are YAML's."""
    tags = ("image-classification", "automix", "mixup", facts["method"], facts["backbone"])
    said = json.dumps
    lines = [
        f"library_name: {said(library(facts))}",
        f"license: {said(facts['license'])}",
        'pipeline_tag: "image-classification"',
        "tags:",
        *(f"- {said(each)}" for each in dict.fromkeys(tags)),
        "datasets:",
        f"- {said(facts['dataset'])}",
        "metrics:",
        '- "accuracy"',
    ]
    if facts["metrics"] is None:
        return lines
    return [
        *lines,
        "model-index:",
        f"- name: {said(title(facts))}",
        "  results:",
        "  - task:",
        '      type: "image-classification"',
        "    dataset:",
        f"      name: {said(facts['dataset'])}",
        f"      type: {said(facts['dataset'])}",
        '      split: "test"',
        "    metrics:",
        '    - type: "accuracy"',
        '      name: "top-1"',
        f"      value: {said(facts['metrics']['top1'])}",
    ]


def about(facts: Mapping[str, Any]) -> str:
    """One paragraph."""
    network = "momentum classifier" if facts["weights"] == "momentum" else "trained classifier"
    return (
        f"The {network} with its one-hot head, of a run of `automix` with the method"
        f" `{facts['method']}`. `{facts['file']}` is in the format `{facts['format']}`; it was"
        f" loaded by {' and '.join(facts['readers'])} in a fresh process and says what the trained"
        " network says."
    )


def language(facts: Mapping[str, Any]) -> str:
    """What the example is written in."""
    return "bash" if library(facts) == "automix" else "python"


def usage(facts: Mapping[str, Any]) -> list[str]:
    """How to load the file."""
    name = json.dumps(facts["file"])
    if library(facts) == "automix":
        return [f"automix eval --checkpoint {facts['file']}"]
    if facts["format"] == "onnx":
        return [
            "import onnxruntime",
            "",
            f"session = onnxruntime.InferenceSession({name})",
            'outputs = session.run(None, {"images": images})[0]  # images: float32 array',
        ]
    if facts["format"] == "torch-export":
        return ["import torch", "", f"outputs = torch.export.load({name}).module()(images)"]
    _, channels, size, _ = facts["input"]
    options = f"num_classes={len(facts['class_names'])}, in_chans={channels}"
    options += f", img_size={size}" if facts["has_one_size"] else ""
    return [
        "import timm",
        "",
        f"model = timm.create_model({json.dumps(facts['backbone'])}, {options},",
        f"                          checkpoint_path={name}).eval()",
        "outputs = model(images)",
    ]


def input_words(facts: Mapping[str, Any]) -> list[str]:
    """What goes in and what comes out."""
    shape = " x ".join(map(str, facts["input"]))
    lines = [f"Input: {shape}, {facts['input_range']}. Output: {facts['output']}."]
    if facts["input_range"] != "[0, 1]":
        mean, std = (", ".join(f"{each:g}" for each in facts[name]) for name in ("mean", "std"))
        lines += [f"Mean {mean}, standard deviation {std}, of pixels in [0, 1]."]
    return lines


def results(facts: Mapping[str, Any]) -> list[str]:
    """The accuracy of the run, where the checkpoint knows it, and of the verification."""
    check = facts["check"]
    verified = (
        f"On {check['num_images']} test images, before and after the export:"
        f" top-1 {100 * check['top1_after']:.2f} %; largest difference of the outputs"
        f" {check['max_difference']:.1e}."
    )
    metrics = facts["metrics"]
    if metrics is None:
        return ["Accuracy on the whole test set: unknown, the file does not say.", "", verified]
    numbers = {
        "test images": f"{metrics['num_images']:,}",
        "top-1 %": f"{100 * metrics['top1']:.2f}",
        "top-1 %, 95 % interval": " to ".join(f"{100 * e:.2f}" for e in metrics["top1_interval"]),
        "top-5 %": UNKNOWN if metrics["top5"] is None else f"{100 * metrics['top5']:.2f}",
        "NLL": f"{metrics['nll']:.4f}",
        "ECE": f"{metrics['ece']:.4f}" if "ece" in metrics else UNKNOWN,  # old checkpoints
    }
    return [*rows(numbers), "", verified]


def rows(values: Mapping[str, Any]) -> list[str]:
    """A table of two columns."""
    return ["| | |", "|---|---|", *(f"| {name} | {each} |" for name, each in values.items())]


def class_words(names: Sequence[str], most: int = 200) -> str:
    """The classes in the order of the outputs."""
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)}, in the order of the outputs: {', '.join(names[:most])}{more}"


def unknown_words(facts: Mapping[str, Any]) -> list[str]:
    """What a reader would want to know, and the program cannot."""
    lines = ["Intended use, limitations and biases: unknown."]
    if facts["license"] == UNKNOWN:
        lines.insert(0, "Licence of the weights and of the training images: unknown.")
    return lines
