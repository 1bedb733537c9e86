"""Run by torchrun in `test_processes`: train, and write down what this process saw."""

import sys
from pathlib import Path

import torch

from automix_cli.commands.training.run import prepare_run
from automix_cli.engine.loop import Hooks, TrainState, fit, micro_batches
from automix_cli.settings import Settings
from automix_cli.settings.layering import Overrides, load
from tests.engine.test_golden_run import five_steps, prepared_run


def settings_of_probe() -> Settings:
    """Three steps of 15 images in two micro-batches: shared out unevenly over two processes."""
    sets = (
        "train.max_steps=3",
        "train.batch_size=15",
        "train.accumulation_steps=2",
        "train.log_every=1",
        "run.device=cpu",
    )
    return load(Overrides(preset="digits-tiny", sets=sets), environment={})[0]


def main(folder: Path) -> None:
    """Train and save the state, the pixels and the ratios of this process."""
    prepared = prepare_run(settings_of_probe())
    training = prepared.training
    seen = [micro_batches(training, 0, step) for step in range(3)]
    hooks = Hooks(
        advance=lambda _: None,
        record=lambda _: None,
        evaluate=lambda: False,
        save=lambda _: None,
        stop_signal=lambda: 0,
    )
    fit(training, prepared.plan, TrainState(), hooks)
    accelerator = training.accelerator
    content = {
        "num_processes": accelerator.num_processes,
        "state": accelerator.unwrap_model(training.model).state_dict(),
        "images": [torch.cat([batch.images for batch in step]) for step in seen],
        "lam": torch.cat([batch.draws.for_classifier.lam[:1] for step in seen for batch in step]),
        "five steps": five_steps(prepared_run()),
    }
    torch.save(content, folder / f"rank{accelerator.process_index}.pt")
    accelerator.end_training()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
