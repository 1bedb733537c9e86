import math

import pytest
import torch
from torch import Tensor

from automix_cli.method import AdaptiveMask, AdaptiveMaskOptions, Combination

CHANNELS = 16


@pytest.fixture(params=[2, 3, 4])
def combination(request: pytest.FixtureRequest) -> Combination:
    """Six mixtures, each with its own shares."""
    sources = torch.stack([torch.randperm(6) for _ in range(request.param)], dim=1)
    return Combination(torch.rand(6, request.param).softmax(dim=1), sources)


def make_block(scale: float = 30, **options: object) -> AdaptiveMask:
    """A mix block with weights so large that its masks vary."""
    block = AdaptiveMask(CHANNELS, AdaptiveMaskOptions(**options))
    with torch.no_grad():
        for conv in (block.query, block.key, block.value):
            conv.weight.mul_(scale)
            if conv.bias is not None:
                conv.bias.normal_()
    return block


def plain_masks(block: AdaptiveMask, features: list[Tensor], lam: list[float]) -> Tensor:
    """The masks of one mixture, with loops and concatenation.

    Features are c x h x w each; the result is s x h x w, not upsampled.
    """
    c, h, w = features[0].shape

    def project(conv: torch.nn.Conv2d, image: int) -> Tensor:
        inputs = features[image].flatten(1).T  # p x c
        if block.options.lam_embedding == "concat":
            inputs = torch.cat([inputs, torch.full((h * w, 1), lam[image])], dim=1)
        projected = inputs @ conv.weight.flatten(1).T
        if conv.bias is not None:
            projected = projected + conv.bias
        if conv is not block.value and block.options.projection_norm == "layer":
            mean = projected.mean(dim=1, keepdim=True)
            variance = ((projected - mean) ** 2).mean(dim=1, keepdim=True)
            projected = (projected - mean) / (variance + 1e-6).sqrt()
        return projected

    logits = []
    for image in range(len(features)):
        query = project(block.query, image).clamp(min=0)
        scores = torch.zeros(h * w, h * w)
        for other in range(len(features)):
            if other != image:
                scores += query @ project(block.key, other).clamp(min=0).T
        scores /= math.sqrt(max(c // block.options.reduction, 1))
        weights = scores.exp() / scores.exp().sum(dim=1, keepdim=True)
        logits.append((weights @ project(block.value, image)).view(h, w))
    exponentials = torch.stack(logits).exp()
    return exponentials / exponentials.sum(dim=0)


@pytest.mark.parametrize("lam_embedding", ["concat", "none"])
@pytest.mark.parametrize("projection_norm", ["none", "layer"])
@pytest.mark.parametrize("reduction", [2, 4])
def test_each_mixture_gets_the_masks_of_the_plain_formula_with_its_own_shares(
    combination: Combination, lam_embedding: str, projection_norm: str, reduction: int
) -> None:
    block = make_block(
        lam_embedding=lam_embedding, projection_norm=projection_norm, reduction=reduction
    )
    features = torch.randn(6, CHANNELS, 4, 3)
    masks = block(features, combination, (4, 3))
    assert masks.std() > 0.02  # or the comparison would be easy
    for mask, lam, sources in zip(masks, *combination, strict=True):
        expected = plain_masks(block, [features[j] for j in sources], lam.tolist())
        torch.testing.assert_close(mask, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_masks_have_image_size_and_add_up_to_one(combination: Combination, upsampling: str) -> None:
    features = 10 * torch.randn(6, CHANNELS, 4, 4)
    masks = make_block()(features, combination, (16, 32), upsampling)
    assert masks.shape == (6, combination.sources.shape[1], 16, 32)
    assert masks.min() >= 0
    torch.testing.assert_close(masks.sum(dim=1), torch.ones(6, 16, 32))


def test_the_order_of_the_images_in_a_mixture_does_not_matter(combination: Combination) -> None:
    block, features = make_block(), torch.rand(6, CHANNELS, 4, 4)
    turned = Combination(combination.lam.flip(1), combination.sources.flip(1))
    masks, of_turned = (block(features, each, (8, 8)) for each in (combination, turned))
    torch.testing.assert_close(of_turned, masks.flip(1))


@pytest.mark.parametrize("num_images", [2, 3])
def test_an_image_mixed_with_itself_is_shared_out_evenly(num_images: int) -> None:
    shares = torch.full((1, num_images), 1 / num_images)
    alone = Combination(shares, torch.zeros(1, num_images, dtype=torch.int64))
    masks = make_block()(torch.rand(1, CHANNELS, 4, 4), alone, (8, 8))
    torch.testing.assert_close(masks, torch.full((1, num_images, 8, 8), 1 / num_images))


@pytest.mark.parametrize(
    ("channels", "lam_embedding", "expected"),
    [(256, "none", 2 * 32_896 + 257), (256, "concat", 2 * 33_024 + 258)],
    ids=["cifar-r18", "r18"],
)
def test_the_number_of_parameters_is_that_of_two_projections_and_a_value(
    channels: int, lam_embedding: str, expected: int
) -> None:
    block = AdaptiveMask(channels, AdaptiveMaskOptions(lam_embedding=lam_embedding))
    assert sum(parameter.numel() for parameter in block.parameters()) == expected


def test_the_first_masks_are_nearly_even(combination: Combination) -> None:
    block = AdaptiveMask(256, AdaptiveMaskOptions())
    masks = block(torch.randn(6, 256, 8, 8).relu(), combination, (8, 8))
    assert (masks - 1 / masks.shape[1]).abs().max() < 0.15


def test_without_embedding_masks_do_not_depend_on_the_shares(combination: Combination) -> None:
    features, other = torch.rand(6, CHANNELS, 4, 4), combination._replace(lam=1 - combination.lam)
    for lam_embedding, is_same in (("none", True), ("concat", False)):
        block = make_block(lam_embedding=lam_embedding)
        masks = [block(features, each, (4, 4)) for each in (combination, other)]
        assert torch.equal(*masks) == is_same


@pytest.mark.parametrize("projection_norm", ["none", "layer", "batch"])
def test_one_projection_serves_both_combinations(
    combination: Combination, projection_norm: str
) -> None:
    block, features = make_block(projection_norm=projection_norm), torch.rand(6, CHANNELS, 4, 4)
    projection = block.project(features)
    for each in (combination, combination._replace(sources=combination.sources.flip(0))):
        shared = block.masks(projection, each, (8, 8))
        assert torch.equal(shared, block(features, each, (8, 8)))


def test_batch_norm_normalises_queries_and_keys_of_each_place(combination: Combination) -> None:
    block = make_block(projection_norm="batch")
    block(torch.rand(6, CHANNELS, 4, 4), combination, (4, 4))
    assert (block.query.bias, block.key.bias) == (None, None)
    num_images = combination.sources.shape[1]
    assert block.query_norm.num_batches_tracked == num_images
    assert block.key_norm.num_batches_tracked == num_images


def test_masks_are_float32_and_hardly_change_under_bfloat16_autocast(
    combination: Combination,
) -> None:
    block, features = make_block(), torch.rand(6, CHANNELS, 4, 4)
    exact = block(features, combination, (16, 16))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        masks = block(features, combination, (16, 16))
    assert masks.dtype == torch.float32
    torch.testing.assert_close(masks, exact, rtol=0, atol=0.02)  # bfloat16 has 8 bits


def test_masks_at_extreme_features_are_finite_and_have_finite_gradients(
    combination: Combination,
) -> None:
    block = make_block()
    masks = block(1e4 * torch.randn(6, CHANNELS, 4, 4), combination, (4, 4))
    masks[:, 0].sum().backward()
    assert masks.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in block.parameters())


def test_features_of_another_width_are_refused(combination: Combination) -> None:
    with pytest.raises(ValueError, match="`features` must have 16 channels, got `8`"):
        make_block()(torch.rand(6, 8, 4, 4), combination, (8, 8))


def test_an_image_that_is_no_multiple_of_the_feature_is_refused(combination: Combination) -> None:
    with pytest.raises(ValueError, match="multiple of the feature size"):
        make_block()(torch.rand(6, CHANNELS, 4, 4), combination, (10, 10))
