"""Lets every command judge the public ResNet-20 for CIFAR-10, which is no backbone of automix.

    python -m tests.evaluation.public_resnet20 make resnet20-12fca82f.th resnet20.safetensors
    python -m tests.evaluation.public_resnet20 eval --checkpoint resnet20.safetensors ...

`make` writes the weights of akamaster/pytorch_resnet_cifar10 (BSD-2) as a portable classifier:
renamed, with the mean and deviation that they were trained with. Any other arguments are a command
of automix, run where timm knows the network. It is the pattern for other foreign weights: a module
with the methods of a timm model, registered with timm, and `save_classifier`.
"""

import sys
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from timm.models import register_model
from torch import Tensor, nn

from automix_cli.engine.checkpoint import Header, save_classifier
from automix_cli.settings import Settings

BACKBONE = "public_resnet20"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
__all__ = ["public_resnet20"]


class Block(nn.Module):
    """Two convolutions; where the size halves, the shortcut skips pixels and pads channels."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride, self.padding = stride, (channels - channels_in) // 2

    def forward(self, images: Tensor) -> Tensor:
        shortcut = images[:, :, :: self.stride, :: self.stride]
        shortcut = F.pad(shortcut, (0, 0, 0, 0, self.padding, self.padding))
        inner = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(images)))))
        return F.relu(inner + shortcut)


class ResNet20(nn.Module):
    """He et al. (2016), section 4.2, shortcuts of type A, with the methods of a timm model."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(Block(16, 16, 1) for _ in range(3)))
        self.layer2 = nn.Sequential(Block(16, 32, 2), Block(32, 32, 1), Block(32, 32, 1))
        self.layer3 = nn.Sequential(Block(32, 64, 2), Block(64, 64, 1), Block(64, 64, 1))

    def forward_intermediates(
        self, images: Tensor, indices: Any = None, *, intermediates_only: bool = False, **_: Any
    ) -> Any:
        maps = [F.relu(self.bn1(self.conv1(images)))]
        for layer in (self.layer1, self.layer2, self.layer3):
            maps.append(layer(maps[-1]))
        shown = [maps[index] for index in (range(4) if indices is None else indices)]
        return shown if intermediates_only else (maps[-1], shown)

    def forward_features(self, images: Tensor) -> Tensor:
        return self.forward_intermediates(images)[0]

    def forward_head(self, last: Tensor, *, pre_logits: bool) -> Tensor:
        assert pre_logits
        return last.mean(dim=(2, 3))


@register_model
def public_resnet20(**_: Any) -> ResNet20:
    """The network, as timm builds it by name."""
    return ResNet20()


def write_portable(weights: Path, file: Path) -> None:
    """Write the public weights in the form of a run's `classifier.safetensors`."""
    stored = torch.load(weights, weights_only=True, map_location="cpu")["state_dict"]
    named = {name.removeprefix("module."): each for name, each in stored.items()}
    head = {key: named.pop(f"linear.{key}") for key in ("weight", "bias")}
    # written before batch norm counted its batches, which nothing here reads
    counts = {name: each for name, each in ResNet20().state_dict().items() if "num_" in name}
    backbone = {f"backbone.{name}": each for name, each in {**counts, **named}.items()}
    settings = Settings().model_dump(mode="json", exclude_none=True)
    settings["model"] |= {"backbone": BACKBONE, "stem": "imagenet", "feature_stage": 2}
    settings["data"] |= {"name": "cifar10"}
    settings["mix"] = {"method": "vanilla"}
    dataset = {"name": "cifar10", "class_names": CLASSES, "mean": MEAN, "std": STD}
    dataset |= {"in_channels": 3, "image_size": 32}
    header = Header(settings, dataset, software={}, num_processes=1, metrics_bytes=0)
    heads = {f"head_one_hot.{key}": each for key, each in head.items()}
    save_classifier(file, {**backbone, **heads}, header)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        write_portable(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        from automix_cli.cli import main

        main()
