"""The books of one run: records, evaluations, checkpoints and the summary.

Gives the training loop its hooks. Every method is called on every process; only the main one
writes.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch import Tensor

from automix_cli import build
from automix_cli.commands.heads import accuracy_record
from automix_cli.data.batches import evaluation_batches
from automix_cli.data.datasets import DataSplits, Images
from automix_cli.engine.checkpoint import Header, save_checkpoint, save_classifier
from automix_cli.engine.loop import Hooks, Training, TrainState
from automix_cli.engine.runtime import StopRequest, add_over_processes, peak_memory_bytes
from automix_cli.evaluation.accuracy import measure
from automix_cli.method import AdAutoMix, AutoMix, RivalTraining, estimate_batch_norm
from automix_cli.models.classifier import Classifier
from automix_cli.reporting import records
from automix_cli.reporting.progress import TrainProgress
from automix_cli.settings import Settings
from automix_cli.settings.mix import LEARNED
from automix_cli.settings.toml import as_saved

Labelled = Iterable[tuple[Tensor, Tensor]]
NUM_IMAGES_FOR_BATCH_NORM = 10_000
"""Training images that re-estimate batch norm when `mix.momentum_buffers` is `precise`."""


@dataclass
class Bookkeeper:
    """Writes down what happens to one run.

    Attributes:
        splits: On the training device.
    """

    settings: Settings
    splits: DataSplits
    training: Training
    state: TrainState
    folder: Path
    metrics: records.Metrics | None  # None on every process but the main one
    progress: TrainProgress
    init: dict[str, Any] | None  # what is said of the weights that the run began with
    timed_since: float = 0.0
    timed_step: int = 0

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

    def hooks(self, stop: StopRequest) -> Hooks:
        """What the loop calls."""
        self.restart_clock()
        return Hooks(
            advance=self.progress.advance,
            record=self.record,
            evaluate=self.evaluate,
            save=self.save,
            stop_signal=stop.agreed,
        )

    def restart_clock(self) -> None:
        """Leave evaluations and saving out of the speed of training."""
        self.timed_since, self.timed_step = time.perf_counter(), self.state.step

    def record(self, values: Mapping[str, float]) -> None:
        """Write the mean losses since the last record, the schedules' values and the speed."""
        steps = self.state.step - self.timed_step
        seconds = time.perf_counter() - self.timed_since
        losses = {name for name in self.state.names if not name.endswith("_ratio")}
        named = {f"loss/{key}" if key in losses else key: each for key, each in values.items()}
        named["seconds_per_step"] = seconds / steps
        named["images_per_second"] = self.settings.train.batch_size * steps / seconds
        self.append({"split": "train", **self.position(), **named})
        self.progress.losses(self.state.step, named)
        self.restart_clock()

    def position(self) -> dict[str, float]:
        """Where in the run this is."""
        step = self.state.step
        return {"step": step, "epoch": step / self.training.batches.steps_per_epoch}

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a line to `metrics.jsonl`."""
        if self.metrics is not None:
            self.metrics.append(record)

    def evaluate(self) -> bool:
        """Measure every head on every split, and say whether the judged one is the best so far."""
        if self.wants_precise_batch_norm:
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

    @property
    def wants_precise_batch_norm(self) -> bool:
        """Whether to recompute the momentum classifier's statistics before evaluations."""
        chosen = self.settings.mix.momentum_buffers  # a rival's makes no passes of its own
        return chosen == "precise" or (chosen == "own" and self.settings.mix.method not in LEARNED)

    def measure(self, images: Images) -> dict[str, Any]:
        """Accuracies of the heads on some images, shared out over the processes."""
        accelerator = self.training.accelerator
        rank, num_ranks = accelerator.process_index, accelerator.num_processes
        batches = self.batches(images, rank=rank, num_ranks=num_ranks)
        self.method.eval()
        add = partial(add_over_processes, accelerator)
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
        """Logits of both networks with every head that is trained."""
        logits: dict[str, Tensor] = {}
        online, momentum = self.method.classifier, self.method.momentum_classifier
        has_mixed_head = cast(Classifier, online).head_mixed.weight.requires_grad
        for name, network in (("momentum", momentum), ("classifier", online)):
            one_hot, mixed = cast(Classifier, network).forward_heads(images)
            logits[f"{name}_one_hot"] = one_hot
            if has_mixed_head:
                logits[f"{name}_mixed"] = mixed
        return logits

    def images_for_batch_norm(self) -> Iterator[Tensor]:
        """Clean training images without augmentation, the same on every process."""
        train = self.splits.train
        some = train.take(np.arange(min(len(train), NUM_IMAGES_FOR_BATCH_NORM)))
        return (images for images, _ in self.batches(some, rank=0, num_ranks=1))

    def header(self) -> Header:
        """What checkpoints say of the run."""
        return Header(
            settings=as_saved(self.settings),
            dataset=self.splits.description(),
            software=records.software_versions(),
            num_processes=self.training.accelerator.num_processes,
            metrics_bytes=0 if self.metrics is None else self.metrics.num_bytes(),
            init=self.init,
        )

    def save(self, is_best: bool) -> None:  # noqa: FBT001 - the type of a hook
        """Write `best.pt` before `ckpt.pt`: a kill between the two is made good by resuming."""
        header = self.header()
        for name in (records.BEST, records.CHECKPOINT) if is_best else (records.CHECKPOINT,):
            save_checkpoint(self.folder / name, self.training, self.state, header)
        self.restart_clock()

    def finish(self) -> dict[str, Any]:
        """Write the portable classifier and the summary; the run is then finished."""
        summary = self.summary()
        if self.training.accelerator.is_main_process:
            weights = self.method.momentum_classifier.state_dict()
            kept = {name: each for name, each in weights.items() if "head_mixed" not in name}
            save_classifier(self.folder / records.CLASSIFIER, kept, self.header())
            records.write_json(self.folder / records.SUMMARY, summary)
        return summary

    def summary(self) -> dict[str, Any]:
        """The numbers of the run: what it stands for, every head beside it, and the cost."""
        accelerator = self.training.accelerator
        position = self.position()
        speed = self.settings.train.batch_size * self.state.step / max(self.state.seconds, 1e-9)
        return {
            "schema_version": 1,
            "preset": self.settings.run.preset,
            "method": self.settings.mix.method,
            "seed": self.settings.run.seed,
            "init": self.init,
            "step": self.state.step,
            "epochs": position["epoch"],
            "stands_for": self.stands_for,
            "last": self.state.last,
            "best": self.state.best,
            "best_chosen_on": "the test set"
            if self.judged_on == "test"
            else "a held-out part of the training set",
            "median_of_last_ten": self.median_of_last_ten(),
            "seconds": self.state.seconds,
            "images_per_second": speed,
            "peak_memory_bytes": peak_memory_bytes(accelerator.device),
            "device": str(accelerator.device),
            "num_processes": accelerator.num_processes,
        }

    def median_of_last_ten(self) -> dict[str, float]:
        """Median test top-1 of the last ten evaluations by head: what the literature prints."""
        if self.metrics is None:
            return {}
        lines = [
            each for each in records.read_metrics(self.metrics.path) if each["split"] == "test"
        ]
        heads = [name for name in lines[-1] if name.endswith("/top1")]
        return {
            head.removesuffix("/top1"): statistics.median(each[head] for each in lines[-10:])
            for head in heads
        }


def _flat(heads: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """`{head: {name: value}}` as `{"head/name": value}`."""
    return {f"{head}/{name}": each for head, row in heads.items() for name, each in row.items()}
