"""A classifier whose early features can be looked at, and had alone.

Any timm backbone that offers `forward_intermediates` serves. A stage is one of the feature maps
which that method gives, counted from 0: in a ResNet 0 is the stem and 1 to 4 are the stages, in a
vision transformer they are the blocks. Two heads stand on the same embedding, one for clean and one
for mixed images.

Legend: n images, k classes, c channels of the feature, h w its size, d width of the embedding.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from automix_cli.models.anatomy import Anatomy, check_stage, examine
from automix_cli.models.backbones import REFUSALS, ClassifierSpec, build_backbone
from automix_cli.models.freezing import Freezable
from automix_cli.models.interior import changed_map, class_attention, stages_to_change
from automix_cli.models.merged_feature import merge_patches, merged_anatomy

__all__ = ["Classifier", "ClassifierSpec", "build_classifier"]


class Classifier(Freezable):
    """A backbone with two linear heads on its embedding, and a view of one of its stages.

    Args:
        backbone: A timm model without a head of its own.
        anatomy: What it gives for the images to come; merged, if the feature is.
        feature_stage: The stage to show, in [0, number of stages).
        num_classes: k.
        merged_feature: Whether to show the stage behind the patch merging that follows it.

    Attributes:
        backbone: As given.
        head_one_hot: Head for clean images and their labels.
        head_mixed: Head for mixed images and their two labels.
        feature_stage: As given.
        merged_feature: As given.
        feature_channels: c.
        num_classes: k.
    """

    def __init__(
        self,
        backbone: nn.Module,
        anatomy: Anatomy,
        *,
        feature_stage: int,
        num_classes: int,
        merged_feature: bool = False,
    ) -> None:
        super().__init__(backbone)
        self.feature_stage = feature_stage
        self.merged_feature = merged_feature
        self.feature_channels = anatomy.stages[feature_stage][0]
        self.num_classes = num_classes
        self._stages = anatomy.stages
        self.head_one_hot = nn.Linear(anatomy.embedding_width, num_classes)
        self.head_mixed = nn.Linear(anatomy.embedding_width, num_classes)
        for head in (self.head_one_hot, self.head_mixed):
            nn.init.zeros_(head.bias)
            if anatomy.is_token_based:
                nn.init.trunc_normal_(head.weight, std=0.02)
            else:
                nn.init.normal_(head.weight, std=0.01)

    def features(self, images: Tensor) -> Tensor:
        """Give the feature alone; nothing behind its stage is computed.

        Args:
            images: `(n, channels, height, width)`, normalised.

        Returns:
            `(n, c, h, w)`, as it leaves the stage, without a final norm. Of a transformer: the
            tokens of the patches, without class token. With `merged_feature`: behind the patch
            merging.
        """
        feature = self.backbone.forward_intermediates(
            images,
            indices=[self.feature_stage],
            norm=False,
            stop_early=True,
            output_fmt="NCHW",
            intermediates_only=True,
        )[0]
        return self._shown(feature)

    def last_map(self, images: Tensor) -> Tensor:
        """Give the last feature map `(n, d, h, w)`, which pooling makes the embedding of.

        Raises:
            ValueError: there is none, because the backbone ends in tokens or widens afterwards.
        """
        last = self.backbone.forward_features(images)
        width = self.head_one_hot.in_features
        if last.ndim != 4 or last.shape[1] != width:
            raise ValueError(f"the backbone must end in a feature map of {width} channels")
        return last

    def pool(self, last_map: Tensor) -> Tensor:
        """Give the embedding `(n, d)` of a last map, of images or of a mixture of their maps."""
        return self.backbone.forward_head(last_map, pre_logits=True)

    @property
    def num_stages(self) -> int:
        """How many stages there are to show."""
        return len(self._stages)

    def mixing_stages(self) -> tuple[int, int]:
        """The first two stages behind the stem, whose maps ManifoldMix mixes.

        Raises:
            ValueError: the backbone has no such stages.
        """
        return stages_to_change(self.backbone, len(self._stages))

    def named_stages(self) -> list[tuple[nn.Module, int, int]]:
        """The modules that give the feature maps, with height and width of the maps.

        Empty where the backbone does not name them.
        """
        stated = getattr(self.backbone, "feature_info", ())
        if len(stated) != len(self._stages) or not all("module" in each for each in stated):
            return []
        modules = [self.backbone.get_submodule(each["module"]) for each in stated]
        return [
            (module, height, width)
            for module, (_, height, width) in zip(modules, self._stages, strict=True)
        ]

    def embed_changed(
        self, images: Tensor, stage: int, change: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Give the embedding `(n, d)` that comes of `change(map)` in the place of a stage's map.

        Raises:
            ValueError: the backbone cannot go on from that stage.
        """
        module = self.backbone.feature_info[stage]["module"]
        with changed_map(self.backbone, module, self._stages[stage], change):
            return self.embed(images)

    def embed_and_attend(self, images: Tensor) -> tuple[Tensor, Tensor, tuple[int, int]]:
        """Give the embedding, what the class token gives to each patch, and the patches' grid.

        Returns:
            `(n, d)`; `(n, heads, p)` of the last block, >= 0, without a gradient; rows and columns.

        Raises:
            ValueError: the backbone has no class token that attends.
        """
        with class_attention(self.backbone) as seen:
            embedding = self.embed(images)
        rows, columns = self.backbone.patch_embed.grid_size
        return embedding, seen[0], (rows, columns)

    def embed(self, images: Tensor) -> Tensor:
        """Give the embedding `(n, d)` on which the heads stand."""
        last = self.backbone.forward_features(images)
        return self.backbone.forward_head(last, pre_logits=True)

    def features_and_embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Give what `features` and `embed` give, in one pass."""
        last, (feature,) = self.backbone.forward_intermediates(
            images, indices=[self.feature_stage], norm=False, output_fmt="NCHW"
        )
        return self._shown(feature), self.backbone.forward_head(last, pre_logits=True)

    def _shown(self, feature: Tensor) -> Tensor:
        """The feature of the stage, merged where that is wanted."""
        if not self.merged_feature:
            return feature
        return merge_patches(self.backbone, feature, self.feature_stage)

    def forward(self, images: Tensor) -> Tensor:
        """Classify: logits `(n, k)` of the one-hot head, the one a classifier is used with."""
        return self.head_one_hot(self.embed(images))

    def forward_heads(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Give the logits of both heads, one-hot and mixed, `(n, k)` each, in one pass."""
        embedding = self.embed(images)
        return self.head_one_hot(embedding), self.head_mixed(embedding)


