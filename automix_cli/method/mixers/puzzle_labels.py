"""Which of three shares each cell of a grid gets, at the lowest total cost, for a whole batch.

Each cell chooses a share of 0, 1/2 or 1. A choice has a cost of its own, and neighbours that choose
differently pay the square of the difference, times a weight.

Why it is solved like this: the costs are convex in the share, so the problem in which shares in
between are allowed, at costs in between, has the same minimum. It is the linear programme of a
minimum cut. The primal-dual method of Chambolle and Pock solves it with a few additions on the
whole batch per iteration; cutting the solution at the right level gives a discrete one that is as
good. Its dual tells how cheap a labelling could be at best, so on a CPU a grid is left alone as
soon as its labelling is proved to be cheapest: most are within 20 iterations. On other devices
there is no decision of the host: all iterations are done.

What it costs: 0.8, 1.4, 4 and 10 ms for 100 grids of 2, 4, 8 and 16 rows, on one CPU core. The
original's graph cuts (gco, alpha-beta swaps, one grid after the other) take 7 ms for 2 rows and 39
for 16; on the same grids their labellings were never cheaper and up to 6 % dearer.

Legend: n grids, h w cells, g = h - 1 and v = w - 1 borders between them. A share is that of the
first image, one of 0, 1/2, 1; a level is a share minus 1/2.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from automix_cli.method.mixers.host import is_on_host

ITERATIONS = 200
"""Of the primal-dual method, at most. They reach the minimum of every grid that could be checked,
up to 16 rows of 6 (tests/method/mixers/test_puzzle_labels.py)."""

CHECKS = (15, 30, 50, 80, 120)
"""Iterations after which grids are left alone that are solved."""

TOLERANCE = 1e-5
"""How much dearer than the cheapest a labelling may be to count as solved, as a share of what the
cheapest costs beyond the best choice of each cell."""

ROUNDING = 1e-6
"""What float32 may have added to that, as a share of what the choices differ by."""

STEP = 8**-0.5
"""Of both variables: the largest safe step, as a cell has at most four neighbours."""

CUTS = (1 / 16, 3 / 16, 5 / 16, 7 / 16)
"""Where continuous shares are cut, within the half between two choices, where no proof is asked
for. All are tried."""


class LabelCosts(NamedTuple):
    """What choices cost; any scale."""

    choice: Float[Tensor, "n 3 h w"]
    """Of the shares 0, 1/2 and 1 for each cell; the middle one at most the mean of the others."""

    down: Float[Tensor, "n g w"]
    """Weight of the squared difference of a cell and the one below it, >= 0."""

    right: Float[Tensor, "n h v"]
    """Weight of the squared difference of a cell and the one right of it, >= 0."""


def total_cost(shares: Float[Tensor, "n h w"], costs: LabelCosts) -> Float[Tensor, " n"]:
    """Sum of all costs of each grid.

    Args:
        shares: Each 0, 1/2 or 1.
        costs: What they cost.
    """
    chosen = (2 * shares).round().long().unsqueeze(1)
    own = costs.choice.gather(1, chosen).sum(dim=(1, 2, 3))
    down = (costs.down * shares.diff(dim=1).square()).sum(dim=(1, 2))
    right = (costs.right * shares.diff(dim=2).square()).sum(dim=(1, 2))
    return own + down + right


@torch.no_grad()
def cheapest_shares(costs: LabelCosts, iterations: int = ITERATIONS) -> Float[Tensor, "n h w"]:
    """Choose a share for each cell so that the total cost is as good as minimal.

    Args:
        costs: What choices cost. They must be convex, see `LabelCosts`.
        iterations: Of the primal-dual method, at most; each is some operations on n h w numbers.

    Returns:
        Shares, each 0, 1/2 or 1.

    Source:
        Chambolle & Pock (2011), algorithm 1, on the relaxation above. Takes the place of the
        alpha-beta swaps of gco, which run on the host, one image after the other, to a local
        minimum, with costs rounded to integers.
    """
    state = _start(costs)
    if not is_on_host(costs.choice):
        _advance(state, iterations)
        return _best_cut(state)[0]
    shares, left, behind = torch.empty_like(state.levels), torch.arange(len(state.levels)), 0
    for ahead in (*(each for each in CHECKS if each < iterations), iterations):
        _advance(state, ahead - behind)
        behind = ahead
        shares[left], cost = _best_cut(state)
        least, rounding = _least_possible(state)
        open_still = cost > least * (1 + TOLERANCE) + rounding
        left, state = left[open_still], state.of(open_still)
        if len(left) == 0:
            break
    return shares


class _State(NamedTuple):
    """A problem in which 1/2 costs nothing, in a unit that fits the steps, and where it stands."""

    lower: Float[Tensor, "n h w"]
    """What 1/2 costs more than 0."""

    upper: Float[Tensor, "n h w"]
    """What 1 costs more than 1/2; at least `lower`."""

    weight: Float[Tensor, "2 n h w"]
    """Of the edges from each cell to the one below and to the one on the right; 0 without one."""

    levels: Float[Tensor, "n h w"]
    """In [-1/2, 1/2]."""

    ahead: Float[Tensor, "n h w"]
    """Beyond the levels by as much as the last iteration moved them."""

    pull: Float[Tensor, "2 n h w"]
    """By how much each edge moves the levels of its cells in an iteration: the dual variables."""

    def of(self, grids: Bool[Tensor, " n"]) -> "_State":
        """Only these grids."""
        return _State(*(each[grids] if each.dim() == 3 else each[:, grids] for each in self))


def _start(costs: LabelCosts) -> _State:
    """Scale the problem, and start from one half everywhere."""
    unit = _typical_cost(costs)
    lower, upper = (costs.choice.diff(dim=1) / unit.unsqueeze(1)).unbind(dim=1)
    weight = torch.stack([F.pad(costs.down, (0, 0, 0, 1)), F.pad(costs.right, (0, 1))]) / unit
    levels = torch.zeros_like(lower, memory_format=torch.contiguous_format)
    return _State(lower, upper, weight, levels, levels.clone(), torch.zeros_like(weight))


def _typical_cost(costs: LabelCosts) -> Float[Tensor, "n 1 1"]:
    """What to divide by, so that steps fit costs of any scale."""
    between = (costs.down.mean(dim=(1, 2)) + costs.right.mean(dim=(1, 2))) / 2
    own = costs.choice.diff(dim=1).abs().mean(dim=(1, 2, 3))
    smallest = torch.finfo(own.dtype).tiny
    return torch.maximum(between, own / 1000).clamp(min=smallest).view(-1, 1, 1)


def _advance(state: _State, iterations: int) -> None:
    """Move levels and pulls, in place.

    An edge has the price weight / 2 per difference up to 1/2, then 3 weight / 2; a level moves at
    the price 2 lower below 0, and 2 upper above it. The clamps are the proximal maps of these.
    """
    gentle = state.weight * (STEP / 2)
    least_gentle, strong, least_strong = -gentle, 3 * gentle, -3 * gentle
    lower, upper = (2 * STEP * each for each in (state.lower, state.upper))
    levels, ahead, pull = state.levels, state.ahead, state.pull
    change, rest = torch.zeros_like(pull), torch.empty_like(pull)
    moved, own = torch.empty_like(levels), torch.empty_like(levels)
    # all views are made beforehand: for few grids that takes as long as what is done with them
    ways, (down, right) = _ways(levels), pull
    differences = [
        (_after(ahead, way), _before(ahead, way), _before(each, way))
        for way, each in zip(ways, change, strict=True)
    ]
    ends = [(_after(moved, way), _before(each, way)) for way, each in zip(ways, pull, strict=True)]
    for _ in range(iterations):
        for after, before, difference in differences:
            torch.sub(after, before, out=difference)
        pull.add_(change, alpha=STEP**2)
        torch.clamp(pull, least_gentle, gentle, out=rest)
        torch.sub(pull, rest, out=rest).clamp_(-(STEP**2) / 2, STEP**2 / 2)
        torch.clamp(pull.sub_(rest), least_strong, strong, out=pull)
        torch.add(levels, down, out=moved).add_(right)
        for end, force in ends:
            end.sub_(force)
        torch.clamp(moved, lower, upper, out=own)
        moved.sub_(own).clamp_(-0.5, 0.5)
        torch.lerp(levels, moved, 2.0, out=ahead)
        levels.copy_(moved)


def _ways(levels: Float[Tensor, "n h w"]) -> tuple[int, int]:
    """How far below and right neighbours are in memory.

    So all edges of a direction are one operation on memory as it lies. Edges that leave a grid end
    in another one, but have no weight.
    """
    return levels.shape[2], 1


def _after(values: Float[Tensor, "*n h w"], way: int) -> Float[Tensor, " e"]:
    """The cells that edges in this direction end in, in memory."""
    return values.view(-1)[way:]


def _before(values: Float[Tensor, "*n h w"], way: int) -> Float[Tensor, " e"]:
    """The cells that they start from."""
    return values.view(-1)[:-way]


def _add_net_pull(levels: Float[Tensor, "n h w"], pull: Float[Tensor, "2 n h w"]) -> None:
    """Move each level by what its edges do to it: up where they start, down where they end."""
    for each, way in zip(pull, _ways(levels), strict=True):
        levels.add_(each)
        _after(levels, way).sub_(_before(each, way))


def _best_cut(state: _State) -> tuple[Float[Tensor, "n h w"], Float[Tensor, " n"]]:
    """Of the labellings that cuts at different levels give, each grid's cheapest, and its cost.

    Costs are counted beyond those of the best choice of each cell, so that no constant hides a gap.
    """
    cuts = torch.tensor(CUTS, device=state.levels.device).view(-1, 1, 1, 1)
    candidates = ((state.levels > cuts - 0.5).float() + (state.levels > cuts).float()) / 2 - 0.5
    cost = 2 * torch.where(candidates < 0, state.lower, state.upper) * candidates - _alone(state)
    for weight, way in zip(state.weight, _ways(state.levels), strict=True):
        difference = _after(candidates, way) - _before(candidates, way)
        weights = weight.expand_as(candidates).reshape(-1)[:-way]
        _before(cost, way).add_(weights * difference.square_())
    least, best = cost.sum(dim=(2, 3)).min(dim=0)
    best = best.view(1, -1, 1, 1).expand(1, *state.levels.shape)
    return candidates.gather(0, best).squeeze(0) + 0.5, least


def _least_possible(state: _State) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """What the dual variables prove that no labelling costs less than, and how exact that is."""
    net = torch.zeros_like(state.levels)
    for pull, way in zip(state.pull, _ways(net), strict=True):
        net.add_(pull)
        _after(net, way).sub_(_before(pull, way))
    net /= 2 * STEP
    alone = _alone(state)
    bound = torch.minimum(state.upper - net, net - state.lower).clamp(max=0) - alone
    bound -= (state.pull.abs() / STEP - state.weight / 2).clamp(min=0).sum(dim=0) / 2
    return bound.sum(dim=(1, 2)), ROUNDING * alone.sum(dim=(1, 2)).abs()


def _alone(state: _State) -> Float[Tensor, "n h w"]:
    """What the best choice of each cell costs."""
    return torch.minimum(state.upper, -state.lower).clamp(max=0)
