import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from automix_cli.method import (
    CoMixupOptions,
    JointMixture,
    comixup,
    cutmix,
    joint_cross_entropy,
    mixture_cross_entropy,
)
from automix_cli.method.mixers.joint import _separate_twins

SMALL = CoMixupOptions(group_size=4)


def colours(n: int, size: int = 16) -> Tensor:
    """Image i is 1 in channel i and 0 in the others: mixtures tell what they are made of."""
    return torch.eye(n)[:, :, None, None].expand(n, n, size, size).clone()


def salient(n: int, size: int = 16) -> Tensor:
    """Saliency with a few strong spots."""
    return F.avg_pool2d(torch.rand(n, size, size) ** 6, 5, 1, 2) ** 2


@pytest.mark.parametrize("n", [1, 2, 4, 7, 8])
def test_shares_are_what_is_shown_of_each_image(n: int) -> None:
    mixture = comixup(colours(n), np.random.default_rng(n), salient(n), options=SMALL)
    torch.testing.assert_close(mixture.images.mean(dim=(2, 3)), mixture.shares)
    torch.testing.assert_close(mixture.shares.sum(dim=1), torch.ones(n))


def test_every_cell_shows_one_image_or_halves_of_two() -> None:
    mixture = comixup(colours(8), np.random.default_rng(0), salient(8))
    assert set(mixture.images.unique().tolist()) == {0.0, 0.5, 1.0}
    assert torch.equal(mixture.images.sum(dim=1), torch.ones(8, 16, 16))
    cells = mixture.images.view(8, 8, 4, 4, 4, 4)
    assert torch.equal(cells, cells[:, :, :, :1, :, :1].expand_as(cells))


def test_images_keep_their_place() -> None:
    images, saliency = torch.randn(4, 3, 16, 16), salient(4)
    mixture = comixup(images, np.random.default_rng(0), saliency)
    made_of = comixup(colours(4), np.random.default_rng(0), saliency).images
    expected = torch.einsum("ojhw,jchw->ochw", made_of, images)
    torch.testing.assert_close(mixture.images, expected)


def test_images_are_mixed_inside_their_group_only() -> None:
    shares = comixup(colours(10), np.random.default_rng(0), salient(10), options=SMALL).shares
    groups = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
    assert (shares[groups[:, None] != groups] == 0).all()
    assert (shares > 0).sum() > 10


def test_mixtures_show_where_images_are_salient() -> None:
    saliency = torch.full((2, 16, 16), 1e-3)
    saliency[0, :, :8] = saliency[1, :, 8:] = 1
    alone = CoMixupOptions(diversity=0.0, prior_weight=0.0, rounds=1)
    mixture = comixup(colours(2), np.random.default_rng(0), saliency, options=alone)
    assert (mixture.images[:, 0, :, :8] == 1).all()
    assert (mixture.images[:, 1, :, 8:] == 1).all()


def test_diversity_makes_mixtures_different() -> None:
    def distinct(**constants: float) -> int:
        options = CoMixupOptions(**constants)
        saliency = salient(20)
        mixture = comixup(colours(20), np.random.default_rng(0), saliency, options=options)
        return len(mixture.images.unique(dim=0))

    assert distinct(diversity=0.0, rounds=1) == 1
    assert distinct() >= 18


def test_every_image_is_used_about_once_in_all() -> None:
    shares = comixup(colours(20), np.random.default_rng(0), salient(20)).shares
    used = shares.sum(dim=0)  # an image less to show than others is shown less, not left out
    assert used.min() > 0.4
    assert used.max() < 1.6


def objective(shown: Tensor, saliency: Tensor, options: CoMixupOptions) -> float:
    """The paper's, without prior, distance and tolerance, of cells that show one image each."""
    cells = F.adaptive_avg_pool2d(saliency, (4, 4))
    cells = cells / cells.sum(dim=(1, 2), keepdim=True)
    value = -(shown * cells).sum().item()
    for dim in (2, 3):
        value += options.label_smoothness / 16 * shown.diff(dim=dim).square().sum().item() / 2
    counts = shown.sum(dim=(2, 3))
    together = counts.sum(dim=0).square().sum() - counts.square().sum()
    return value + options.diversity / 16 * together.item()


