"""Our numbers for a public network whose numbers are known.

Needs files that are not part of the project, named by two environment variables:

* `RESNET20_WEIGHTS`: `resnet20-12fca82f.th` of akamaster/pytorch_resnet_cifar10 (BSD-2).
* `CIFAR10_DIR`: the folder that holds `cifar-10-batches-py`.

The published test error is 8.27 %. NLL, ECE and the FGSM errors on the first 2,000 images were
measured by a prototype of other code; see the numbers below.
"""

import json
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from automix_cli.cli import app
from automix_cli.commands.trained import ready_network, stored_settings
from automix_cli.data.batches import evaluation_batches
from automix_cli.data.datasets import DataRequest, ImageSet, load_splits
from automix_cli.data.loading import Loading
from automix_cli.data.recipe import View
from automix_cli.evaluation.accuracy import BASICS, accuracy_from
from automix_cli.evaluation.attacks import Attack, random_start
from automix_cli.evaluation.calibration import Reliability, reliability_totals
from automix_cli.evaluation.pixel_classifier import PixelClassifier
from automix_cli.evaluation.robust_accuracy import (
    Chance,
    attack_batch,
    outcome_totals,
    robust_accuracy,
)
from automix_cli.evaluation.totals import accumulate
from automix_cli.randomness import Purpose, stream
from automix_cli.settings.layering import Layer, Overrides, load
from tests.evaluation.public_resnet20 import write_portable

WEIGHTS, FOLDER = (os.environ.get(name) for name in ("RESNET20_WEIGHTS", "CIFAR10_DIR"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (WEIGHTS and FOLDER), reason="needs RESNET20_WEIGHTS and CIFAR10_DIR"),
]


@pytest.fixture(scope="module")
def portable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights as a portable classifier of ours."""
    file = tmp_path_factory.mktemp("weights") / "resnet20.safetensors"
    write_portable(Path(str(WEIGHTS)), file)
    return file


@pytest.fixture(scope="module")
def pixels(portable: Path) -> PixelClassifier:
    settings, _ = load(Overrides(), base=Layer(stored_settings(portable), str(portable)))
    trained, network = ready_network(portable, settings, torch.device("cpu"))
    return PixelClassifier(network, trained.mean, trained.std)


@pytest.fixture(scope="module")
def test_set() -> ImageSet:
    request = DataRequest(name="cifar10", directory=Path(str(FOLDER)), download=False)
    images = load_splits(request).test
    assert isinstance(images, ImageSet)
    return images


def batches(images: ImageSet, most: int = 10_000) -> Iterable[tuple[Tensor, Tensor]]:
    part = ImageSet(images.images[:most], images.labels[:most], images.class_names)
    view = View((0.0,) * 3, (1.0,) * 3, 32)
    loading = Loading(torch.device("cpu"), None)
    return evaluation_batches(part, view, loading, batch_size=250, rank=0, num_ranks=1)


def under_attack(pixels: PixelClassifier, images: ImageSet, attack: Attack, most: int):
    totals = torch.zeros(6, dtype=torch.float64)
    for number, (part, labels) in enumerate(batches(images, most)):

        def start(restart: int, number: int = number, n: int = len(part)) -> Tensor:
            rngs = [stream(Purpose.ATTACK, 0, 3 * restart, 250 * number + i) for i in range(n)]
            return random_start(rngs, (3, 32, 32), attack.norm)

        chance = Chance(start if attack.starts_at_random else None)
        outcome = attack_batch(
            pixels, part.clamp(0, 1), labels, attack, chance, every_image=attack.steps == 1
        )
        totals += outcome_totals(outcome)
    return robust_accuracy(totals)


def test_clean_error_and_calibration_are_the_published_ones(pixels, test_set) -> None:
    statistics = {**BASICS, "ten bins": partial(reliability_totals, num_bins=10)}
    sums = accumulate(lambda images: {"all": pixels(images)}, batches(test_set), statistics)["all"]
    measured = accuracy_from(sums)
    ten = Reliability(sums["ten bins"])
    assert 100 * (1 - measured.top1) == pytest.approx(8.27, abs=0.01)
    assert measured.nll == pytest.approx(0.3727, abs=1e-4)
    assert measured.ece == pytest.approx(0.0532, abs=1e-4)
    assert ten.expected_error() == pytest.approx(0.0532, abs=1e-4)
    assert ten.overconfidence() == pytest.approx(ten.expected_error(), abs=2e-3)


@pytest.mark.parametrize(("levels", "error"), [(8, 83.55), (2, 70.60)])
def test_fgsm_errors_on_the_first_2000_are_those_of_other_code(
    pixels, test_set, levels: int, error: float
) -> None:
    measured = under_attack(pixels, test_set, Attack(epsilon=levels / 255), 2000)
    assert 100 * (1 - measured.attacked) == pytest.approx(error, abs=0.1)
    assert 100 * measured.clean == pytest.approx(91.65, abs=0.05)


def test_pgd_leaves_nothing_of_a_network_that_was_never_attacked_in_training(
    pixels, test_set
) -> None:
    attack = Attack(epsilon=8 / 255, steps=10, step_size=2 / 255, starts_at_random=True)
    measured = under_attack(pixels, test_set, attack, 500)
    assert measured.robust <= 0.002


def test_eval_reproduces_the_published_error(portable: Path) -> None:
    command = ["eval", "--checkpoint", str(portable), "--data-dir", str(FOLDER), "--device=cpu"]
    evaluated = CliRunner().invoke(app, [*command, "--json"], catch_exceptions=False)
    assert evaluated.exit_code == 0, evaluated.output
    head = json.loads(evaluated.stdout)["heads"]["momentum_one_hot"]
    assert 100 * (1 - head["top1"]) == pytest.approx(8.27, abs=0.01)
    assert head["ece"] == pytest.approx(0.0532, abs=1e-4)
