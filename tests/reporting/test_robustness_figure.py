"""One page of plots: every network and attack has a curve of its own over the same epsilons."""

import pytest

from automix_cli.reporting.robustness_figure import robustness_figure
from automix_cli.reporting.robustness_tables import images_of


def model(clean: float) -> dict:
    attacks = [
        {
            "attack": name,
            "steps": 10,
            "norm": "linf",
            "epsilon": levels / 255,
            "accuracy": clean / (levels * factor),
        }
        for factor, name in ((2, "fgsm"), (4, "pgd"))
        for levels in (2, 8)
    ]
    shares = [{"share": share / 10, "accuracy": clean} for share in range(10)]
    unknown = [{"unknown": "noise", "score": "energy", "auroc": clean}]
    return {
        "clean": {"top1": clean},
        "attacks": attacks,
        "unknown": unknown,
        "occlusion": shares,
    }


@pytest.fixture
def content() -> dict:
    return {
        "quick": True,
        "num_images": 40,
        "num_test_images": 360,
        "dataset": "digits",
        "models": {"one": model(0.8), "two": model(0.6)},
    }


def test_robust_accuracy_is_drawn_against_epsilon_for_each_network(content: dict) -> None:
    attacks, unknown, occlusion = robustness_figure(content).axes
    curves = {line.get_label(): line.get_xydata().tolist() for line in attacks.lines}
    assert list(curves) == ["one: fgsm", "one: pgd-10", "two: fgsm", "two: pgd-10"]
    assert curves["two: fgsm"] == [[0, 60], [2 / 255, 15], [8 / 255, 3.75]]
    colours = [line.get_color() for line in attacks.lines]
    assert colours[0] == colours[1] != colours[2] == colours[3]  # a network keeps its colour
    assert len(unknown.patches) == 2
    assert [line.get_label() for line in occlusion.lines] == ["one", "two"]


def test_a_quick_page_says_so(content: dict) -> None:
    figure = robustness_figure(content)
    assert figure.get_suptitle() == images_of(content)
    assert images_of(content) == "quick: 40 of the 360 test images of digits"
