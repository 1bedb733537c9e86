"""What AdAutoMix adds up, from which masks, and which loss reaches which part."""

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from automix_cli.method import (
    AdAutoMix,
    AdAutoMixDraws,
    AdAutoMixLosses,
    AdAutoMixOptions,
    Combination,
    Pairing,
    sample_adautomix_draws,
)

MakeAdAutoMix = Callable[..., AdAutoMix]
BLOCK = {"mix_block.query", "mix_block.key", "mix_block.value"}


def draws_of(num_images: int, n: int = 6, *, adversarial: bool = True) -> AdAutoMixDraws:
    """Two combinations with shares of their own for each mixture, none of them extreme."""

    def combination() -> Combination:
        sources = torch.stack([torch.randperm(n) for _ in range(num_images)], dim=1)
        return Combination(torch.rand(n, num_images).softmax(dim=1), sources)

    return AdAutoMixDraws(combination(), combination(), is_adversarial=adversarial)


@pytest.fixture(params=[2, 3])
def draws(request: pytest.FixtureRequest) -> AdAutoMixDraws:
    """An adversarial step with pairs, and one with triples."""
    return draws_of(request.param)


def plain_mixed_loss(
    network: nn.Module, images: Tensor, labels: Tensor, masks: Tensor, combination: Combination
) -> tuple[Tensor, Tensor]:
    """Predictions for the mixtures and their loss, mixture by mixture and image by image."""
    mixtures = torch.zeros_like(images)
    for i, sources in enumerate(combination.sources.tolist()):
        for j, source in enumerate(sources):
            mixtures[i] += masks[i, j] * images[source]
    logits = network.head_mixed(network.embed(mixtures))
    loss = torch.zeros(())
    for i, sources in enumerate(combination.sources.tolist()):
        for j, source in enumerate(sources):
            loss = loss - combination.lam[i, j] * logits[i].log_softmax(0)[labels[source]]
    return logits, loss / len(images)


def test_each_network_and_head_judges_what_it_should(
    make_adautomix: MakeAdAutoMix, images: Tensor, labels: Tensor, draws: AdAutoMixDraws
) -> None:
    """All losses, written out with loops."""
    adautomix = make_adautomix().eval()
    masks, losses = adautomix.masks(images, draws), adautomix(images, labels, draws)
    classifier, judge = adautomix.classifier, adautomix.momentum_classifier
    torch.testing.assert_close(losses.one_hot, F.cross_entropy(classifier(images), labels))
    _, mixed = plain_mixed_loss(
        classifier, images, labels, masks.for_classifier, draws.for_classifier
    )
    torch.testing.assert_close(losses.mixed, mixed)

    logits, judged = plain_mixed_loss(
        judge, images, labels, masks.for_mix_block, draws.for_mix_block
    )
    torch.testing.assert_close(losses.mix_block, judged)
    similarity = torch.zeros(())
    for i, (lam, sources) in enumerate(zip(*draws.for_mix_block, strict=True)):
        for share, source in zip(lam, sources, strict=True):
            clean = judge.head_mixed(judge.embed(images[source][None]))[0]
            cosine = clean @ logits[i] / (clean.norm() * logits[i].norm())
            similarity = similarity + share * cosine / len(images)
    torch.testing.assert_close(losses.similarity, similarity)

    if draws.for_classifier.sources.shape[1] == 2:
        assert losses.mixup == 0
    else:
        constant = draws.for_classifier.lam[..., None, None]
        _, mixup = plain_mixed_loss(classifier, images, labels, constant, draws.for_classifier)
        torch.testing.assert_close(losses.mixup, mixup)


@pytest.mark.parametrize("adversarial", [True, False])
@pytest.mark.parametrize(("num_images", "mixup_share"), [(2, 0.0), (3, 0.4)])
def test_the_total_is_the_weighted_sum_with_the_objective_of_the_step(
    make_adautomix: MakeAdAutoMix,
    images: Tensor,
    labels: Tensor,
    adversarial: bool,
    num_images: int,
    mixup_share: float,
) -> None:
    adautomix = make_adautomix(
        mixup_share=0.4,
        adversarial_share=0.3,
        one_hot_weight=2.0,
        mixed_weight=3.0,
        mix_block_weight=5.0,
    )
    losses = adautomix(images, labels, draws_of(num_images, adversarial=adversarial))
    objective = losses.mix_block
    if adversarial:
        objective = -0.3 * losses.mix_block + 0.7 * losses.similarity
    unmasked = (1 - mixup_share) * losses.one_hot + mixup_share * losses.mixup
    torch.testing.assert_close(losses.total, 2 * unmasked + 3 * losses.mixed + 5 * objective)


