"""Means over corruptions and ratios between classifiers."""

import pytest

from automix_cli.evaluation.corruption_scores import COMMON, SETS, mean_error, mean_errors, ratios
from automix_cli.evaluation.corruptions import CORRUPTIONS


def test_the_fifteen_and_the_four_make_the_nineteen() -> None:
    assert len(COMMON) == 15
    assert len(SETS["extra"]) == 4
    assert set(SETS["mean19"]) == {*COMMON, *SETS["extra"]} == set(CORRUPTIONS)
    groups = ("noise", "blur", "weather", "digital")
    assert [len(SETS[group]) for group in groups] == [3, 4, 4, 4]


def test_every_corruption_counts_the_same_and_so_does_every_severity() -> None:
    mean = mean_error({"fog": [0.1, 0.3], "snow": [0.4, 0.6]}, ("fog", "snow"))
    assert mean is not None
    assert mean.error == pytest.approx((0.2 + 0.5) / 2)


def test_a_mean_names_what_is_missing() -> None:
    errors = {name: [0.5] * 5 for name in CORRUPTIONS if name != "frost"}
    means = mean_errors(errors)
    assert means["mean15"].missing == ("frost",)
    assert len(means["mean15"].of) == 14
    assert means["weather"].of == ("snow", "fog", "brightness")
    assert means["noise"].missing == ()


def test_a_mean_over_nothing_is_left_out() -> None:
    assert mean_errors({"fog": [0.5]}).keys() == {"mean15", "mean19", "weather"}


def test_a_classifier_relates_to_itself_as_one() -> None:
    errors = {name: [0.2, 0.4] for name in CORRUPTIONS}
    other = dict.fromkeys(CORRUPTIONS, 0.3)
    itself = ratios(errors, 0.1, other, 0.1)
    assert itself.mce == pytest.approx(1)
    assert itself.relative_mce == pytest.approx(1)
    assert itself.of == COMMON


def test_ratios_are_the_published_formula() -> None:
    errors = {"fog": [0.2, 0.4], "snow": [0.5, 0.7], "spatter": [0.9, 0.9]}
    other = {"fog": 0.6, "snow": 0.8, "spatter": 0.1}
    found = ratios(errors, 0.1, other, 0.4)
    assert found.of == ("snow", "fog")  # the four extra ones are not part of it
    assert found.mce == pytest.approx(((0.5 + 0.7) / 1.6 + (0.2 + 0.4) / 1.2) / 2)
    assert found.relative_mce == pytest.approx(((1.2 - 0.2) / 0.8 + (0.6 - 0.2) / 0.4) / 2)


def test_relative_mce_is_not_defined_where_corruption_costs_the_other_nothing() -> None:
    found = ratios({"fog": [0.3]}, 0.1, {"fog": 0.2}, 0.2)
    assert found.mce == pytest.approx(1.5)
    assert found.relative_mce is None


def test_classifiers_without_a_common_corruption_are_refused() -> None:
    with pytest.raises(ValueError, match="none of the fifteen"):
        ratios({"fog": [0.3]}, 0.1, {"snow": 0.2}, 0.2)
    with pytest.raises(ValueError, match="no error"):
        ratios({"fog": [0.3]}, 0.1, {"fog": 0.0}, 0.0)
