"""What holds for every mixer of whole images."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from automix_cli.method import Mixture

Mix = Callable[[Tensor, np.random.Generator], Mixture]
SEEDS = range(6)


def mixtures(mixer: Mix, images: Tensor) -> list[Mixture]:
    return [mixer(images, np.random.default_rng(seed)) for seed in SEEDS]


def test_the_same_generator_gives_the_same_mixture(mixer: Mix, images: Tensor) -> None:
    for first, second in zip(mixtures(mixer, images), mixtures(mixer, images), strict=True):
        assert torch.equal(first.images, second.images)
        assert torch.equal(first.perm, second.perm)
        assert torch.equal(first.first_weight, second.first_weight)


def test_every_image_is_the_second_one_once(mixer: Mix, images: Tensor) -> None:
    for mixture in mixtures(mixer, images):
        assert sorted(mixture.perm.tolist()) == list(range(len(images)))


def test_weights_are_shares(mixer: Mix, images: Tensor) -> None:
    for mixture in mixtures(mixer, images):
        for weight in (mixture.first_weight, mixture.second_weight):
            assert weight.dtype == torch.float32
            assert weight.shape == (len(images),)
            assert ((weight >= 0) & (weight <= 1)).all()


def test_only_the_weights_of_snapmix_do_not_add_up(
    all_mixers: dict[str, Mix], images: Tensor
) -> None:
    def sums(mixer: Mix) -> Tensor:
        return torch.cat([m.first_weight + m.second_weight for m in mixtures(mixer, images)])

    close = {name: torch.allclose(sums(each), torch.ones(36)) for name, each in all_mixers.items()}
    assert [name for name, holds in close.items() if not holds] == ["snapmix"]


def test_a_mask_is_the_share_of_the_first_image_and_its_area_the_weight(
    mixer: Mix, images: Tensor
) -> None:
    for mixture in mixtures(mixer, images):
        if mixture.mask is None:
            continue
        assert mixture.mask.shape == (6, 1, 16, 16)
        for i, partner in enumerate(mixture.perm.tolist()):
            mask = mixture.mask[i, 0]
            assert ((mask >= 0) & (mask <= 1)).all()
            torch.testing.assert_close(mixture.first_weight[i], mask.mean())
            blended = images[i] * mask + images[partner] * (1 - mask)
            torch.testing.assert_close(mixture.images[i], blended)


def test_only_the_mixers_that_move_pixels_have_no_mask(
    all_mixers: dict[str, Mix], images: Tensor
) -> None:
    masks = {name: each(images, np.random.default_rng(0)).mask for name, each in all_mixers.items()}
    without = [name for name, mask in masks.items() if mask is None]
    assert without == ["resizemix", "snapmix", "puzzlemix"]


def test_no_pixel_leaves_the_range_of_the_batch(mixer: Mix, images: Tensor) -> None:
    for mixture in mixtures(mixer, images):
        assert mixture.images.shape == images.shape
        assert mixture.images.min() >= images.min() - 1e-6
        assert mixture.images.max() <= images.max() + 1e-6


def test_the_batch_is_not_overwritten(mixer: Mix, images: Tensor) -> None:
    before = images.clone()
    mixtures(mixer, images)
    assert torch.equal(images, before)


def test_a_single_image_is_mixed_with_itself(mixer: Mix, images: Tensor) -> None:
    for mixture in mixtures(mixer, images[:1]):
        assert mixture.perm.tolist() == [0]
        assert mixture.images.isfinite().all()
        if mixture.mask is not None:
            torch.testing.assert_close(mixture.images, images[:1])


def test_grey_images_are_mixed_like_coloured_ones(mixer: Mix, images: Tensor) -> None:
    grey = images[:, :1]
    for one, three in zip(
        mixtures(mixer, grey), mixtures(mixer, grey.repeat(1, 3, 1, 1)), strict=True
    ):
        torch.testing.assert_close(one.images.repeat(1, 3, 1, 1), three.images)
        torch.testing.assert_close(one.first_weight, three.first_weight)


def test_images_need_not_be_square(mixer: Mix) -> None:
    wide = torch.randn(5, 3, 12, 20)
    for mixture in mixtures(mixer, wide):
        assert mixture.images.shape == wide.shape
        assert mixture.images.isfinite().all()


def test_odd_sizes_are_mixed_or_refused_in_words(all_mixers: dict[str, Mix]) -> None:
    odd, need_a_grid = torch.randn(5, 3, 13, 9), ("attentivemix", "puzzlemix", "puzzlemix in place")
    for name, mixer in all_mixers.items():
        if name in need_a_grid:
            with pytest.raises(ValueError, match=r"image size must be a multiple.*got `13 x 9`"):
                mixer(odd, np.random.default_rng(0))
        else:
            assert mixer(odd, np.random.default_rng(0)).images.shape == odd.shape


def test_tiny_images_are_mixed(all_mixers: dict[str, Mix]) -> None:
    tiny = torch.randn(4, 1, 4, 4)
    for mixer in all_mixers.values():
        for mixture in mixtures(mixer, tiny):
            assert mixture.images.isfinite().all()


def test_half_precision_stays_half_and_weights_do_not(mixer: Mix, images: Tensor) -> None:
    mixture = mixer(images.bfloat16(), np.random.default_rng(0))
    assert mixture.images.dtype == torch.bfloat16
    assert mixture.first_weight.dtype == torch.float32


def test_nothing_waits_for_the_device(mixer: Mix, images: Tensor) -> None:
    """Tensors without values: whatever asks for one on the host fails."""
    nowhere = images.to("meta")
    mixture = mixer(nowhere, np.random.default_rng(1))
    assert mixture.images.device.type == "meta"
    assert mixture.first_weight.device.type == "meta"
    with pytest.raises(RuntimeError):
        bool(nowhere.sum() > 0)


FOLLOWS_LAM = ("mixup", "cutmix", "fmix", "saliencymix", "attentivemix", "snapmix", "puzzlemix")


@pytest.mark.parametrize("name", FOLLOWS_LAM)
def test_a_ratio_of_one_gives_the_first_image(
    name: str, all_mixers: dict[str, Mix], images: Tensor, fixed_ratio: type[np.random.Generator]
) -> None:
    mixture = all_mixers[name](images, fixed_ratio(1.0))
    torch.testing.assert_close(mixture.images, images)
    torch.testing.assert_close(mixture.first_weight, torch.ones(6))
    torch.testing.assert_close(mixture.second_weight, torch.zeros(6))


@pytest.mark.parametrize("name", ["mixup", "fmix", "puzzlemix in place"])
def test_a_ratio_of_zero_gives_the_second_image(
    name: str, all_mixers: dict[str, Mix], images: Tensor, fixed_ratio: type[np.random.Generator]
) -> None:
    mixture = all_mixers[name](images, fixed_ratio(0.0))
    torch.testing.assert_close(mixture.images, images[mixture.perm])
    torch.testing.assert_close(mixture.first_weight, torch.zeros(6))


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan")])
def test_a_concentration_that_is_not_positive_is_refused(alpha: float, images: Tensor) -> None:
    from automix_cli.method import mixup

    with pytest.raises(ValueError, match="`alpha` must be greater than 0, got"):
        mixup(images, np.random.default_rng(0), alpha=alpha)