def test_similarities_of_one_clean_pass_are_those_of_a_pass_for_each_place(
    make_adautomix: MakeAdAutoMix, images: Tensor, labels: Tensor, draws: AdAutoMixDraws
) -> None:
    """In training mode, with the statistics of each batch: the same batch in another order."""
    adautomix = make_adautomix()
    judge = copy.deepcopy(adautomix.momentum_classifier)
    masks, losses = adautomix.masks(images, draws), adautomix(images, labels, draws)
    logits, _ = plain_mixed_loss(judge, images, labels, masks.for_mix_block, draws.for_mix_block)
    similarity = torch.zeros(())
    for lam, source in zip(*(each.unbind(1) for each in draws.for_mix_block), strict=True):
        clean = judge.head_mixed(judge.embed(images[source]))
        similarity = similarity + (lam * F.cosine_similarity(logits, clean)).mean()
    torch.testing.assert_close(losses.similarity, similarity)


def reached(adautomix: AdAutoMix) -> set[str]:
    """Parts of the module in which some parameter has a gradient that is not zero."""
    return {
        ".".join(name.split(".")[:2])
        for name, parameter in adautomix.named_parameters()
        if parameter.grad is not None and parameter.grad.any()
    }


@pytest.mark.parametrize(
    ("loss", "parts"),
    [
        ("one_hot", {"classifier.backbone", "classifier.head_one_hot"}),
        ("mixup", {"classifier.backbone", "classifier.head_mixed"}),
        ("mixed", {"classifier.backbone", "classifier.head_mixed"}),
        ("mix_block", BLOCK),
        ("similarity", BLOCK),
    ],
)
def test_each_loss_reaches_its_own_parts_only(
    make_adautomix: MakeAdAutoMix, images: Tensor, labels: Tensor, loss: str, parts: set[str]
) -> None:
    adautomix = make_adautomix()
    getattr(adautomix(images, labels, draws_of(3)), loss).backward()
    assert reached(adautomix) == parts


def test_an_adversarial_step_makes_the_mixtures_harder_and_the_next_one_easier(
    make_adautomix: MakeAdAutoMix, images: Tensor, labels: Tensor, draws: AdAutoMixDraws
) -> None:
    for is_adversarial in (True, False):
        adautomix = make_adautomix(adversarial_share=1.0)
        step = draws._replace(is_adversarial=is_adversarial)
        before = adautomix(images, labels, step)
        before.total.backward()
        with torch.no_grad():
            for parameter in adautomix.mix_block.parameters():
                parameter -= 1e-3 * parameter.grad
        after = adautomix(images, labels, step).mix_block
        assert (after > before.mix_block) == is_adversarial


def test_a_skipped_step_still_gives_the_mix_block_a_gradient_of_zeros(
    make_adautomix: MakeAdAutoMix, images: Tensor, labels: Tensor, draws: AdAutoMixDraws
) -> None:
    adautomix = make_adautomix()
    losses = adautomix(images, labels, draws._replace(skip_mix_block=True))
    losses.total.backward()
    assert losses.mix_block == losses.similarity == 0
    assert adautomix.momentum_classifier.backbone.bn3.num_batches_tracked == 1
    assert all((p.grad == 0).all() for p in adautomix.mix_block.parameters())
    assert reached(adautomix) >= {"classifier.backbone"}


def with_first_share(share: float) -> AdAutoMixDraws:
    draws = draws_of(3)
    lam = torch.tensor([share, (1 - share) / 2, (1 - share) / 2]).expand(6, 3)
    return draws._replace(for_classifier=draws.for_classifier._replace(lam=lam))


@pytest.mark.parametrize(
    ("test", "share", "is_learned"),
    [
        ("corrected", 0.4, True),
        ("corrected", 0.02, False),
        ("reference", 0.4, False),
        ("reference", 0.98, True),
    ],
)
def test_the_classifier_gets_learned_masks_unless_the_margin_test_says_otherwise(
    make_adautomix: MakeAdAutoMix, images: Tensor, test: str, share: float, is_learned: bool
) -> None:
    draws = with_first_share(share)
    masks = make_adautomix(lam_margin_test=test).masks(images, draws)
    is_constant = torch.equal(
        masks.for_classifier, draws.for_classifier.lam[..., None, None].expand(6, 3, 16, 16)
    )
    assert is_constant != is_learned
    assert masks.for_mix_block.std(dim=(2, 3)).min() > 0
    assert masks.for_mix_block.requires_grad
    assert not masks.for_classifier.requires_grad


