import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from automix_cli.method import Pairing, SAMixBlock, SAMixBlockOptions, rescale_lam

CHANNELS = 16


def make_block(scale: float = 30, **options: object) -> SAMixBlock:
    """A mix block with weights so large that its masks vary."""
    block = SAMixBlock(CHANNELS, SAMixBlockOptions(**options))
    with torch.no_grad():
        for conv in (block.query, block.key, block.value_hidden, block.value_output):
            conv.weight.mul_(scale)
        for bias in (block.query.bias, block.key.bias, block.value_norm.bias):
            bias.normal_()
        block.value_norm.weight.uniform_(0.5, 1.5)
    return block


def plain_masks(block: SAMixBlock, features: Tensor, pairing: Pairing) -> list[Tensor]:
    """Masks with loops and concatenation: the formula as one would write it first.

    Only the batch norm looks at the whole batch. The results are h x w, not upsampled.
    """
    _, c, h, w = features.shape
    k, pairs = block.options.lam_rescale, []
    for i, (lam, j) in enumerate(zip(*pairing, strict=True)):
        ratio = float(lam)
        if k is not None:
            ratio = (4 / 3 * ratio**3 - 2 * ratio**2 + (k + 1) * ratio) / ((k + 1) - 2 / 3)
        first, second = features[i] * (1 + ratio), features[j] * (1 + (1 - ratio))
        if block.options.lam_embedding == "none":
            first, second = features[i], features[j]
        pairs.append((first.flatten(1).T, second.flatten(1).T))  # p x c each

    hidden = [second @ block.value_hidden.weight.flatten(1).T for _, second in pairs]
    stacked = torch.cat(hidden)
    mean, variance = stacked.mean(dim=0), stacked.var(dim=0, correction=0)
    norm = block.value_norm
    masks = []
    for (first, second), of_pair in zip(pairs, hidden, strict=True):
        normal = (of_pair - mean) / (variance + norm.eps).sqrt() * norm.weight + norm.bias
        active = torch.where(normal > 0, normal, normal.exp() - 1)
        values = active @ block.value_output.weight.flatten()
        both = torch.cat([first, second], dim=1)
        queries = both @ block.query.weight.flatten(1).T + block.query.bias
        keys = both @ block.key.weight.flatten(1).T + block.key.bias
        scores = queries @ keys.T / math.sqrt(max(c // block.options.reduction, 1))
        weights = scores.exp() / scores.exp().sum(dim=1, keepdim=True)
        masks.append((1 - torch.sigmoid(weights @ values)).view(h, w))
    return masks


@pytest.mark.parametrize(
    "options",
    [{}, {"lam_rescale": 0.25}, {"lam_embedding": "none"}, {"lam_rescale": 1.0, "reduction": 4}],
    ids=["plain", "rescaled", "no lam", "narrow"],
)
def test_each_pair_gets_the_mask_of_the_plain_formula_with_its_own_lam(
    pairing: Pairing, options: dict[str, object]
) -> None:
    block, features = make_block(**options), torch.rand(6, CHANNELS, 4, 3)
    masks = block(features, pairing, (4, 3))
    assert masks.std() > 0.02  # or the comparison would be easy
    for mask, expected in zip(masks, plain_masks(block, features, pairing), strict=True):
        torch.testing.assert_close(mask[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_the_mask_has_image_size_and_stays_in_range(pairing: Pairing, upsampling: str) -> None:
    mask = make_block()(10 * torch.randn(6, CHANNELS, 4, 4), pairing, (16, 32), upsampling)
    assert mask.shape == (6, 1, 16, 32)
    assert mask.min() >= 0
    assert mask.max() <= 1


def test_a_single_image_is_mixed_with_itself() -> None:
    pairing = Pairing(torch.tensor([0.3]), torch.tensor([0]))
    assert make_block()(torch.rand(1, CHANNELS, 4, 4), pairing, (8, 8)).shape == (1, 1, 8, 8)


@pytest.mark.parametrize(("channels", "expected"), [(256, 164_480)], ids=["cifar-r18"])
def test_the_number_of_parameters_is_the_published_one(channels: int, expected: int) -> None:
    block = SAMixBlock(channels, SAMixBlockOptions())
    assert sum(parameter.numel() for parameter in block.parameters()) == expected


def test_the_first_masks_are_near_one_half() -> None:
    pairing = Pairing(torch.tensor([0.3, 0.3]), torch.tensor([1, 0]))
    for _ in range(50):
        block = SAMixBlock(256, SAMixBlockOptions())
        mask = block(torch.randn(2, 256, 8, 8).relu(), pairing, (8, 8))
        assert (mask - 0.5).abs().max() < 0.15


def test_weights_start_small_and_biases_at_zero() -> None:
    block = SAMixBlock(1024, SAMixBlockOptions())
    for conv in (block.query, block.key, block.value_hidden):
        assert conv.weight.std().item() == pytest.approx(0.01, rel=0.01)
    assert not block.query.bias.any()
    assert not block.key.bias.any()
    assert (block.value_hidden.bias, block.value_output.bias) == (None, None)


def test_without_embedding_the_mask_does_not_depend_on_lam(pairing: Pairing) -> None:
    features, other = torch.rand(6, CHANNELS, 4, 4), pairing._replace(lam=1 - pairing.lam)
    for lam_embedding, is_same in (("none", True), ("multiply", False)):
        block = make_block(lam_embedding=lam_embedding)
        masks = [block(features, each, (4, 4)) for each in (pairing, other)]
        assert torch.equal(*masks) == is_same


def test_one_projection_serves_both_pairings(pairing: Pairing) -> None:
    block, features = make_block(), torch.rand(6, CHANNELS, 4, 4)
    projection = block.project(features)
    for each in (pairing, Pairing(1 - pairing.lam, pairing.perm.flip(0))):
        assert torch.equal(block.mask(projection, each, (8, 8)), block(features, each, (8, 8)))


def test_query_and_key_are_ordinary_convolutions_of_both_images_stacked(pairing: Pairing) -> None:
    block, features = make_block(), torch.rand(6, CHANNELS, 4, 4)
    projection = block.project(features).attention
    assert projection is not None
    stacked = torch.cat([features, features[pairing.perm]], dim=1)
    for conv, first, second in (
        (block.query, projection.query_as_first, projection.query_as_second),
        (block.key, projection.key_as_first, projection.key_as_second),
    ):
        added = first + second[pairing.perm] + conv.bias.view(1, -1, 1, 1)
        torch.testing.assert_close(added, conv(stacked))


def test_each_mask_in_training_mode_moves_the_batch_norm_once(pairing: Pairing) -> None:
    block, features = make_block(), torch.rand(6, CHANNELS, 4, 4)
    for _ in range(2):
        block(features, pairing, (4, 4))
    assert block.value_norm.num_batches_tracked == 2
    block.eval()(features, pairing, (4, 4))
    assert block.value_norm.num_batches_tracked == 2


def test_dropout_empties_positions_of_the_value_map_in_training_only(pairing: Pairing) -> None:
    """A position without value says one half, and each value that stays grows by 1 / (1 - rate)."""
    block, features = make_block(value_dropout=0.5), torch.rand(6, CHANNELS, 8, 8)
    hidden = block.project(features).value_as_second
    with_dropout = block._value(hidden)
    share = (with_dropout == 0).float().mean()
    assert 0.35 < share < 0.65
    kept = with_dropout != 0
    block.value_dropout.eval()
    torch.testing.assert_close(with_dropout[kept], 2 * block._value(hidden)[kept])


def test_masks_are_float32_and_hardly_change_under_bfloat16_autocast(pairing: Pairing) -> None:
    block, features = make_block(), torch.rand(6, CHANNELS, 4, 4)
    exact = block(features, pairing, (16, 16))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mask = block(features, pairing, (16, 16))
    assert mask.dtype == torch.float32
    torch.testing.assert_close(mask, exact, rtol=0, atol=0.05)  # 8 bits, and a norm after them


def test_masks_at_extreme_features_are_finite_and_have_finite_gradients(pairing: Pairing) -> None:
    block = make_block()
    mask = block(1e4 * torch.randn(6, CHANNELS, 4, 4), pairing, (4, 4))
    mask.sum().backward()
    assert mask.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in block.parameters())


def test_features_of_another_width_are_refused(pairing: Pairing) -> None:
    with pytest.raises(ValueError, match="`features` must have 16 channels, got `8`"):
        make_block()(torch.rand(6, 8, 4, 4), pairing, (8, 8))


def test_an_image_that_is_no_multiple_of_the_feature_is_refused(pairing: Pairing) -> None:
    with pytest.raises(ValueError, match="multiple of the feature size"):
        make_block()(torch.rand(6, CHANNELS, 4, 4), pairing, (10, 10))


@pytest.mark.parametrize("k", [0.0, 0.25, 1.0, 10.0])
def test_rescaling_keeps_the_order_the_ends_and_the_symmetry(k: float) -> None:
    lam = torch.linspace(0, 1, 101)
    rescaled = rescale_lam(lam, k)
    torch.testing.assert_close(rescaled[[0, 50, 100]], torch.tensor([0.0, 0.5, 1.0]))
    torch.testing.assert_close(rescaled.flip(0), 1 - rescaled)
    assert (rescaled.diff() > -1e-6).all()


@pytest.mark.parametrize("k", [0.25, 1.0])
def test_rescaling_has_the_slopes_it_says(k: float) -> None:
    lam = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64, requires_grad=True)
    (slopes,) = torch.autograd.grad(rescale_lam(lam, k).sum(), lam)
    end, middle = (k + 1) / (k + 1 / 3), k / (k + 1 / 3)
    torch.testing.assert_close(slopes, torch.tensor([end, middle, end], dtype=torch.float64))


def test_elu_is_what_makes_the_value_nonlinear(pairing: Pairing) -> None:
    block = make_block()
    hidden = block.project(torch.rand(6, CHANNELS, 4, 4)).value_as_second
    expected = block.value_output(F.elu(block.value_norm(hidden)))
    torch.testing.assert_close(block._value(hidden), expected)
