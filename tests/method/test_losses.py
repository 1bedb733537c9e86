import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from automix_cli.method import Pairing, mask_area_loss, mixed_cross_entropy, one_hot_cross_entropy

REDUCTIONS = ["per_sample", "batch_mean"]


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(6, 7)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_mixed_cross_entropy_is_cross_entropy_with_soft_labels(
    logits: Tensor, labels: Tensor, pairing: Pairing, label_smoothing: float
) -> None:
    one_hot, lam = F.one_hot(labels, 7).float(), pairing.lam[:, None]
    soft = lam * one_hot + (1 - lam) * one_hot[pairing.perm]
    soft = (1 - label_smoothing) * soft + label_smoothing / 7
    expected = -(soft * logits.log_softmax(dim=1)).sum() / 6
    loss = mixed_cross_entropy(logits, labels, pairing, label_smoothing)
    torch.testing.assert_close(loss, expected)


def test_the_batch_with_a_ratio_per_pair_is_the_mean_of_its_pairs(
    logits: Tensor, labels: Tensor, pairing: Pairing
) -> None:
    lam, perm = pairing
    alone = [
        lam[i] * F.cross_entropy(logits[i : i + 1], labels[i : i + 1])
        + (1 - lam[i]) * F.cross_entropy(logits[i : i + 1], labels[perm[i]].view(1))
        for i in range(6)
    ]
    torch.testing.assert_close(
        mixed_cross_entropy(logits, labels, pairing), torch.stack(alone).mean()
    )


def test_with_lam_one_only_the_first_label_counts(
    logits: Tensor, labels: Tensor, pairing: Pairing
) -> None:
    certain = pairing._replace(lam=torch.ones(6))
    loss = mixed_cross_entropy(logits, labels, certain)
    torch.testing.assert_close(loss, F.cross_entropy(logits, labels))


def test_swapping_all_pairs_and_shares_changes_nothing(logits: Tensor, labels: Tensor) -> None:
    lam, swap = torch.rand(6), torch.tensor([1, 0, 3, 2, 5, 4])
    swapped = mixed_cross_entropy(logits, labels[swap], Pairing(1 - lam, swap))
    torch.testing.assert_close(swapped, mixed_cross_entropy(logits, labels, Pairing(lam, swap)))


def test_an_image_mixed_with_itself_keeps_its_loss() -> None:
    logits, labels = torch.randn(1, 7), torch.tensor([3])
    itself = Pairing(torch.tensor([0.3]), torch.tensor([0]))
    loss = mixed_cross_entropy(logits, labels, itself)
    torch.testing.assert_close(loss, one_hot_cross_entropy(logits, labels))


def test_losses_of_bfloat16_logits_are_computed_in_float32(
    logits: Tensor, labels: Tensor, pairing: Pairing
) -> None:
    half = logits.bfloat16()
    for loss, exact in (
        (one_hot_cross_entropy(half, labels), one_hot_cross_entropy(half.float(), labels)),
        (
            mixed_cross_entropy(half, labels, pairing),
            mixed_cross_entropy(half.float(), labels, pairing),
        ),
    ):
        assert loss.dtype == torch.float32
        assert torch.equal(loss, exact)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    ("deviation", "expected"), [(0, 0), (0.05, 0), (-0.05, 0), (0.3, 0.2), (-0.3, 0.2)]
)
def test_l1_forgives_up_to_the_margin_and_charges_the_rest(
    deviation: float, expected: float, reduction: str
) -> None:
    mask = torch.full((2, 1, 4, 4), 0.4 + deviation)
    loss = mask_area_loss(mask, torch.full((2,), 0.4), 0.1, mode="l1", reduction=reduction)
    torch.testing.assert_close(loss, torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_l2_charges_squares(reduction: str) -> None:
    loss = mask_area_loss(
        torch.full((2, 1, 4, 4), 0.7),
        torch.full((2,), 0.4),
        0.1,
        mode="l2+variance",
        reduction=reduction,
    )
    torch.testing.assert_close(loss, torch.tensor(0.3**2 - 0.1**2))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("mode", ["l1+variance", "l2+variance"])
def test_a_mask_half_zeros_half_ones_earns_one_half_by_its_variance(
    mode: str, reduction: str
) -> None:
    mask = torch.zeros(2, 1, 4, 4)
    mask[..., :2] = 1
    loss = mask_area_loss(mask, torch.full((2,), 0.5), 0.1, mode=mode, reduction=reduction)
    assert loss == -0.5


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("value", "expected"), [(0.0, 0), (1.0, 0), (0.5, 0.15), (0.1, 0)])
def test_sparsity_charges_undecided_pixels(value: float, expected: float, reduction: str) -> None:
    mask, lam = torch.full((2, 1, 4, 4), value), torch.full((2,), 0.9)
    loss = mask_area_loss(mask, lam, 0.1, mode="sparsity", reduction=reduction)
    torch.testing.assert_close(loss, torch.tensor(expected, dtype=torch.float32))


