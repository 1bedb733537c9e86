"""Which of many labels each cell of a grid gets, at a low total cost, for a whole batch.

Each cell pays for its label, and each two neighbours for the pair of theirs: unlike the shares of
PuzzleMix, labels are no numbers, and the minimum is hard to find.

Why it is solved like this: of every second row, all labels together can be chosen at the lowest
cost in one go, given the rows between them; so can those of the other rows, and of columns. Such
moves never raise the cost. They end in a local minimum, so several starts are tried, all at once:
each cell's own best label, and a few labels for all cells.

What it costs: 0.12 s for a batch of 100 images with Co-Mixup's constants, on one CPU core, half of
what the original's graph cuts take (gco, alpha-beta swaps), whose labellings were never cheaper and
mostly dearer, by 11 % on average. Nearly all of it is the overhead of thousands of small
operations. On a CPU the labels are first narrowed down to those that may be worth it, about 7 of
23; elsewhere that would need a decision of the host.

Legend: n grids, h w cells, l labels, r rows.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from automix_cli.method.mixers.host import is_on_host

NUM_STARTS = 6
"""Labellings to start from. With these and `NUM_SWEEPS`, costs of Co-Mixup's kind on 3 x 3 cells
are within 1 % of the minimum (tests/method/mixers/test_joint_labels.py)."""

NUM_SWEEPS = 3
"""How often all rows and all columns are chosen anew."""


@torch.no_grad()
def cheapest_labels(
    cost: Float[Tensor, "n l h w"], pair_cost: Float[Tensor, "n l l"]
) -> Int64[Tensor, "n h w"]:
    """Choose a label for each cell so that the total cost is low.

    Args:
        cost: Of each label for each cell; infinite for a label that is not allowed.
        pair_cost: Of two neighbours having these two labels; symmetric.

    Returns:
        Labels.

    Source:
        Block coordinate descent by dynamic programming. Takes the place of the alpha-beta swaps of
        gco, which run on the host, one grid after the other, and end in a local minimum too.
    """
    if not is_on_host(cost):
        return _descend(cost, pair_cost)
    labels = _labels_worth_a_try(cost, pair_cost)
    rows = labels[..., None, None].expand(-1, -1, *cost.shape[2:])
    pairs = pair_cost.gather(1, labels.unsqueeze(2).expand(-1, -1, cost.shape[1]))
    pairs = pairs.gather(2, labels.unsqueeze(1).expand(-1, labels.shape[1], -1))
    chosen = _descend(cost.gather(1, rows), pairs)
    return labels.gather(1, chosen.flatten(start_dim=1)).view_as(chosen)


def _labels_worth_a_try(
    cost: Float[Tensor, "n l h w"], pair_cost: Float[Tensor, "n l l"]
) -> Int64[Tensor, "n k"]:
    """The labels of each grid that may be the best choice of a cell, in their order.

    A label that costs more, in every cell, than the cell's cheapest one and the dearest pair with
    each of four neighbours, is never chosen. Grids with fewer labels than others get some of these.
    """
    excess = (cost - cost.amin(dim=1, keepdim=True)).amin(dim=(2, 3))
    possible = excess <= 4 * pair_cost.amax(dim=(1, 2)).unsqueeze(1)
    most = int(possible.sum(dim=1).max())
    return excess.topk(most, largest=False).indices.sort(dim=1).values


def _descend(
    cost: Float[Tensor, "n l h w"], pair_cost: Float[Tensor, "n l l"]
) -> Int64[Tensor, "n h w"]:
    """Choose rows and columns anew from several starts, and take the best end."""
    n, num_labels, height, width = cost.shape
    uniform = cost.sum(dim=(2, 3)).topk(min(NUM_STARTS - 1, num_labels), largest=False).indices
    starts = torch.cat(
        [cost.argmin(dim=1).unsqueeze(1), uniform[..., None, None].expand(-1, -1, height, width)],
        dim=1,
    )
    num_starts = starts.shape[1]
    costs, pair_costs = (each.repeat_interleave(num_starts, dim=0) for each in (cost, pair_cost))
    # grids come last: an operation on all of them is one on neighbours in memory
    across, pairs = costs.permute(1, 2, 3, 0).contiguous(), pair_costs.permute(1, 2, 0).contiguous()
    along = across.transpose(1, 2).contiguous()
    now = starts.flatten(end_dim=1).permute(1, 2, 0).contiguous()
    for _ in range(NUM_SWEEPS):
        before = now
        now = _choose_rows(now, across, pairs)
        now = _choose_rows(now.transpose(0, 1), along, pairs).transpose(0, 1)
        if is_on_host(now) and torch.equal(now, before):
            break
    labels = now.permute(2, 0, 1)
    reached = labelling_cost(labels, costs, pair_costs).view(n, num_starts)
    best = reached.argmin(dim=1).view(n, 1, 1, 1).expand(n, 1, height, width)
    return labels.reshape(n, num_starts, height, width).gather(1, best).squeeze(1)


def labelling_cost(
    labels: Int64[Tensor, "n h w"],
    cost: Float[Tensor, "n l h w"],
    pair_cost: Float[Tensor, "n l l"],
) -> Float[Tensor, " n"]:
    """Sum of all costs of each grid."""
    own = cost.gather(1, labels.unsqueeze(1)).sum(dim=(1, 2, 3))
    grid = torch.arange(len(labels), device=labels.device).view(-1, 1, 1)
    down = pair_cost[grid, labels[:, :-1], labels[:, 1:]].sum(dim=(1, 2))
    return own + down + pair_cost[grid, labels[:, :, :-1], labels[:, :, 1:]].sum(dim=(1, 2))


def _choose_rows(
    labels: Int64[Tensor, "h w n"], cost: Float[Tensor, "l h w n"], pairs: Float[Tensor, "l l n"]
) -> Int64[Tensor, "h w n"]:
    """Choose every second row anew, then the rows between them."""
    labels = labels.clone()
    for first_row in range(min(2, len(labels))):
        total, others = cost[:, first_row::2].clone(), labels[1 - first_row :: 2]
        beside = pairs.gather(1, others.reshape(1, -1, labels.shape[2]).expand(len(pairs), -1, -1))
        beside = beside.view(len(pairs), *others.shape)
        # of these rows the i-th is above the i-th of the others, or below it
        total[:, : len(others)] += beside[:, : total.shape[1]]
        if first_row == 0:
            total[:, 1:] += beside[:, : total.shape[1] - 1]
        else:
            total[:, : len(others) - 1] += beside[:, 1:]
        labels[first_row::2] = _cheapest_rows(total, pairs)
    return labels


def _cheapest_rows(
    cost: Float[Tensor, "l r w n"], pairs: Float[Tensor, "l l n"]
) -> Int64[Tensor, "r w n"]:
    """The labels of least cost of rows that do not touch: dynamic programming along each."""
    columns = cost.unbind(dim=2)
    reached, steps = [columns[0]], pairs.unsqueeze(2).expand(-1, -1, cost.shape[1], -1).contiguous()
    for column in columns[1:]:
        reached.append((reached[-1].unsqueeze(1) + steps).amin(dim=0).add_(column))
    chosen = [reached.pop().min(dim=0).indices]
    for costs in reversed(reached):
        to_chosen = pairs.gather(1, chosen[-1].unsqueeze(0).expand_as(costs))
        chosen.append(to_chosen.add_(costs).min(dim=0).indices)
    return torch.stack(chosen[::-1], dim=1)
