"""Writes checkpoints beside the training: a step does not wait for a disk.

What is to be written is copied to the host's memory first, so that training may go on at once; a
thread then writes it as `checkpoint` does, under another name first. A kill at any moment leaves
the previous file, as before. One job at a time: a disk that is slower than the training holds the
training up, instead of filling the memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from torch import Tensor

from automix_cli.engine.checkpoint import Header, checkpoint_content, write_checkpoint
from automix_cli.engine.loop import Training, TrainState


class CheckpointWriter:
    """A thread that writes checkpoints in the order in which they are handed in.

    Leaving the `with` waits for the last of them, also when an exception is on its way: who was
    told that a checkpoint is saved is told if it could not be.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoints")
        self._pending: Future[None] | None = None

    def __enter__(self) -> CheckpointWriter:
        """Nothing to do: the thread starts with the first checkpoint."""
        return self

    def __exit__(self, *error: object) -> None:
        """Wait for the last checkpoint.

        Raises:
            CheckpointError: it could not be written.
        """
        self._thread.shutdown(wait=True)
        self.wait()

    def save(
        self, paths: Sequence[Path], training: Training, state: TrainState, header: Header
    ) -> None:
        """Copy everything that resuming needs, and let it be written to `paths`, one by one.

        Called on every process; the main one writes. Only the running sums of the losses differ
        between processes: one row of each is kept.

        Raises:
            CheckpointError: the one before could not be written (full disk, read-only folder);
                the older file stays.
        """
        content = checkpoint_content(training, state, header)
        self.wait()
        if content is not None:
            self._pending = self._thread.submit(_write_all, paths, copied(content))

    def wait(self) -> None:
        """Wait until everything is written.

        Raises:
            CheckpointError: something could not be.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()


def _write_all(paths: Sequence[Path], content: Mapping[str, Any]) -> None:
    for path in paths:
        write_checkpoint(path, content)


def copied(content: Any) -> Any:
    """The same plain values and tensors, the tensors copied to the host's memory."""
    if isinstance(content, Tensor):
        return content.detach().to("cpu", copy=True)
    if isinstance(content, Mapping):
        return {key: copied(each) for key, each in content.items()}
    if isinstance(content, list | tuple):
        return type(content)(copied(each) for each in content)
    return content