def test_masks_make_up_for_each_other_only_in_the_batch_mean() -> None:
    mask = torch.tensor([0.2, 0.8]).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    lam = torch.tensor([0.5, 0.5])
    assert mask_area_loss(mask, lam, 0.1, reduction="batch_mean") == 0
    torch.testing.assert_close(mask_area_loss(mask, lam, 0.1), torch.tensor(0.2))


def test_differences_between_masks_are_variance_only_in_the_batch_mean() -> None:
    mask = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    lam = torch.tensor([0.0, 1.0])
    for reduction, expected in (("per_sample", 0), ("batch_mean", -0.5)):
        assert mask_area_loss(mask, lam, 0.1, mode="l1+variance", reduction=reduction) == expected


@pytest.mark.parametrize("mode", ["l1", "l1+variance", "l2+variance", "sparsity"])
def test_per_sample_is_the_mean_over_masks_each_with_its_own_lam(mode: str) -> None:
    mask, lam = torch.rand(5, 1, 4, 4), torch.rand(5)
    alone = [mask_area_loss(mask[i : i + 1], lam[i : i + 1], 0.02, mode=mode) for i in range(5)]
    torch.testing.assert_close(
        mask_area_loss(mask, lam, 0.02, mode=mode), torch.stack(alone).mean()
    )


@pytest.mark.parametrize("mode", ["l1", "l1+variance", "l2+variance", "sparsity"])
def test_both_reductions_agree_for_a_batch_of_one(mode: str) -> None:
    mask, lam = torch.rand(1, 1, 4, 4), torch.rand(1)
    losses = [mask_area_loss(mask, lam, 0.02, mode=mode, reduction=each) for each in REDUCTIONS]
    torch.testing.assert_close(*losses)


@pytest.mark.parametrize("mode", ["l1", "l1+variance", "l2+variance", "sparsity"])
def test_batch_mean_is_the_formula_of_the_reference_in_the_second_share(mode: str) -> None:
    mask, lam, margin = torch.rand(5, 1, 4, 4), 0.2, 0.02
    second = 1 - mask
    mean, zero = second.mean(), torch.tensor(0.0)
    expected = {
        "l1": torch.maximum((1 - mean - lam).abs() - margin, zero),
        "l1+variance": torch.maximum((1 - mean - lam).abs() - margin, zero)
        - 2 * ((second - mean) ** 2).mean(),
        "l2+variance": torch.maximum((1 - mean - lam) ** 2 - margin**2, zero)
        - 2 * ((second - mean) ** 2).mean(),
        "sparsity": torch.maximum((second * (1 - second)).mean() - margin, zero),
    }
    loss = mask_area_loss(mask, torch.full((5,), lam), margin, mode=mode, reduction="batch_mean")
    torch.testing.assert_close(loss, expected[mode])
