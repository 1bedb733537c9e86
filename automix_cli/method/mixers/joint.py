"""Co-Mixup: mix a whole batch together, so that each mixture shows much and all show different.

Every mixture may show cells of any image. A cell costs what it hides; mixtures that show the same
images too often cost as well, and are made one after the other in view of the others.

Legend: n images, c channels, H W image. Images are mixed in g groups of m; h w cells of
the grid; l labels of a cell, which are the images of the group and the halves of two of them.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from automix_cli.method.mixers.joint_labels import cheapest_labels
from automix_cli.method.mixers.mixture import JointMixture
from automix_cli.method.mixers.puzzle_costs import saliency_of_cells

HALF_BONUS = 5e-4
"""How much less a cell costs that shows two images by halves than these two do on average."""

HALF_PAIR_COST = 0.25
"""What the border of such a cell to one that shows one of its two images costs."""


@dataclass(frozen=True, kw_only=True)
class CoMixupOptions:
    """The constants of Co-Mixup, with the official values for CIFAR and Tiny-ImageNet."""

    grid: int = 4
    """Rows and columns of cells; >= 1."""

    group_size: int = 20
    """How many images are mixed with each other; >= 1. The last group may have fewer."""

    label_smoothness: float = 0.32
    """How much neighbouring cells of different images cost; >= 0. The paper's beta."""

    diversity: float = 1.0
    """How much it costs to show images that other mixtures show; >= 0. The paper's gamma."""

    tolerance: float = 0.83
    """How often others may show an image at no cost, in whole images; >= 0. The paper's tau."""

    prior_weight: float = 0.05
    """How strongly images are preferred as drawn from the Dirichlet prior; >= 0. Paper: eta."""

    distance_weight: float = 0.001
    """How much images whose salient places are far apart count as alike; [0, 1]. Paper: omega."""

    rounds: int = 4
    """How often each mixture is chosen in view of the others; >= 1. Three are faster."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        for name in ("grid", "group_size", "rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got `{getattr(self, name)}`")
        for name in ("label_smoothness", "diversity", "tolerance", "prior_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must be at least 0, got `{getattr(self, name)}`")
        if not 0 <= self.distance_weight <= 1:
            value = self.distance_weight
            raise ValueError(f"`distance_weight` must be in [0, 1], got `{value}`")


DEFAULTS = CoMixupOptions()


class _Problem(NamedTuple):
    """What the mixtures of each group are chosen by."""

    cost: Float[Tensor, "g m h w"]
    """Of showing an image in a cell."""

    likeness: Float[Tensor, "g m m"]
    """How much showing one image counts as showing another."""


@torch.no_grad()
def comixup(
    images: Float[Tensor, "n c H W"],
    rng: np.random.Generator,
    saliency: Float[Tensor, "n H W"],
    *,
    alpha: float = 2.0,
    options: CoMixupOptions = DEFAULTS,
) -> JointMixture:
    """Mix the images of each group into as many mixtures that are salient and diverse.

    Args:
        images: The batch; height and width multiples of the grid. Neighbours in it form a group.
        rng: Draws a prior for each group, and where to start.
        saliency: Of each pixel, see `gradient_saliency`; an image without any counts as uniform.
        alpha: Of the prior, Dirichlet(alpha, ..., alpha) over the images of a group; > 0.
        options: See there.

    Returns:
        Mixtures, and the shares that their labels have in them.

    Raises:
        ValueError: if the image size is not a multiple of the grid, or `alpha` not above 0.

    Source:
        Kim et al., Co-Mixup (2021), and the official code's `mixup_process`. Differs: the cells of
        a mixture are chosen on the device for all groups together, where the official code asks gco
        on the host; all rounds are done, where it stops when the cost changes little; an image
        costs extra if it is shown too often itself, where the official code, by the precedence of
        `*` and `@`, asks that of the images that it is like. Its training, with the loss of clean
        images and binary cross-entropy, is the caller's.
    """
    n, _, height, width = images.shape
    if height % options.grid or width % options.grid:
        raise ValueError(
            f"image size must be a multiple of `grid`, `{options.grid}`, got `{height} x {width}`"
        )
    if not alpha > 0:
        raise ValueError(f"`alpha` must be greater than 0, got `{alpha}`")
    mixed, shares = torch.empty_like(images), torch.zeros(n, n, device=images.device)
    whole = n - n % options.group_size
    for start, stop, size in ((0, whole, options.group_size), (whole, n, n - whole)):
        if start == stop:
            continue
        groups = saliency[start:stop].float().unflatten(0, (-1, size))
        shown = _choose_mixtures(_problem(groups, rng, alpha, options), rng, options)
        mixed[start:stop] = _show(images[start:stop].unflatten(0, (-1, size)), shown)
        shares[start:stop, start:stop] = torch.block_diag(*shown.mean(dim=(3, 4)))
    return JointMixture(mixed, shares)


def _problem(
    saliency: Float[Tensor, "g m H W"],
    rng: np.random.Generator,
    alpha: float,
    options: CoMixupOptions,
) -> _Problem:
    """Costs and likeness of the images of each group."""
    groups, size, height, width = saliency.shape
    cells = saliency_of_cells(saliency.flatten(end_dim=1), (options.grid, options.grid))
    prior = np.log(rng.dirichlet([alpha] * size, groups) + 1e-8).astype(np.float32)
    preferred = torch.from_numpy(prior).to(saliency.device, non_blocking=True)
    per_cell = options.prior_weight / options.grid**2
    cost = -cells.unflatten(0, (groups, size)) - per_cell * preferred[..., None, None]
    window = (max(1, height // 4), max(1, width // 4))
    smooth = F.avg_pool2d(saliency, window, stride=1)
    peak = smooth.flatten(start_dim=2).argmax(dim=2)
    places = torch.stack([peak // smooth.shape[3], peak % smooth.shape[3]], dim=2).float()
    distance = (places.unsqueeze(2) - places.unsqueeze(1)).abs().sum(dim=3)
    total = distance.sum(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    itself = torch.eye(size, device=saliency.device)
    weight = options.distance_weight
    return _Problem(cost, (1 - weight) * itself + weight * distance / total * size)


def _choose_mixtures(
    problem: _Problem, rng: np.random.Generator, options: CoMixupOptions
) -> Float[Tensor, "g m m h w"]:
    """Choose the mixtures of a group (third to last dimension: of which image) one by one."""
    groups, size, rows, columns = problem.cost.shape
    start = torch.from_numpy(rng.integers(size, size=(groups, size, rows, columns)))
    shown = F.one_hot(start.to(problem.cost.device, non_blocking=True), size)
    shown = shown.permute(0, 1, 4, 2, 3).float()
    per_cell, separation = options.diversity / (rows * columns), torch.zeros_like(shown[..., 0, 0])
    for round_number in range(options.rounds):
        for i in range(size):
            counts = shown.sum(dim=(3, 4))
            others = counts.sum(dim=1) - counts[:, i]
            pressure = (problem.likeness @ others.unsqueeze(2)).squeeze(2)
            crowded = pressure > options.tolerance * rows * columns
            extra = per_cell * (2 * pressure * crowded + separation[:, i])
            halves = counts[:, i] if round_number > 0 else torch.zeros_like(others)
            cost = problem.cost + extra[..., None, None]
            shown[:, i] = _choose_cells(cost, halves, options.label_smoothness)
        if round_number == options.rounds - 2:
            separation = _separate_twins(shown.sum(dim=(3, 4)) > 0)
    return shown


def _choose_cells(
    cost: Float[Tensor, "g m h w"], shown_before: Float[Tensor, "g m"], label_smoothness: float
) -> Float[Tensor, "g m h w"]:
    """Choose one mixture of each group: cells of an image, or of halves of two it showed before.

    Halves are of the three images that it showed most.
    """
    groups, size, rows, columns = cost.shape
    most = shown_before.topk(min(3, size))
    one_hot = F.one_hot(most.indices, size).to(cost.dtype)
    pairs = [(a, b) for a, b in ((0, 1), (0, 2), (1, 2)) if b < size]
    first, second = ([pair[side] for pair in pairs] for side in (0, 1))
    halves = (one_hot[:, first] + one_hot[:, second]) / 2
    possible = torch.minimum(most.values[:, first], most.values[:, second]) > 0
    mean = torch.einsum("gpm,gmhw->gphw", halves, cost) - HALF_BONUS
    of_halves = torch.where(possible[..., None, None], mean, torch.inf)
    contents = torch.cat([torch.eye(size, device=cost.device).expand(groups, -1, -1), halves], 1)
    pair_cost = 1 - torch.eye(size + len(pairs), device=cost.device).repeat(groups, 1, 1)
    to_halves = torch.where(halves > 0, HALF_PAIR_COST, 1.0)
    pair_cost[:, size:, :size], pair_cost[:, :size, size:] = to_halves, to_halves.mT
    weight = label_smoothness / (rows * columns)
    labels = cheapest_labels(torch.cat([cost, of_halves], dim=1), weight * pair_cost)
    chosen = labels.flatten(start_dim=1).unsqueeze(2).expand(-1, -1, size)
    return contents.gather(1, chosen).mT.reshape(cost.shape)


def _separate_twins(shows: Bool[Tensor, "g m m"]) -> Float[Tensor, "g m m"]:
    """What to charge mixtures of the same two or more images, so that they drop different ones.

    The earlier of two twins pays for its first image, the later one for its second.
    """
    size = shows.shape[2]
    twins = (shows.unsqueeze(2) == shows.unsqueeze(1)).all(dim=3)
    several = shows.sum(dim=2, keepdim=True) > 1
    order = shows.cumsum(dim=2) * shows  # 1 for the first image shown, 2 for the second
    has_later, has_earlier = (
        part.any(dim=2, keepdim=True) for part in (twins.triu(diagonal=1), twins.tril(diagonal=-1))
    )
    charged = (has_later & (order == 1)) | (has_earlier & (order == 2))
    return (charged & several).view(-1, size, size).float()


def _show(
    images: Float[Tensor, "g m c H W"], shown: Float[Tensor, "g m m h w"]
) -> Float[Tensor, "n c H W"]:
    """Compose the mixtures of cells of the images of their group."""
    height, width = images.shape[3:]
    rows, columns = shown.shape[3:]
    cells = images.unflatten(4, (columns, width // columns))
    cells = cells.unflatten(3, (rows, height // rows))
    mixed = torch.einsum("gomhw,gmchawb->gochawb", shown.to(images.dtype), cells)
    return mixed.reshape(-1, images.shape[2], height, width)
