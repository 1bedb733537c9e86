"""The books of a classifier's run: its evaluations, portable weights and summary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
from torch import Tensor

from automix_cli import build
from automix_cli.commands.heads import accuracy_record
from automix_cli.commands.judging import judging
from automix_cli.commands.masks.progress import MaskProgress
from automix_cli.commands.training.books import Books
from automix_cli.data.batches import evaluation_batches
from automix_cli.data.datasets import DataSplits, Images
from automix_cli.engine.checkpoint import save_classifier
from automix_cli.engine.runtime import add_over_processes
from automix_cli.evaluation.accuracy import measure
from automix_cli.method import AdAutoMix, AutoMix, RivalTraining, estimate_batch_norm
from automix_cli.models.classifier import Classifier
from automix_cli.reporting import records
from automix_cli.settings.mix import LEARNED

Labelled = Iterable[tuple[Tensor, Tensor]]
NUM_IMAGES_FOR_BATCH_NORM = 10_000  # that re-estimate it when `mix.momentum_buffers` is `precise`


@dataclass(kw_only=True)
class Bookkeeper(Books):
    """Writes down what happens to one run of a classifier.

    Attributes:
        splits: On the training device.
    """

    splits: DataSplits
    masks: MaskProgress | None  # None on every process but the main one

    @property
    def method(self) -> AutoMix | AdAutoMix | RivalTraining:
        """The model without its wrapper."""
        model = self.training.accelerator.unwrap_model(self.training.model)
        return cast(AutoMix | AdAutoMix | RivalTraining, model)

    @property
    def stands_for(self) -> str:
        """The network and head that the run is judged by, fixed before its first step."""
        return f"{self.settings.evaluation.weights}_one_hot"

    @property
    def judged_on(self) -> str:
        """The split that chooses the best checkpoint."""
        return "test" if self.splits.validation is None else "validation"

    def evaluate(self) -> bool:
        """Measure every head on every split, and say whether the judged one is the best so far."""
        if self.wants_precise_batch_norm:
            with self.training.accelerator.autocast():
                estimate_batch_norm(self.method.momentum_classifier, self.images_for_batch_norm())
        measured: dict[str, dict[str, Any]] = {}
        for split in ("validation", "test"):
            images: Images | None = getattr(self.splits, split)
            if images is not None:
                measured[split] = self.measure(images)
                self.append({"split": split, **self.position(), **_flat(measured[split])})
        top1 = measured[self.judged_on][self.stands_for]["top1"]
        is_best = not self.state.best or top1 > self.state.best["top1"]
        if is_best:
            self.state.best = {"step": float(self.state.step), "top1": top1}
        self.state.last = measured
        for split, heads in measured.items():
            shown = {head: values["top1"] for head, values in heads.items()}
            chooses = is_best and split == self.judged_on
            self.progress.accuracies(self.state.step, split, shown, is_best=chooses)
        self.restart_clock()
        return is_best

    def keep_with_checkpoint(self) -> None:
        """Keep the masks drawn so far."""
        if self.masks is not None:
            self.masks.keep(self.state.step)

    def description(self) -> dict[str, Any]:
        """What checkpoints say of the data."""
        return self.splits.description()

    @property
    def wants_precise_batch_norm(self) -> bool:
        """Whether to recompute the momentum classifier's statistics before evaluations."""
        chosen = self.settings.mix.momentum_buffers  # a rival's makes no passes of its own
        return chosen == "precise" or (chosen == "own" and self.settings.mix.method not in LEARNED)

    def measure(self, images: Images) -> dict[str, Any]:
        """Accuracies of the heads on some images, shared out over the processes.

        Raises:
            DivergedError: outputs are not finite.
        """
        accelerator = self.training.accelerator
        rank, num_ranks = accelerator.process_index, accelerator.num_processes
        batches = self.batches(images, rank=rank, num_ranks=num_ranks)
        self.method.eval()
        add = partial(add_over_processes, accelerator)
        with judging(f"the network after step {self.state.step}"):
            measured = measure(self.predict, batches, add_over_processes=add)
        self.training.model.train()
        return {head: accuracy_record(each) for head, each in measured.items()}

    def batches(self, images: Images, *, rank: int, num_ranks: int) -> Labelled:
        """A process's part of some images, shown to be judged."""
        data, splits = self.settings.data, self.splits
        return evaluation_batches(
            images,
            build.view(data, splits.mean, splits.std, splits.image_size),
            build.loading(data, self.training.accelerator.device),
            batch_size=self.settings.evaluation.batch_size,
            rank=rank,
            num_ranks=num_ranks,
        )

    def predict(self, images: Tensor) -> dict[str, Tensor]:
        """Logits of both networks with every head that is trained, in the run's number format."""
        logits: dict[str, Tensor] = {}
        online, momentum = self.method.classifier, self.method.momentum_classifier
        has_mixed_head = cast(Classifier, online).head_mixed.weight.requires_grad
        for name, network in (("momentum", momentum), ("classifier", online)):
            with self.training.accelerator.autocast():
                one_hot, mixed = cast(Classifier, network).forward_heads(images)
            logits[f"{name}_one_hot"] = one_hot
            if has_mixed_head:
                logits[f"{name}_mixed"] = mixed
        return logits

    def images_for_batch_norm(self) -> Iterator[Tensor]:
        """Clean training images without augmentation, the same on every process.

        One is left out rather than put into a batch of its own, in which batch norm may have
        nothing to compare it with.
        """
        train = self.splits.train
        number = min(len(train), NUM_IMAGES_FOR_BATCH_NORM)
        if number > 1 and number % self.settings.evaluation.batch_size == 1:
            number -= 1
        some = train.take(np.arange(number))
        return (images for images, _ in self.batches(some, rank=0, num_ranks=1))

    def finish(self) -> dict[str, Any]:
        """Write the portable classifier and the summary; the run is then finished."""
        if self.masks is not None:
            self.masks.draw()
        summary = self.summary()
        if self.training.accelerator.is_main_process:
            weights = self.method.momentum_classifier.state_dict()
            kept = {name: each for name, each in weights.items() if "head_mixed" not in name}
            save_classifier(self.folder / records.CLASSIFIER, kept, self.portable_header())
            records.write_json(self.folder / records.SUMMARY, summary)
        return summary

    def summary(self) -> dict[str, Any]:
        """The numbers of the run: what it stands for, every head beside it, and the cost."""
        return {
            "schema_version": 1,
            "preset": self.settings.run.preset,
            "method": self.settings.mix.method,
            "stands_for": self.stands_for,
            **self.account(),
            "best_chosen_on": "the test set"
            if self.judged_on == "test"
            else "a held-out part of the training set",
            "median_of_last_ten": {}
            if self.metrics is None
            else records.median_of_last_ten(self.metrics.path),
        }


def _flat(heads: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """`{head: {name: value}}` as `{"head/name": value}`."""
    return {f"{head}/{name}": each for head, row in heads.items() for name, each in row.items()}
