from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from automix_cli.method import PuzzleMixOptions, puzzlemix
from automix_cli.method.mixers.puzzle_costs import saliency_of_cells
from automix_cli.method.mixers.puzzle_transport import (
    arrange_cells,
    sources_by_rounds,
    sources_of_cells,
)

IN_PLACE = PuzzleMixOptions(largest_grid=4, transport=False)


def half_salient(left_first: bool) -> Tensor:
    """Of two images, one matters on its left half and the other on its right."""
    saliency = torch.full((2, 16, 16), 0.01)
    saliency[0 if left_first else 1, :, :8] = 1
    saliency[1 if left_first else 0, :, 8:] = 1
    return saliency


@pytest.mark.parametrize("left_first", [True, False])
def test_each_image_shows_the_half_that_matters(
    left_first: bool, fixed_ratio: Callable[..., np.random.Generator]
) -> None:
    images, seen = torch.randn(2, 3, 16, 16), 0
    for seed in range(8):
        mixture = puzzlemix(
            images, fixed_ratio(0.5, seed), half_salient(left_first), options=IN_PLACE
        )
        if mixture.perm.tolist() == [1, 0]:
            seen += 1
            assert mixture.mask is not None
            expected = (torch.arange(16) < 8) == left_first
            assert torch.equal(mixture.mask[0, 0], expected.float().expand(16, 16))
            assert torch.equal(mixture.mask[1, 0], (~expected).float().expand(16, 16))
    assert seen > 0


def test_the_ratio_draws_the_weights(fixed_ratio: Callable[..., np.random.Generator]) -> None:
    images, saliency = torch.randn(40, 3, 16, 16), torch.rand(40, 16, 16)
    weights = [
        puzzlemix(images, fixed_ratio(lam, 3), saliency).first_weight.mean().item()
        for lam in (0.01, 0.3, 0.5, 0.7, 0.99)
    ]
    assert weights == sorted(weights)
    assert weights[0] < 0.2
    assert weights[-1] > 0.8


def test_transport_changes_the_images_and_not_the_weights() -> None:
    images, saliency = torch.randn(10, 3, 32, 32), torch.rand(10, 32, 32) ** 8
    moved = puzzlemix(images, np.random.default_rng(5), saliency)
    still = puzzlemix(
        images, np.random.default_rng(5), saliency, options=PuzzleMixOptions(transport=False)
    )
    assert torch.equal(moved.first_weight, still.first_weight)
    assert not torch.equal(moved.images, still.images)


def test_a_way_that_costs_too_much_is_not_gone() -> None:
    images, saliency = torch.randn(10, 3, 32, 32), torch.rand(10, 32, 32)
    dear = PuzzleMixOptions(distance_cost=1e4)
    moved = puzzlemix(images, np.random.default_rng(5), saliency, options=dear)
    still = puzzlemix(
        images, np.random.default_rng(5), saliency, options=PuzzleMixOptions(transport=False)
    )
    torch.testing.assert_close(moved.images, still.images)


def test_an_image_without_saliency_counts_as_uniform() -> None:
    images, uniform = torch.randn(4, 3, 16, 16), torch.ones(4, 16, 16)
    absent = puzzlemix(images, np.random.default_rng(0), torch.zeros(4, 16, 16))
    expected = puzzlemix(images, np.random.default_rng(0), uniform)
    assert torch.equal(absent.images, expected.images)


def test_grids_are_the_powers_of_two_up_to_the_finest() -> None:
    images, sides = torch.randn(6, 1, 32, 32), set()
    saliency = torch.rand(6, 32, 32) ** 20
    for seed in range(20):
        mask = puzzlemix(
            images, np.random.default_rng(seed), saliency, options=PuzzleMixOptions(transport=False)
        ).mask
        assert mask is not None
        changes = set(mask.diff(dim=2).nonzero()[:, 2].add(1).tolist())
        sides.add(next(side for side in (16, 8, 4, 2, 1) if all(c % side == 0 for c in changes)))
    assert sides == {16, 8, 4, 2}


def slow_sources(saliency: np.ndarray, visible: np.ndarray, distance_cost: float) -> list[int]:
    """The applications, one cell after the other."""
    rows, columns = saliency.shape
    places = [(i, j) for i in range(rows) for j in range(columns)]
    cost = np.zeros((len(places), len(places)), dtype=np.float32)
    for a, (i, j) in enumerate(places):
        for b, (k, m) in enumerate(places):
            way = ((i - k) ** 2 + (j - m) ** 2) / (max(rows, columns) - 1) ** 2
            cost[a, b] = (
                np.float32(distance_cost) * np.float32(way) - saliency[i, j] * visible[k, m]
            )
    taken: dict[int, int] = {}
    for _ in range(max(rows, columns)):
        applications: dict[int, list[int]] = {}
        for a in range(len(places)):
            applications.setdefault(int(cost[a].argmin()), []).append(a)
        taken = {b: min(each, key=lambda a: (cost[a, b], a)) for b, each in applications.items()}
        for b, each in applications.items():
            for a in each:
                if a != taken[b]:
                    cost[a, b] += 1
    return [taken.get(b, b) for b in range(len(places))]


