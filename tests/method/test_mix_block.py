import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from automix_cli.method import MixBlock, MixBlockOptions, Pairing, mix_block
from automix_cli.method.mix_block import similarity

CHANNELS = 16


def make_block(scale: float = 30, channels: int = CHANNELS, **options: object) -> MixBlock:
    """A mix block with weights so large that its masks vary."""
    block = MixBlock(channels, MixBlockOptions(**options))
    with torch.no_grad():
        for conv in (block.query, block.value):
            conv.weight.mul_(scale)
            if conv.bias is not None:
                conv.bias.normal_()
    return block


def plain_mask(block: MixBlock, first: Tensor, second: Tensor, lam: float) -> Tensor:
    """The mask of one pair, with loops and concatenation: the formula as one would write it first.

    Args are c x h x w features; the result is h x w, not upsampled.
    """
    c, h, w = first.shape
    first, second = first.flatten(1).T, second.flatten(1).T  # p x c
    if block.options.lam_embedding == "concat":
        first = torch.cat([first, torch.full((h * w, 1), lam)], dim=1)
        second = torch.cat([second, torch.full((h * w, 1), 1 - lam)], dim=1)

    def project(features: Tensor) -> Tensor:
        projected = features @ block.query.weight.flatten(1).T
        if block.query.bias is not None:
            projected = projected + block.query.bias
        if block.options.projection_norm == "layer":
            mean = projected.mean(dim=1, keepdim=True)
            variance = ((projected - mean) ** 2).mean(dim=1, keepdim=True)
            projected = (projected - mean) / (variance + 1e-6).sqrt()
        return projected

    queries, keys = project(first), project(second)
    values = second @ block.value.weight.flatten(1).T + block.value.bias
    logits = torch.zeros(h * w)
    for position in range(h * w):
        scores = keys @ queries[position] / math.sqrt(max(c // block.options.reduction, 1))
        weights = scores.exp() / scores.exp().sum()
        logits[position] = (weights * values[:, 0]).sum()
    return (1 - torch.sigmoid(logits)).view(h, w)


@pytest.mark.parametrize("lam_embedding", ["concat", "none"])
@pytest.mark.parametrize("projection_norm", ["none", "layer"])
@pytest.mark.parametrize("reduction", [2, 4])
def test_each_pair_gets_the_mask_of_the_plain_formula_with_its_own_lam(
    pairing: Pairing, lam_embedding: str, projection_norm: str, reduction: int
) -> None:
    block = make_block(
        lam_embedding=lam_embedding, projection_norm=projection_norm, reduction=reduction
    )
    features = torch.randn(6, CHANNELS, 4, 3)
    masks = block(features, pairing, (4, 3))
    assert masks.std() > 0.02  # or the comparison would be easy
    for i, (lam, j) in enumerate(zip(*pairing, strict=True)):
        expected = plain_mask(block, features[i], features[j], float(lam))
        torch.testing.assert_close(masks[i, 0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_the_mask_has_image_size_and_stays_in_range(pairing: Pairing, upsampling: str) -> None:
    mask = make_block()(10 * torch.randn(6, CHANNELS, 4, 4), pairing, (16, 32), upsampling)
    assert mask.shape == (6, 1, 16, 32)
    assert mask.min() >= 0
    assert mask.max() <= 1


@pytest.mark.parametrize(("channels", "feature_size", "image_size"), [(384, 8, 32), (768, 7, 224)])
def test_features_of_convnext_and_swin_give_masks_of_image_size(
    channels: int, feature_size: int, image_size: int
) -> None:
    features = torch.rand(2, channels, feature_size, feature_size)
    pairing = Pairing(torch.full((2,), 0.3), torch.tensor([1, 0]))
    block = MixBlock(channels, MixBlockOptions())
    mask = block(features, pairing, (image_size, image_size))
    assert mask.shape == (2, 1, image_size, image_size)


def test_a_single_image_is_mixed_with_itself() -> None:
    pairing = Pairing(torch.tensor([0.3]), torch.tensor([0]))
    assert make_block()(torch.rand(1, CHANNELS, 4, 4), pairing, (8, 8)).shape == (1, 1, 8, 8)


def test_with_zero_weights_the_mask_is_one_half_everywhere(pairing: Pairing) -> None:
    block = MixBlock(CHANNELS, MixBlockOptions())
    for parameter in block.parameters():
        torch.nn.init.zeros_(parameter)
    assert (block(torch.rand(6, CHANNELS, 4, 4), pairing, (8, 8)) == 0.5).all()


def test_the_first_masks_are_nearly_constant_and_near_one_half() -> None:
    pairing = Pairing(torch.tensor([0.3, 0.3]), torch.tensor([1, 0]))
    for _ in range(200):
        block = MixBlock(256, MixBlockOptions(lam_embedding="none"))
        mask = block(torch.randn(2, 256, 8, 8).relu(), pairing, (8, 8))
        assert mask.std(dim=(2, 3)).max() < 1e-3
        assert (mask - 0.5).abs().max() < 0.15


@pytest.mark.parametrize(
    ("channels", "lam_embedding", "expected"),
    [
        (256, "none", 33_153),
        (1024, "none", 525_825),
        (256, "concat", 33_282),
        (1024, "concat", 526_338),
        (384, "concat", 74_498),
        (320, "concat", 51_842),
        (768, "concat", 296_450),
    ],
    ids=["cifar-r18", "cifar-rx50", "r18", "r50", "deit-s", "pvt-t", "swin-t"],
)
def test_the_number_of_parameters_is_the_published_one(
    channels: int, lam_embedding: str, expected: int
) -> None:
    block = MixBlock(channels, MixBlockOptions(lam_embedding=lam_embedding))
    assert sum(parameter.numel() for parameter in block.parameters()) == expected


def test_without_embedding_the_mask_does_not_depend_on_lam(pairing: Pairing) -> None:
    features, other = torch.rand(6, CHANNELS, 4, 4), pairing._replace(lam=1 - pairing.lam)
    for lam_embedding, is_same in (("none", True), ("concat", False)):
        block = make_block(lam_embedding=lam_embedding)
        masks = [block(features, each, (4, 4)) for each in (pairing, other)]
        assert torch.equal(*masks) == is_same


def test_swapping_first_and_second_image_transposes_the_similarity() -> None:
    first, second = torch.rand(2, 8, 5), torch.rand(2, 8, 5)
    ours, theirs = similarity(first, second), similarity(second, first)
    torch.testing.assert_close(ours, theirs.mT)


def test_a_mask_from_equal_values_does_not_depend_on_the_attention(pairing: Pairing) -> None:
    """The rows of the attention sum to 1, so a constant value comes through unchanged."""
    block = make_block(lam_embedding="none")
    torch.nn.init.zeros_(block.value.weight)
    mask = block(10 * torch.rand(6, CHANNELS, 4, 4), pairing, (4, 4))
    torch.testing.assert_close(mask, (1 - block.value.bias.sigmoid()).expand_as(mask))


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_squashing_before_upsampling_only_matters_for_bilinear(
    pairing: Pairing, upsampling: str
) -> None:
    features, after = torch.rand(6, CHANNELS, 4, 4), make_block()
    before = MixBlock(CHANNELS, MixBlockOptions(sigmoid_after_upsampling=False))
    before.load_state_dict(after.state_dict())
    masks = [block(features, pairing, (16, 16), upsampling) for block in (after, before)]
    assert torch.equal(*masks) == (upsampling == "nearest")


def test_batch_norm_normalises_queries_and_keys_over_the_batch(pairing: Pairing) -> None:
    block = make_block(projection_norm="batch")
    block(torch.rand(6, CHANNELS, 4, 4), pairing, (4, 4))
    assert block.query.bias is None
    assert block.query_norm.num_batches_tracked == 2  # the queries, then the keys


@pytest.mark.parametrize("projection_norm", ["none", "layer", "batch"])
def test_one_projection_serves_both_pairings(pairing: Pairing, projection_norm: str) -> None:
    block = make_block(projection_norm=projection_norm)
    features, other = torch.rand(6, CHANNELS, 4, 4), Pairing(1 - pairing.lam, pairing.perm.flip(0))
    projection = block.project(features)
    for each in (pairing, other):
        shared = block.mask(projection, each, (8, 8))
        assert torch.equal(shared, block(features, each, (8, 8)))


@pytest.mark.parametrize("lam_embedding", ["concat", "none"])
def test_masks_are_float32_and_hardly_change_under_bfloat16_autocast(
    pairing: Pairing, lam_embedding: str
) -> None:
    block, features = make_block(lam_embedding=lam_embedding), torch.rand(6, CHANNELS, 4, 4)
    exact = block(features, pairing, (16, 16))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mask = block(features, pairing, (16, 16))
    assert mask.dtype == torch.float32
    torch.testing.assert_close(mask, exact, rtol=0, atol=0.02)  # bfloat16 has 8 bits


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


def test_weights_start_small_and_biases_at_zero() -> None:
    block = MixBlock(1024, MixBlockOptions())
    assert block.query.weight.std().item() == pytest.approx(0.01, rel=0.01)
    assert block.query.weight.mean().abs() < 1e-4
    assert not block.query.bias.any()
    assert not block.value.bias.any()


def test_projecting_is_an_ordinary_convolution_without_the_lam_channel() -> None:
    block, features = make_block(lam_embedding="none"), torch.rand(2, CHANNELS, 4, 4)
    projection = block.project(features)
    torch.testing.assert_close(projection.query, block.query(features))
    torch.testing.assert_close(
        projection.value, F.conv2d(features, block.value.weight, block.value.bias)
    )


def maps(channels: int, seed: int) -> Tensor:
    numbers = torch.Generator().manual_seed(seed)
    return torch.randn(5, channels, 3, 3, generator=numbers).requires_grad_()


@pytest.mark.parametrize("images_at_once", [1, 2, 4])
def test_attention_in_groups_of_images_is_the_same_with_the_same_gradient(
    monkeypatch: pytest.MonkeyPatch, images_at_once: int
) -> None:
    inputs = [maps(channels, seed) for seed, channels in enumerate((4, 4, 1))]
    whole = mix_block.collect(*inputs)
    wanted = torch.autograd.grad(whole.square().sum(), inputs)
    monkeypatch.setattr(mix_block, "LARGEST_ATTENTION", images_at_once * 9**2)
    grouped = mix_block.collect(*inputs)
    torch.testing.assert_close(grouped, whole, rtol=1e-6, atol=1e-7)
    for got, gradient in zip(
        torch.autograd.grad(grouped.square().sum(), inputs), wanted, strict=True
    ):
        torch.testing.assert_close(got, gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_mix_block_learns_from_64_images_with_a_56x56_feature_in_4_gb() -> None:
    """A mask of the whole mix block, and its gradient: all weights at once would be 2.5 GB."""
    program = """
import torch
from automix_cli.engine.runtime import peak_memory_bytes
from automix_cli.method import MixBlock, MixBlockOptions, Pairing
lam, perm = torch.full((64,), 0.3), torch.arange(63, -1, -1)
block, pairing = MixBlock(64, MixBlockOptions()), Pairing(lam, perm)
projection = block.project(torch.randn(64, 64, 56, 56))
mask = block.mask(projection, pairing, (224, 224))
mask.square().sum().backward()
assert all(each.grad.abs().sum() > 0 for each in block.parameters())
print(peak_memory_bytes(torch.device("cpu")))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert int(done.stdout) < 4e9