def build_classifier(spec: ClassifierSpec) -> Classifier:
    """Build a classifier, its first weights drawn from torch's global generator.

    What the backbone gives is found out, and checked, by showing it one image: neither weights nor
    statistics nor random generators are changed by that.

    Raises:
        ValueError: if the backbone is unknown or gives no features, if it does not take such a
            stem, image or stochastic depth, or if the stage does not exist, has no patch merging
            behind it that is to be shown, or does not divide the image into whole cells.
    """
    backbone = build_backbone(spec)
    if not hasattr(backbone, "forward_intermediates"):
        raise ValueError(
            f"backbone must show its features (timm's `forward_intermediates`), `{spec.backbone}`"
            " does not"
        )
    image = torch.linspace(-1, 1, spec.in_channels * spec.image_size**2)
    image = image.view(1, spec.in_channels, spec.image_size, spec.image_size)
    backbone.eval()
    try:
        anatomy = examine(backbone, image)
        if spec.merged_feature:
            anatomy = merged_anatomy(backbone, anatomy)
        check_stage(anatomy, spec.feature_stage, spec.image_size)
        classifier = Classifier(
            backbone,
            anatomy,
            feature_stage=spec.feature_stage,
            num_classes=spec.num_classes,
            merged_feature=spec.merged_feature,
        )
        _check_agreement(classifier.eval(), image)
    except REFUSALS as error:
        size = f"{spec.in_channels} x {spec.image_size} x {spec.image_size}"
        raise ValueError(f"`{spec.backbone}` for images of {size}: {error}") from error
    return classifier.train()


@torch.no_grad()
def _check_agreement(classifier: Classifier, image: Tensor) -> None:
    """Refuse a backbone whose early feature is not the one it has on its way to the embedding."""
    feature, embedding = classifier.features_and_embed(image)
    pairs = ((feature, classifier.features(image)), (embedding, classifier.embed(image)))
    for one, other in pairs:
        if one.shape != other.shape or not torch.allclose(one, other, rtol=1e-3, atol=1e-5):
            raise ValueError("it gives other features early than on the way to its embedding")
