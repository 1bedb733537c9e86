"""Maps of where a network sees a class, of those kinds that it has.

Legend: n images, c channels, s side of the image, k classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from automix_cli.errors import SettingsError
from automix_cli.evaluation.class_maps import class_activation, enlarged, gradient_activation
from automix_cli.evaluation.totals import NotFiniteError, finite
from automix_cli.models.classifier import Classifier

CAM, GRAD_CAM = "cam", "grad-cam"
TOLERANCE = 1e-4
"""How far an embedding may be from the mean of the last map by rounding, as a share of it."""


@dataclass(frozen=True)
class MapMaker:
    """What a network can show, found out by showing it one image.

    Attributes:
        network: It is frozen.
        size: s.
        stage: Feature stage that Grad-CAM looks at; None: the map that the embedding is made of.
        kinds: Of maps, in order.
        without: Why it has not the other kinds.
    """

    network: Classifier
    size: int
    stage: int | None
    kinds: tuple[str, ...]
    without: dict[str, str] = field(default_factory=dict[str, str])

    @torch.no_grad()
    def __call__(self, images: Tensor, labels: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Look for the class of each image.

        Args:
            images: `(n, c, s, s)`, normalised.
            labels: `(n,)`.

        Returns:
            By kind `(n, s, s)` in [0, 1], float64 on the CPU; and what the network says, `(n,)`.

        Raises:
            NotFiniteError: it answers with NaN or infinity.
        """
        network, last = self.network, None
        if CAM in self.kinds or self.stage is None:
            last = network.last_map(images)
            logits = network.head_one_hot(network.pool(last))
        else:
            logits = network(images)
        maps: dict[str, Tensor] = {}
        if CAM in self.kinds and last is not None:
            maps[CAM] = class_activation(last, network.head_one_hot.weight, labels)
        maps[GRAD_CAM] = gradient_activation(self._classifier_of(images, last), labels)
        shown = {kind: enlarged(each.float(), self.size) for kind, each in maps.items()}
        return shown, finite(logits).argmax(dim=1)

    def _classifier_of(
        self, images: Tensor, last: Tensor | None
    ) -> Callable[[Callable[[Tensor], Tensor]], Tensor]:
        """What computes the logits, by way of the feature map that is looked at."""
        network, stage = self.network, self.stage
        if stage is not None:
            return lambda keep: network.head_one_hot(network.embed_changed(images, stage, keep))
        assert last is not None
        return lambda keep: network.head_one_hot(network.pool(keep(last)))


def map_maker(network: Classifier, images: Tensor, stage: int | None, backbone: str) -> MapMaker:
    """Find out which maps a network has.

    Args:
        network: In evaluation mode; it is frozen.
        images: One or more of those it is for, `(n, c, s, s)`.
        stage: Wanted for Grad-CAM, or None.
        backbone: Name of the network's, for the error.

    Raises:
        NotFiniteError: it answers with NaN or infinity.
        SettingsError: it has none, or not at that stage.
    """
    network.requires_grad_(requires_grad=False)
    last_stage = network.num_stages - 1
    if stage is not None and not 0 <= stage <= last_stage:
        raise SettingsError(f"`--cam-stage` must be in [0, {last_stage}], got `{stage}`")
    without = reason_against_cam(network, images)
    kinds = (GRAD_CAM,) if without else (CAM, GRAD_CAM)
    maker = MapMaker(network, images.shape[2], stage, kinds, {CAM: without} if without else {})
    try:
        maker(images[:1], torch.zeros(1, dtype=torch.int64, device=images.device))
    except NotFiniteError:  # it has maps, and cannot be judged
        raise
    except (AttributeError, IndexError, KeyError, ValueError) as problem:
        where = "in front of its head" if stage is None else f"at stage {stage}"
        raise SettingsError(
            f"`{backbone}` has no spatial map {where} to locate a class with: {problem}",
            hint="CAM needs a linear head behind the mean of a feature map, Grad-CAM a feature map"
            " `(n, c, h, w)`: convolutional networks have both, transformers show tokens;"
            f" `--cam-stage` takes another stage of 0 to {last_stage}",
        ) from problem
    return maker


@torch.no_grad()
def reason_against_cam(network: Classifier, images: Tensor) -> str:
    """Why a network has no CAM; empty if it has one."""
    try:
        last = network.last_map(images[:1])
    except ValueError as problem:
        return str(problem)
    if torch.allclose(network.pool(last), last.mean(dim=(2, 3)), rtol=TOLERANCE, atol=1e-6):
        return ""
    return "its embedding is not the mean of its last feature map"