def test_each_mixture_of_two_is_that_of_the_pairing(
    make_adautomix: MakeAdAutoMix, images: Tensor, labels: Tensor, pairing: Pairing
) -> None:
    """Swapping the two images of all pairs swaps their masks, and changes no loss."""
    adautomix = make_adautomix().eval()
    pairs = Combination.of_pairs(pairing)
    turned = Combination(pairs.lam.flip(1), pairs.sources.flip(1))
    ours, theirs = (
        adautomix(images, labels, AdAutoMixDraws(each, each, is_adversarial=True))
        for each in (pairs, turned)
    )
    torch.testing.assert_close(ours, theirs)


def test_a_mixture_of_an_image_with_itself_is_like_it(
    make_adautomix: MakeAdAutoMix, images: Tensor, labels: Tensor
) -> None:
    adautomix = make_adautomix().eval()
    sources = torch.arange(6)[:, None].expand(6, 3)
    alone = Combination(torch.full((6, 3), 1 / 3), sources)
    losses = adautomix(images, labels, AdAutoMixDraws(alone, alone, is_adversarial=True))
    torch.testing.assert_close(losses.similarity, torch.ones(()))
    torch.testing.assert_close(losses.mixed, losses.mixup)


@pytest.mark.parametrize("num_images", [2, 3])
def test_a_batch_of_one_trains(
    make_adautomix: MakeAdAutoMix, images: Tensor, num_images: int
) -> None:
    adautomix = make_adautomix(num_images=num_images)
    draws = sample_adautomix_draws(np.random.default_rng(0), 1, adautomix.options, step=0)
    losses: AdAutoMixLosses = adautomix(images[:1], torch.tensor([3]), draws)
    losses.total.backward()
    assert all(loss.isfinite() for loss in losses)


def test_a_nan_is_not_swallowed(
    make_adautomix: MakeAdAutoMix, images: Tensor, labels: Tensor, draws: AdAutoMixDraws
) -> None:
    images[0] = math.nan
    assert make_adautomix()(images, labels, draws).total.isnan()


def test_bfloat16_autocast_gives_float32_losses(
    make_adautomix: MakeAdAutoMix, images: Tensor, labels: Tensor, draws: AdAutoMixDraws
) -> None:
    adautomix = make_adautomix()
    exact = copy.deepcopy(adautomix)(images, labels, draws)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = adautomix(images, labels, draws)
    losses.total.backward()
    for loss, wanted in zip(losses, exact, strict=True):
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, wanted, rtol=0.02, atol=0.02)  # bfloat16 has 8 bits


@pytest.mark.parametrize("num_images", [2, 3])
@pytest.mark.parametrize("test", ["corrected", "reference"])
def test_a_step_never_asks_for_the_value_of_a_tensor(
    make_adautomix: MakeAdAutoMix, num_images: int, test: str
) -> None:
    """Fake tensors have shapes and no values, so waiting for one raises."""
    with FakeTensorMode():
        adautomix = make_adautomix(projection_norm="batch", lam_margin_test=test)
        lam, sources = torch.rand(6, num_images), torch.zeros(6, num_images, dtype=torch.int64)
        both = Combination(lam, sources)
        images, labels = torch.randn(6, 3, 16, 16), torch.zeros(6, dtype=torch.int64)
        draws = AdAutoMixDraws(both, both, is_adversarial=True)
        adautomix(images, labels, draws).total.backward()
        adautomix.update_momentum(0.9)
        with pytest.raises(DataDependentOutputException):  # the trap is armed
            bool(lam[0, 0] > 0)


def test_the_momentum_classifier_starts_as_a_copy_and_follows(
    make_adautomix: MakeAdAutoMix, images: Tensor, labels: Tensor, draws: AdAutoMixDraws
) -> None:
    adautomix = make_adautomix(momentum_mode="eval", momentum_buffers="average")
    assert not adautomix.momentum_classifier.training
    ours, theirs = adautomix.classifier, adautomix.momentum_classifier
    assert all(map(torch.equal, ours.state_dict().values(), theirs.state_dict().values()))
    start = theirs.backbone.conv1.weight.clone()
    adautomix(images, labels, draws).total.backward()
    torch.optim.SGD(ours.parameters(), lr=0.1).step()
    adautomix.update_momentum(0.9)
    expected = 0.9 * start + 0.1 * ours.backbone.conv1.weight
    torch.testing.assert_close(theirs.backbone.conv1.weight, expected)


def test_the_defaults_are_those_of_cifar() -> None:
    options = AdAutoMixOptions()
    assert (options.alpha, options.num_images, options.lam_margin) == (1.0, 3, 0.03)
    assert (options.adversarial_interval, options.adversarial_share) == (2, 0.3)
    assert (options.mixup_share, options.lam_margin_test) == (0.5, "corrected")
