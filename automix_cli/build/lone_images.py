"""Batches of a single image, with which some networks cannot be trained.

Batch norm compares values with one another. A network that has shrunk an image to one position has,
of a single image, one value of each channel there.

Legend: c channels, s height and width that the network sees.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from automix_cli.build.training import batch_plan
from automix_cli.data.datasets import DataSplits
from automix_cli.errors import SettingsError
from automix_cli.settings import Settings


def refuse_lone_images(
    settings: Settings, splits: DataSplits, network: nn.Module, num_ranks: int
) -> None:
    """Find out before the first step whether some step would fail, perhaps the last of an epoch.

    Args:
        settings: Of the run.
        splits: Its images.
        network: The classifier, on the processor.
        num_ranks: Number of processes.

    Raises:
        SettingsError: a batch holds one image, and the network's batch norm would see one value.
    """
    plan = batch_plan(settings, len(splits.train), 0, num_ranks, repeats=settings.data.repeats)
    share = min(settings.mix.clean_share, settings.mix.mixed_share)
    if math.ceil(share * plan.smallest_batch - 1e-9) > 1:
        return
    norm = norm_of_one_value(network, torch.zeros(1, splits.in_channels, *2 * [splits.image_size]))
    if norm is not None:
        raise SettingsError(
            f"some batches hold a single image, of which batch norm at `{norm}` of "
            f"`{settings.model.backbone}` would see one value and have nothing to compare it with",
            hint="`--set train.drop_last=true` leaves out a short last batch; or choose another "
            "`train.batch_size`, fewer `train.accumulation_steps`, or larger images",
        )


@torch.no_grad()
def norm_of_one_value(network: nn.Module, image: Tensor) -> str | None:
    """The first batch norm that has one value of each channel; None if there is none.

    Args:
        network: Its modes are restored; batch norm that is frozen compares nothing.
        image: `(1, c, s, s)`.
    """
    found: list[str] = []
    modes = {module: module.training for module in network.modules()}
    names = {module: name for name, module in network.named_modules()}

    def look(norm: nn.Module, given: tuple[Tensor, ...], _: Tensor) -> None:
        if given[0][0, 0].numel() == 1:
            found.append(names[norm])

    norms = (each for each in modes if isinstance(each, _BatchNorm) and each.training)
    hooks = [each.register_forward_hook(look) for each in norms]
    network.eval()
    try:
        network(image)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes.items():
            module.training = mode
    return found[0] if found else None