@pytest.mark.parametrize("size", [(2, 2), (4, 4), (3, 5), (8, 8)], ids=str)
@pytest.mark.parametrize("distance_cost", [0.01, 0.8])
def test_cells_apply_as_the_docstring_says(size: tuple[int, int], distance_cost: float) -> None:
    rng = np.random.default_rng(0)
    saliency = rng.random((6, *size), dtype=np.float32) ** 4
    shares = rng.integers(0, 3, (6, *size)).astype(np.float32) / 2
    sources = sources_of_cells(torch.from_numpy(saliency), torch.from_numpy(shares), distance_cost)
    for i in range(6):
        visible = (shares[i] > 0).flatten()
        expected = np.array(slow_sources(saliency[i], shares[i] > 0, distance_cost))
        assert sources[i][torch.from_numpy(visible)].tolist() == expected[visible].tolist()


@pytest.mark.parametrize("size", [(4, 4), (3, 5), (16, 16)], ids=str)
@pytest.mark.parametrize("seen", [0.2, 0.8])
def test_a_cpu_shows_the_same_cells_as_other_devices(size: tuple[int, int], seen: float) -> None:
    generator = torch.Generator().manual_seed(0)
    visible = (torch.rand(20, *size, generator=generator) < seen).float()
    for concentration, distance_cost in ((1, 0.8), (8, 0.8), (8, 0.05), (40, 0.05)):
        saliency = torch.rand(20, *size, generator=generator) ** concentration
        saliency = saliency / saliency.sum(dim=(1, 2), keepdim=True)
        ours = sources_of_cells(saliency, visible, distance_cost)
        dense = sources_by_rounds(saliency, visible, distance_cost)
        where = visible.flatten(start_dim=1) > 0
        assert torch.equal(ours[where], dense[where])
        assert (ours != torch.arange(visible[0].numel())).any()  # something moved


def test_no_cell_is_seen_twice_and_what_is_seen_gains() -> None:
    saliency, shares = torch.rand(30, 8, 8) ** 4, torch.randint(0, 3, (30, 8, 8)) / 2
    sources = sources_of_cells(saliency, shares, 0.1)
    for i in range(30):
        visible = (shares[i] > 0).flatten()
        shown = sources[i][visible]
        assert shown.unique().numel() == shown.numel()
        stayed = saliency[i].flatten()[visible].sum()
        assert saliency[i].flatten()[shown].sum() >= stayed - 1e-5


def test_the_only_salient_cell_moves_to_the_only_place_that_is_seen() -> None:
    saliency, shares = torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)
    saliency[0, 0, 1], shares[0, 2, 3] = 1.0, 1.0
    assert sources_of_cells(saliency, shares, 0.8)[0, 11] == 1


def test_cells_are_arranged_by_their_sources() -> None:
    images = torch.randn(3, 2, 6, 8)
    sources = torch.stack([torch.randperm(12) for _ in range(3)])
    arranged = arrange_cells(images, sources, (3, 4))
    for i in range(3):
        for place, source in enumerate(sources[i].tolist()):
            rows = slice(place // 4 * 2, place // 4 * 2 + 2)
            columns = slice(place % 4 * 2, place % 4 * 2 + 2)
            from_rows = slice(source // 4 * 2, source // 4 * 2 + 2)
            from_columns = slice(source % 4 * 2, source % 4 * 2 + 2)
            assert torch.equal(arranged[i, :, rows, columns], images[i, :, from_rows, from_columns])


def test_the_saliency_of_cells_is_a_share() -> None:
    saliency = torch.rand(3, 8, 12)
    cells = saliency_of_cells(saliency, (2, 3))
    expected = saliency.view(3, 2, 4, 3, 4).sum(dim=(2, 4)) / saliency.sum(dim=(1, 2)).view(3, 1, 1)
    torch.testing.assert_close(cells, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"largest_grid": 6}, "`largest_grid` must be a power of two above 1, got `6`"),
        ({"largest_grid": 1}, "`largest_grid` must be a power of two above 1, got `1`"),
        ({"label_smoothness": -1.0}, "`label_smoothness` must be at least 0, got `-1.0`"),
        ({"border_width": 0}, "`border_width` must be at least 1, got `0`"),
        ({"transport_cell": 0}, "`transport_cell` must be at least 1, got `0`"),
    ],
    ids=str,
)
def test_options_without_meaning_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PuzzleMixOptions(**options)


def test_deviations_for_other_channels_are_refused() -> None:
    options = PuzzleMixOptions(pixel_std=(0.2, 0.2, 0.2))
    with pytest.raises(ValueError, match="`pixel_std` must have 1 or `1` values, got `3`"):
        puzzlemix(
            torch.randn(2, 1, 16, 16),
            np.random.default_rng(0),
            torch.rand(2, 16, 16),
            options=options,
        )