def test_the_objective_is_lower_than_that_of_other_mixtures() -> None:
    options = CoMixupOptions(prior_weight=0.0, distance_weight=0.0, tolerance=0.0, rounds=1)
    saliency = salient(6)
    made_of = comixup(colours(6), np.random.default_rng(0), saliency, options=options).images
    shown = made_of[:, :, ::4, ::4]
    reached = objective(shown, saliency, options)
    for _ in range(100):
        anything = F.one_hot(torch.randint(6, (6, 4, 4)), 6).permute(0, 3, 1, 2).float()
        assert reached < objective(anything, saliency, options)
    for _ in range(200):  # the last mixture was chosen in view of all others
        other = shown.clone()
        row, column = torch.randint(4, (2,)).tolist()
        other[5, :, row, column] = torch.eye(6)[torch.randint(6, ())]
        assert objective(other, saliency, options) >= reached - 1e-5


def test_twins_pay_for_different_images() -> None:
    shows = torch.tensor([[[1, 1, 0, 1], [0, 1, 1, 0], [1, 1, 0, 1], [0, 0, 1, 0]]]).bool()
    expected = torch.zeros(1, 4, 4)
    expected[0, 0, 0] = expected[0, 2, 1] = 1
    assert torch.equal(_separate_twins(shows), expected)


def test_twins_of_a_single_image_pay_nothing() -> None:
    assert _separate_twins(torch.tensor([[[1, 0], [1, 0]]]).bool()).sum() == 0


def test_the_same_generator_gives_the_same_mixtures() -> None:
    images, saliency = torch.randn(6, 3, 16, 16), salient(6)
    first, second = (comixup(images, np.random.default_rng(3), saliency) for _ in range(2))
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.shares, second.shares)


@pytest.mark.parametrize("shape", [(5, 1, 8, 8), (5, 3, 12, 20)], ids=str)
def test_grey_and_oblong_images_are_mixed(shape: tuple[int, ...]) -> None:
    images = torch.randn(shape).bfloat16()
    mixture = comixup(images, np.random.default_rng(0), torch.rand(5, *shape[2:]))
    assert mixture.images.shape == shape
    assert mixture.images.dtype == torch.bfloat16
    assert mixture.shares.dtype == torch.float32


def test_nothing_waits_for_the_device() -> None:
    images, few = torch.randn(3, 3, 8, 8, device="meta"), CoMixupOptions(rounds=2, group_size=2)
    mixture = comixup(images, np.random.default_rng(0), images.mean(dim=1), options=few)
    assert mixture.images.device.type == mixture.shares.device.type == "meta"


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_that_of_a_mixture_of_pairs(labels: Tensor, smoothing: float) -> None:
    mixture = cutmix(torch.randn(6, 3, 8, 8), np.random.default_rng(1), alpha=1.0)
    shares = torch.diag(mixture.first_weight)
    shares[torch.arange(6), mixture.perm] += mixture.second_weight
    joint, logits = JointMixture(mixture.images, shares), torch.randn(6, 7).bfloat16()
    torch.testing.assert_close(
        joint_cross_entropy(logits, labels, joint.shares, smoothing),
        mixture_cross_entropy(logits, labels, mixture, smoothing),
    )


def test_sizes_and_concentrations_without_meaning_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="must be a multiple of `grid`, `4`, got `10 x 8`"):
        comixup(torch.randn(2, 1, 10, 8), rng, torch.rand(2, 10, 8))
    with pytest.raises(ValueError, match=r"`alpha` must be greater than 0, got `0\.0`"):
        comixup(torch.randn(2, 1, 8, 8), rng, torch.rand(2, 8, 8), alpha=0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid": 0}, "`grid` must be at least 1, got `0`"),
        ({"rounds": 0}, "`rounds` must be at least 1, got `0`"),
        ({"tolerance": -0.1}, "`tolerance` must be at least 0, got `-0.1`"),
        ({"distance_weight": 1.5}, r"`distance_weight` must be in \[0, 1\], got `1.5`"),
    ],
    ids=str,
)
def test_options_without_meaning_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CoMixupOptions(**options)
