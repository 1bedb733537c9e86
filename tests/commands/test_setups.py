"""The same seed on other set-ups: what ends with the same bytes, and how far the rest differs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.commands.conftest import Automix, records_of

SMALL = (
    "--set=data.image_size=16",
    "--set=train.max_steps=2",
    "--set=train.batch_size=8",
    "--set=train.log_every=1",
    "--set=train.masks_pairs=0",
    "--device=cpu",
)
STREAMED = (*SMALL, "--set=data.color_jitter=0.4", "--set=data.test_crop_ratio=0.8")
"""Colour operations are done image by image, by threads."""

WORKERS = (0, 1, 4)
WEIGHTS = "classifier.safetensors"


@pytest.fixture(autouse=True)
def same_threads_afterwards() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def train(automix: Automix, folder: str, *more: str) -> Path:
    result = automix("train", *SMALL, *more, "-o", folder)
    assert result.exit_code == 0, result.output
    return Path(folder)


def test_any_number_of_loader_threads_gives_the_same_bytes(automix: Automix) -> None:
    runs = [
        train(automix, f"run{number}", *STREAMED, f"--set=data.workers={number}")
        for number in WORKERS
    ]
    for run in runs[1:]:
        assert (run / WEIGHTS).read_bytes() == (runs[0] / WEIGHTS).read_bytes()
        assert records_of(run) == records_of(runs[0])


@pytest.mark.slow  # two threads are slow where two tests run at once
def test_two_threads_train_to_the_same_bytes_every_time_and_judge_as_one(automix: Automix) -> None:
    torch.set_num_threads(2)
    first, again = train(automix, "first"), train(automix, "again")
    assert (first / WEIGHTS).read_bytes() == (again / WEIGHTS).read_bytes()
    assert records_of(first) == records_of(again)
    judged = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        judged.append(automix("eval", "first", "--json").stdout)
    assert judged[0] == judged[1]


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))


def cells(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


OPERATIONS: dict[str, tuple[Callable[..., Tensor], tuple[Tensor, ...]]] = {
    "convolution": (
        lambda images: F.conv2d(images, drawn(32, 16, 3, 3), padding=1),
        (drawn(16, 16, 32, 32),),
    ),
    "linear": (F.linear, (drawn(16, 256), drawn(100, 256), drawn(100))),
    "attention": (lambda query, key: (query.mT @ key).softmax(dim=-1), 2 * (drawn(16, 32, 64),)),
    "batch norm of contiguous images": (
        lambda images, scale: F.batch_norm(images, None, None, scale, training=True),
        (drawn(16, 32, 16, 16), drawn(32)),
    ),
    "batch norm in evaluation": (
        lambda images: F.batch_norm(images, drawn(32), drawn(32).abs() + 1),
        (cells(drawn(16, 32, 16, 16)),),
    ),
    "pooling": (lambda images: images.mean(dim=(2, 3)), (drawn(16, 64, 8, 8),)),
    "upsampling": (
        lambda maps: F.interpolate(maps, size=(32, 32), mode="bilinear"),
        (drawn(16, 1, 8, 8),),
    ),
    "cross-entropy": (
        lambda logits: F.cross_entropy(logits, torch.arange(16), reduction="none"),
        (drawn(16, 100),),
    ),
}
"""Those of a step that give the same bits on one thread and on two, with all their gradients. The
others add up over images in as many parts as there are threads: the gradients of convolutions'
weights, batch norm in training on channels-last images, and those of layer norm's parameters."""


@pytest.mark.parametrize("name", OPERATIONS)
def test_these_operations_do_not_depend_on_the_threads(name: str) -> None:
    operation, inputs = OPERATIONS[name]
    found: list[tuple[Tensor, ...]] = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        given = [each.clone().requires_grad_() for each in inputs]
        result = operation(*given)
        weight = torch.linspace(-1, 1, result.numel()).view_as(result)
        found.append((result.detach(), *torch.autograd.grad((result * weight).sum(), given)))
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)
