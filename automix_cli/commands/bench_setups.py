"""What `automix bench` times: a training for each configuration, on images that are made up.

What a step costs does not depend on what is seen on the images, so no data set is needed; their
size, channels and number are those of the settings.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

import torch

from automix_cli.build import has_mix_block, has_rests
from automix_cli.commands.comparing.arms import Arm, variant_arm
from automix_cli.commands.comparing.cells import settings_of
from automix_cli.commands.requests.bench import BenchRequest
from automix_cli.commands.training.run import Prepared, assemble
from automix_cli.data.catalogue import CATALOGUE
from automix_cli.data.datasets import DataSplits
from automix_cli.data.image_set import ImageSet
from automix_cli.engine.loop import take_step
from automix_cli.engine.phases import Watched
from automix_cli.engine.runtime import build_accelerator
from automix_cli.errors import SettingsError
from automix_cli.randomness import Purpose, stream
from automix_cli.settings import Settings
from automix_cli.settings.layering import Overrides

VANILLA = Arm("vanilla", "--vs", "vanilla")
PLAIN_SETS = (
    "model.channels_last=false",
    "train.mixed_precision=no",
    "run.keep_freed_memory=false",
)
PLAIN = Arm("vanilla, float32, contiguous", "--vs", "vanilla", PLAIN_SETS)
"""Plain training as everybody has it: the unit of the published comparisons of cost."""

BATCHES_OF_IMAGES = 2
CLASSES = "classes"
"""What `--grow` calls the number of classes, which is the data's and no setting."""


class Stretch(NamedTuple):
    """Steps whose mean cost is that of a part of the run."""

    share: float
    steps: range


