"""What most people would write: a torchvision data set in a DataLoader, to be measured against.

The same crop, mirroring and normalisation, by Pillow and `torchvision.transforms`, in processes.

Legend: c channels, s height and width that the network sees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as v1
from torchvision.transforms import v2

from automix_cli.data.decoding import FORMATS
from automix_cli.data.image_files import ImageFiles
from automix_cli.data.image_set import ImageSet
from automix_cli.data.recipe import Recipe, View


class PillowDataset(Dataset[tuple[Tensor, int]]):
    """Images as `torchvision.datasets` gives them: Pillow images through a transform, one by one.

    Args:
        images: As in `CIFAR10` or as in `ImageFolder`.
        transform: From a Pillow image to `(c, s, s)`, float32.
    """

    def __init__(self, images: ImageSet | ImageFiles, transform: Callable[[Any], Tensor]) -> None:
        self._labels = images.labels.tolist()
        self._transform = transform
        self._arrays = None
        self._paths: list[Path] = []
        if isinstance(images, ImageSet):
            self._arrays = images.images.cpu().permute(0, 2, 3, 1).contiguous().numpy()
        else:
            self._paths = [images.root / path for path in images.paths]

    def __len__(self) -> int:
        """Number of images."""
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Give one image, freshly augmented, with its label."""
        return self._transform(self._picture(index)), self._labels[index]

    def _picture(self, index: int) -> Image.Image:
        if self._arrays is not None:
            array = self._arrays[index]
            return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
        with self._paths[index].open("rb") as file:
            return Image.open(file, formats=FORMATS).convert("RGB")


def torchvision_loader(
    images: ImageSet | ImageFiles,
    recipe: Recipe,
    view: View,
    batches: Sequence[Sequence[int]],
    num_workers: int,
) -> DataLoader[tuple[Tensor, int]]:
    """A DataLoader that goes through the given batches each time it is iterated over.

    Args:
        images: What to load; must have the shape that the recipe crops from.
        recipe: Its crop and mirroring are done, nothing else.
        view: Mean and standard deviation.
        batches: Indices of the images of each batch.
        num_workers: Processes; 0: none. They stay until the loader is deleted.
    """
    dataset = PillowDataset(images, _transform(recipe, view, is_array=isinstance(images, ImageSet)))
    options: dict[str, Any] = {"num_workers": num_workers}
    if num_workers:  # a fresh process each: this one has threads, which a fork would not copy
        options |= {"persistent_workers": True, "multiprocessing_context": "spawn"}
    return DataLoader(dataset, batch_sampler=list(map(list, batches)), **options)


def _transform(recipe: Recipe, view: View, *, is_array: bool) -> Callable[[Any], Tensor]:
    """The faster of torchvision's two ways: the old one for arrays, the new one for files."""
    kind: Any = v1 if is_array else v2
    interpolation = v2.InterpolationMode(recipe.interpolation)
    if recipe.crop == "pad":
        padding = recipe.crop_padding
        steps = [kind.RandomCrop(recipe.size, padding=padding, padding_mode="reflect")]
    else:
        scale = (recipe.crop_scale_min, 1.0)
        steps = [kind.RandomResizedCrop(recipe.size, scale, interpolation=interpolation)]
    if recipe.resize or (recipe.crop == "pad" and not is_array):
        steps.insert(0, kind.Resize(recipe.resize or recipe.size, interpolation=interpolation))
    if recipe.flip:
        steps.append(kind.RandomHorizontalFlip())
    as_tensor = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    steps += [v1.ToTensor()] if is_array else as_tensor
    return kind.Compose([*steps, kind.Normalize(list(view.mean), list(view.std))])
