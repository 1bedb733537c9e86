"""AutoMix at the edges: one image, half precision, no look at a value."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from automix_cli.method import AutoMix, AutoMixOptions, Draws, Pairing, sample_draws

MakeAutoMix = Callable[..., AutoMix]
WEIGHT = 0.1  # of the mask-area loss


def test_a_batch_of_one_trains(make_automix: MakeAutoMix, images: Tensor) -> None:
    draws = sample_draws(np.random.default_rng(0), 1, AutoMixOptions())
    losses = make_automix()(images[:1], torch.tensor([3]), draws, WEIGHT)
    losses.total.backward()
    assert all(loss.isfinite() for loss in losses)


def test_bfloat16_autocast_gives_float32_losses_and_masks_in_range(
    make_automix: MakeAutoMix, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    automix = make_automix()
    exact = copy.deepcopy(automix)(images, labels, draws, WEIGHT)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        masks = copy.deepcopy(automix).masks(images, draws)
        losses = automix(images, labels, draws, WEIGHT)
    losses.total.backward()
    for mask in masks:
        assert mask.dtype == torch.float32
        assert mask.min() >= 0
        assert mask.max() <= 1
    for loss, wanted in zip(losses, exact, strict=True):
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, wanted, rtol=0.02, atol=0.01)  # bfloat16 has 8 bits
    assert all(p.grad.dtype == torch.float32 for p in automix.classifier.parameters())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum_buffers": "average", "mask_area_reduction": "batch_mean"},
        {"projection_norm": "batch", "mask_area_loss": "sparsity"},
        {"projection_norm": "layer", "mask_area_loss": "l2+variance", "lam_embedding": "none"},
    ],
)
def test_a_step_never_asks_for_the_value_of_a_tensor(
    make_automix: MakeAutoMix, options: dict[str, str]
) -> None:
    """Fake tensors have shapes and no values, so waiting for one raises."""
    with FakeTensorMode():
        automix = make_automix(**options)
        lam, perm = torch.rand(6), torch.arange(6)
        pairing = Pairing(lam, perm)
        draws = Draws(pairing, pairing, adjust_mask=True, upsampling_for_classifier="bilinear")
        images, labels = torch.randn(6, 3, 16, 16), torch.zeros(6, dtype=torch.int64)
        automix(images, labels, draws, WEIGHT).total.backward()
        automix.update_momentum(0.9)
        with pytest.raises(DataDependentOutputException):  # the trap is armed
            bool(lam[0] > 0)
