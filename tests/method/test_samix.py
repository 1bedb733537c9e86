"""AutoMix with the mix block of SAMix; `test_golden.py` compares it with the reference."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from automix_cli.method import AutoMix, AutoMixOptions, Draws, Pairing, sample_draws

MakeSAMix = Callable[..., AutoMix]
WEIGHT = 0.1  # of the mask-area loss
BLOCK = {"mix_block.query", "mix_block.key", "mix_block.value_hidden", "mix_block.value_norm"}
BLOCK |= {"mix_block.value_output"}


@pytest.mark.parametrize(
    ("loss", "parts"),
    [
        ("one_hot", {"classifier.backbone", "classifier.head_one_hot"}),
        ("mixed", {"classifier.backbone", "classifier.head_mixed"}),
        ("mix_block", BLOCK),
        ("mask_area", BLOCK),
    ],
)
def test_each_loss_reaches_its_own_parts_only(
    make_samix: MakeSAMix, images: Tensor, labels: Tensor, draws: Draws, loss: str, parts: set[str]
) -> None:
    samix = make_samix(mask_area_loss="l1+variance")
    getattr(samix(images, labels, draws, WEIGHT), loss).backward()
    reached = {
        ".".join(name.split(".")[:2])
        for name, parameter in samix.named_parameters()
        if parameter.grad is not None and parameter.grad.any()
    }
    assert reached == parts


def test_the_mix_blocks_mask_moves_its_batch_norm_before_the_classifiers_does(
    make_samix: MakeSAMix, images: Tensor, draws: Draws
) -> None:
    samix = make_samix()
    block, network = copy.deepcopy(samix.mix_block), copy.deepcopy(samix.momentum_classifier)
    samix.masks(images, draws)
    projection = block.project(network.features(images))
    for pairing in (draws.for_mix_block, draws.for_classifier):
        block.mask(projection, pairing, (16, 16))
    for ours, expected in zip(samix.mix_block.buffers(), block.buffers(), strict=True):
        torch.testing.assert_close(ours, expected)


def test_a_batch_of_one_trains(make_samix: MakeSAMix, images: Tensor) -> None:
    draws = sample_draws(np.random.default_rng(0), 1, AutoMixOptions())
    losses = make_samix()(images[:1], torch.tensor([3]), draws, WEIGHT)
    losses.total.backward()
    assert all(loss.isfinite() for loss in losses)


def test_bfloat16_autocast_gives_float32_losses(
    make_samix: MakeSAMix, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    samix = make_samix()
    exact = copy.deepcopy(samix)(images, labels, draws, WEIGHT)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = samix(images, labels, draws, WEIGHT)
    losses.total.backward()
    for loss, wanted in zip(losses, exact, strict=True):
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, wanted, rtol=0.02, atol=0.02)  # bfloat16 has 8 bits


def test_a_step_never_asks_for_the_value_of_a_tensor(make_samix: MakeSAMix) -> None:
    """Fake tensors have shapes and no values, so waiting for one raises."""
    with FakeTensorMode():
        samix = make_samix(lam_rescale=0.25, value_dropout=0.1, mask_area_loss="l1+variance")
        pairing = Pairing(torch.rand(6), torch.arange(6))
        images, labels = torch.randn(6, 3, 16, 16), torch.zeros(6, dtype=torch.int64)
        draws = Draws(pairing, pairing, upsampling_for_classifier="bilinear")
        samix(images, labels, draws, WEIGHT).total.backward()
        samix.update_momentum(0.9)
