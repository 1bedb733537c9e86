"""What is reported of errors on corrupted images: means over named corruptions, and ratios.

A mean says which corruptions it is of, and which of those it should be of are missing.

Legend: an error is a share of wrong answers, in [0, 1], one for each severity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from types import MappingProxyType

from automix_cli.evaluation.corruptions import CORRUPTIONS

ALEXNET_ERRORS: Mapping[str, float] = MappingProxyType(
    {
        "gaussian_noise": 0.886428,
        "shot_noise": 0.894468,
        "impulse_noise": 0.922640,
        "defocus_blur": 0.819880,
        "glass_blur": 0.826268,
        "motion_blur": 0.785948,
        "zoom_blur": 0.798360,
        "snow": 0.866816,
        "frost": 0.826572,
        "fog": 0.819324,
        "brightness": 0.564592,
        "contrast": 0.853204,
        "elastic_transform": 0.646056,
        "pixelate": 0.717840,
        "jpeg_compression": 0.606500,
    }
)
"""AlexNet's errors on ImageNet-C, averaged over the severities, by which mCE is defined."""

ALEXNET_CLEAN_ERROR = 1 - 0.56522
"""Its error on clean images: of torchvision's weights, 56.522 % top-1."""

Errors = Mapping[str, Sequence[float]]
"""By corruption: the error at each severity."""

COMMON = tuple(name for name, each in CORRUPTIONS.items() if each.group != "extra")
"""The fifteen corruptions that most publications average over."""

SETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mean15": COMMON,
        "mean19": tuple(CORRUPTIONS),
        **{
            group: tuple(name for name, each in CORRUPTIONS.items() if each.group == group)
            for group in ("noise", "blur", "weather", "digital", "extra")
        },
    }
)
"""What means are taken over, by name."""


@dataclass(frozen=True)
class MeanError:
    """A mean over corruptions, each of which counts the same.

    Attributes:
        error: Mean of the errors, in [0, 1].
        of: The corruptions it is the mean of.
        missing: Those that belong to the set and were not measured.
    """

    error: float
    of: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Ratios:
    """Errors in relation to another classifier's.

    Attributes:
        mce: Mean corruption error: 1 is as good as the other classifier.
        relative_mce: The same of what corruption adds to the error; None where it adds nothing to
            the other classifier's.
        of: The corruptions it is the mean of.
    """

    mce: float
    relative_mce: float | None
    of: tuple[str, ...]


def mean_error(errors: Errors, names: Iterable[str]) -> MeanError | None:
    """Average over severities, then over the corruptions of `names` that were measured.

    Returns:
        The mean, or None if none of them was.
    """
    names = tuple(names)
    of = tuple(name for name in names if name in errors)
    if not of:
        return None
    missing = tuple(name for name in names if name not in errors)
    return MeanError(fmean(fmean(errors[name]) for name in of), of, missing)


def mean_errors(errors: Errors) -> dict[str, MeanError]:
    """Every mean of `SETS` of which anything was measured."""
    means = {label: mean_error(errors, names) for label, names in SETS.items()}
    return {label: mean for label, mean in means.items() if mean is not None}


def ratios(errors: Errors, clean: float, other: Mapping[str, float], other_clean: float) -> Ratios:
    """Relate errors to those of another classifier, corruption by corruption.

    Args:
        errors: Of the classifier.
        clean: Its error on clean images.
        other: The other classifier's errors, averaged over the severities, by corruption.
        other_clean: Its error on clean images.

    Raises:
        ValueError: the two have none of the fifteen corruptions in common, or the other
            classifier makes no error on one.

    Source:
        Hendrycks and Dietterich (2019), mCE and relative mCE, as shares instead of percent. The
        sums over severities are means here, which makes no difference to their ratio.
    """
    of = tuple(name for name in COMMON if name in errors and name in other)
    if not of:
        raise ValueError("the two classifiers have none of the fifteen corruptions in common")
    if any(other[name] <= 0 for name in of):
        raise ValueError("the other classifier makes no error on a corruption")
    mine = {name: fmean(errors[name]) for name in of}
    mce = fmean(mine[name] / other[name] for name in of)
    if any(other[name] <= other_clean for name in of):
        return Ratios(mce, None, of)
    added = fmean((mine[name] - clean) / (other[name] - other_clean) for name in of)
    return Ratios(mce, added, of)
