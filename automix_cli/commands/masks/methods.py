"""Which methods `automix visualize-masks` shows, made of one checkpoint or several."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from automix_cli import build
from automix_cli.commands.trained import Trained, TrainedFile, read_file, rebuild
from automix_cli.engine.checkpoint import load_weights
from automix_cli.errors import CheckpointError, SettingsError
from automix_cli.method.learned_pairs import LearnedPairs
from automix_cli.method.shown_pairs import INVISIBLE, PairMixer, RivalPairs
from automix_cli.models.classifier import Classifier
from automix_cli.settings import Settings
from automix_cli.settings.layering import Layer, Overrides, load
from automix_cli.settings.mix import ALPHAS, LEARNED


@dataclass(frozen=True)
class Source:
    """A checkpoint, with the momentum classifier in it.

    Attributes:
        file: What it holds.
        settings: It was trained with, and what the command line changed of them.
        trained: What is stored.
        classifier: The momentum classifier, evaluating.
    """

    file: TrainedFile
    settings: Settings
    trained: Trained
    classifier: Classifier

    @property
    def path(self) -> Path:
        """Of the file."""
        return self.file.path

    @property
    def method(self) -> str:
        """What it was trained with."""
        return self.settings.mix.method

    @property
    def form(self) -> tuple[Any, ...]:
        """What the images of two sources must agree in to be shown the same pairs."""
        dataset = self.trained.dataset
        names = ("in_channels", "image_size", "mean", "std")
        return tuple(str(dataset[name]) for name in names)


def read_source(path: Path, overrides: Overrides) -> Source:
    """Read a checkpoint; its network is left on the CPU.

    Args:
        path: Of the file.
        overrides: What the command line changes.

    Raises:
        CheckpointError: the file is missing, broken or of something else.
    """
    file = read_file(path)
    settings, _ = load(overrides, base=Layer(file.settings, str(path)))
    trained = file.network("momentum")
    network = rebuild(trained, settings).eval().requires_grad_(requires_grad=False)
    return Source(file, settings, trained, network)


def refuse_differing(sources: list[Source]) -> None:
    """Several checkpoints must have other methods, and see the same images.

    Raises:
        CheckpointError: two are of one method, or see other images.
    """
    first = sources[0]
    for number, source in enumerate(sources):
        if source.form != first.form:
            raise CheckpointError(
                f"`{source.path}` and `{first.path}` were not trained on images of one size, "
                "number of channels and normalisation, so they cannot be shown the same pairs",
                hint="draw them one after the other",
            )
        if source.method in {each.method for each in sources[:number]}:
            raise CheckpointError(
                f"two checkpoints are of `{source.method}`, the second is `{source.path}`",
                hint="draw them one after the other, each with its own `--output-dir`",
            )


def chosen_methods(text: str | None, sources: list[Source]) -> list[str]:
    """The methods to show, in order.

    Args:
        text: Names separated by commas; None for those of the sources.
        sources: The checkpoints.

    Raises:
        SettingsError: an unknown method, or one that mixes no images.
    """
    if text is None:
        names = [source.method for source in sources]
    else:
        names = list(dict.fromkeys(word.strip() for word in text.split(",")))
    unknown = [name for name in names if name not in ALPHAS]
    if unknown:
        raise SettingsError(
            f"no method is called `{unknown[0]}`", hint=f"the methods are {', '.join(ALPHAS)}"
        )
    unseen = [name for name in names if name in INVISIBLE]
    if unseen:
        raise SettingsError(
            f"`{unseen[0]}` mixes feature maps, so there is no image to show",
            hint="choose others by `--methods mixup,cutmix,...`",
        )
    return names


def pair_mixer(method: str, sources: list[Source], device: torch.device) -> PairMixer:
    """A method, ready to be shown: learned ones need their checkpoint, others the first one.

    Raises:
        CheckpointError: no checkpoint holds the mix block.
        SettingsError: the method lacks something else.
    """
    for each in sources:
        each.classifier.to(device)
    if method in LEARNED:
        return learned_pairs(method, sources, device)
    source = sources[0]
    attend = None
    if method == "attentivemix":
        attend = attention_of(source)
    return RivalPairs(method, source.classifier, attend, source.trained.std)


def learned_pairs(method: str, sources: list[Source], device: torch.device) -> LearnedPairs:
    """A method whose mix block is in one of the checkpoints.

    Raises:
        CheckpointError: in none.
    """
    own = [source for source in sources if source.method == method]
    if not own:
        have = ", ".join(f"`{each.path}` was trained with `{each.method}`" for each in sources)
        raise CheckpointError(
            f"the masks of `{method}` are learned, and no checkpoint has them: {have}",
            hint=f"add `--checkpoint` with the `ckpt.pt` of a run of `{method}`, or name other "
            "methods by `--methods`",
        )
    source = own[0]
    block = build.mix_block(source.classifier.feature_channels, source.settings.mix)
    load_weights(block, mix_block_weights(source.file), source.path)
    block = block.to(device).eval().requires_grad_(requires_grad=False)
    options = build.learned_options(source.settings.mix)
    return LearnedPairs(method, source.classifier, block, options)


def mix_block_weights(file: TrainedFile) -> dict[str, Tensor]:
    """The weights of the mix block in a checkpoint.

    Raises:
        CheckpointError: it has none.
    """
    if file.only is not None:
        raise CheckpointError(
            f"`{file.path}` holds one network only, and no mix block to draw masks with",
            hint="name the run's `ckpt.pt` or `best.pt`",
        )
    weights = file.below("mix_block.")
    if not weights:
        raise CheckpointError(f"`{file.path}` has no mix block to draw masks with")
    return weights


def attention_of(source: Source) -> Any:
    """What AttentiveMix+ looks at images with.

    Raises:
        SettingsError: no file is named.
        CheckpointError: it cannot serve.
    """
    mix = source.settings.mix
    if mix.attention_checkpoint is None:
        raise SettingsError(
            "`attentivemix` looks at images with a pretrained network, and none is named",
            hint="add --set mix.attention_checkpoint=FILE, and mix.attention_backbone if it is no "
            "ResNet-18",
        )
    size = int(source.trained.dataset["image_size"])
    trained = source.trained
    return build.attender(mix, mean=trained.mean, std=trained.std, image_size=size)