@dataclass(frozen=True)
class Setup:
    """One configuration, ready to take steps.

    Attributes:
        name: What the tables call it.
        prepared: Its training.
        mixed_precision: Of its accelerator when that was built: all accelerators of a process share
            the state of the newest.
    """

    name: str
    prepared: Prepared
    mixed_precision: str

    def stretches(self, turn: int) -> tuple[Stretch, ...]:
        """Steps that stand for the run, others at each turn: in fast mode, not all cost the same.

        One interval of the mix block with clean images, and one without if the run drops them.
        """
        settings, plan = self.prepared.settings, self.prepared.plan
        fraction = settings.mix.one_hot_fraction if has_mix_block(settings.mix) else 1.0
        length = settings.mix.mix_block_interval if has_rests(settings.mix) else 1
        total = settings.train.epochs * plan.steps_per_epoch
        with_clean = math.ceil(fraction * total)
        begin = turn % max(with_clean // length, 1) * length
        end = total - turn % max((total - with_clean) // length, 1) * length
        both = (
            Stretch(fraction, range(begin, min(begin + length, total))),
            Stretch(1 - fraction, range(max(end - length, 0), end)),
        )
        return tuple(each for each in both if each.share > 0)

    def mean_over_run(self, measure: Callable[[int], float], turn: int = 0) -> float:
        """What a step costs on average over the run, by what the step of a number costs."""
        return sum(share * fmean(map(measure, steps)) for share, steps in self.stretches(turn))

    def seconds_of(self, turn: int) -> float:
        """How long a step takes, the mean over the run; by other steps at each turn."""
        return self.mean_over_run(self._seconds_of_step, turn)

    def _seconds_of_step(self, step: int) -> float:
        started = time.perf_counter()
        self.take_step(step)
        return time.perf_counter() - started

    def take_step(self, step: int) -> None:
        """Make the batch of a step, train on it, and wait for the device."""
        training, plan = self.prepared.training, self.prepared.plan
        float(take_step(training, plan, step).total)

    @property
    def number_format(self) -> torch.dtype:
        """What the networks compute in."""
        formats = {"bf16": torch.bfloat16, "fp16": torch.float16}
        return formats.get(self.mixed_precision, torch.float32)


def arms(request: BenchRequest) -> list[Arm]:
    """The configuration asked for, vanilla, plain vanilla, and those of `--vs`."""
    asked = Arm("as asked", "--vs", None)
    methods = [Arm(name, "--vs", name) for name in request.versus]
    variants = [variant_arm(text, "--vs-settings") for text in request.versus_settings]
    wanted = [asked, VANILLA, PLAIN, *methods, *variants]
    return list({arm.name: arm for arm in wanted}.values())


class Grown(NamedTuple):
    """The configuration asked for, at one value of what grows."""

    arm: Arm
    num_classes: int


def grown_arms(request: BenchRequest) -> list[Grown]:
    """The configuration asked for at each value of `--grow`.

    Raises:
        SettingsError: it is not `KEY=VALUE,VALUE,...`, or a number of classes is below 2.
    """
    if request.grow is None:
        return []
    key, equals, values = (part.strip() for part in request.grow.partition("="))
    listed = [value.strip() for value in values.split(",") if value.strip()]
    if not key or not equals or len(listed) < 2:
        raise SettingsError(
            f"`--grow {request.grow}` must be KEY=VALUE,VALUE,...",
            hint="for example `--grow train.batch_size=25,50,100`",
        )
    texts = [f"{key}={value}" for value in listed]
    if key != CLASSES:
        return [Grown(Arm(text, "--grow", None, (text,)), request.num_classes) for text in texts]
    if not all(value.isdecimal() and int(value) >= 2 for value in listed):
        raise SettingsError(
            f"`--grow {request.grow}` must list whole numbers of at least 2",
            hint="for example `--grow classes=10,100,1000`",
        )
    return [
        Grown(Arm(text, "--grow", None), int(value))
        for text, value in zip(texts, listed, strict=True)
    ]


def set_up(arm: Arm, overrides: Overrides, num_classes: int) -> Setup:
    """Build the training of a configuration.

    Raises:
        SettingsError: it is not valid, or cannot be built.
    """
    settings = settings_of(arm, overrides)
    accelerator = build_accelerator(
        device=settings.run.device,
        mixed_precision=settings.train.mixed_precision,
        keeps_memory=settings.run.keep_freed_memory,
    )
    precision = str(accelerator.mixed_precision)
    splits = made_up_splits(settings, num_classes).to(accelerator.device)
    name = settings.mix.method if arm.method is None and not arm.sets else arm.name
    return Setup(name, assemble(settings, splits, accelerator), precision)


def made_up_splits(settings: Settings, num_classes: int) -> DataSplits:
    """Images of noise, with the size and channels of the settings' data set."""
    source = CATALOGUE[settings.data.name]
    size = settings.data.image_size or source.image_size
    n = BATCHES_OF_IMAGES * settings.train.batch_size
    rng = stream(Purpose.ORDER, settings.run.seed, 0)
    images = torch.from_numpy(
        rng.integers(256, size=(n, len(source.mean), size, size), dtype="uint8")
    )
    names = tuple(str(number) for number in range(num_classes))
    made_up = ImageSet(images, torch.arange(n) % num_classes, names)
    return DataSplits(
        made_up, made_up, None, source.mean, source.std, settings.data.name, size, "pad"
    )


def watched_calls(setup: Setup, step: int) -> Sequence[Watched]:
    """The parts of a step that have a name, as far as the method has them."""
    training = setup.prepared.training
    method: Any = training.accelerator.unwrap_model(training.model)
    calls = [
        Watched(training.batches, "at", ("data",)),
        Watched(training.optimizer, "step", ("optimizer",)),
        Watched(method, "update_momentum", ("momentum update",)),
    ]
    if not hasattr(method, "masks"):
        forward = Watched(method.classifier, "forward", ("classifier",), is_forward=True)
        return [*calls, Watched(method, "mix", ("mixing",)), forward]
    mixed, clean = "classifier, mixed images", "classifier, clean images"
    weight = training.values_at(step).of_method.get("one_hot_weight", method.options.one_hot_weight)
    turns = (clean, mixed) if weight > 0 else (mixed,)
    momentum = method.momentum_classifier
    features = "momentum classifier, clean images"
    calls += [
        Watched(momentum, "features_and_embed", (features,)),
        Watched(momentum, "features", (features,)),
        Watched(momentum, "embed", ("momentum classifier, mixed images",), is_forward=True),
        Watched(method.classifier, "embed", turns, is_forward=True),
        Watched(method.mix_block, "project", ("mix block",)),
    ]
    block = method.mix_block  # AdAutoMix's makes the masks of all images in a mixture at once
    name = "masks" if hasattr(block, "masks") else "mask"
    return [*calls, Watched(block, name, ("mix block",))]
