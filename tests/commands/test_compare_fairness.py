"""What makes a comparison fair: from one seed, all methods start alike and see the same images."""

from pathlib import Path

import pytest
import torch

from automix_cli.commands.comparing.cells import Cell, planned_cells
from automix_cli.commands.requests.compare import CompareRequest
from automix_cli.commands.training.run import Prepared, prepare_run
from automix_cli.settings.layering import Flag, Overrides
from automix_cli.settings.toml import changed_keys

METHODS = "vanilla,cutmix,puzzlemix,automix"


@pytest.fixture(scope="module")
def cells() -> dict[str, Cell]:
    overrides = Overrides("digits-tiny", flags=(Flag("--device", "run.device", "cpu"),))
    request = CompareRequest(methods=METHODS, seeds="3,4")
    return {cell.name: cell for cell in planned_cells(overrides, request, Path("out"))}


@pytest.fixture(scope="module")
def prepared(cells: dict[str, Cell]) -> dict[str, Prepared]:
    """Every method ready for its first step, with one seed."""
    return {cell.arm.name: prepare_run(cell.settings) for cell in cells.values() if cell.seed == 3}


def test_a_variant_may_begin_with_another_backbone_for_each_seed() -> None:
    overrides = Overrides("digits-tiny", flags=(Flag("--device", "run.device", "cpu"),))
    own = ("other: model.init=runs/automix-seed{seed}/ckpt.pt",)
    request = CompareRequest(methods="none", variants=own, seeds="3,14")
    cells = planned_cells(overrides, request, Path("out"))
    assert {cell.name: cell.settings.model.init for cell in cells} == {
        "other-seed3": "runs/automix-seed3/ckpt.pt",
        "other-seed14": "runs/automix-seed14/ckpt.pt",
    }
    assert {cell.arm.sets for cell in cells} == {(own[0].partition(" ")[2],)}


def first_weights(run: Prepared) -> dict[str, torch.Tensor]:
    """Of the trained classifier and of its average, without AutoMix's second head."""
    model = run.training.accelerator.unwrap_model(run.training.model)
    return {
        name: tensor
        for name, tensor in model.state_dict().items()
        if name.startswith(("classifier.", "momentum_classifier."))
    }


@pytest.mark.parametrize("method", METHODS.split(",")[1:])
def test_one_seed_gives_every_method_the_same_first_weights(
    prepared: dict[str, Prepared], method: str
) -> None:
    expected = first_weights(prepared["vanilla"])
    got = first_weights(prepared[method])
    assert got.keys() == expected.keys()
    assert len(got) > 50
    for name, tensor in expected.items():
        assert torch.equal(tensor, got[name]), name


@pytest.mark.parametrize("method", METHODS.split(",")[1:])
def test_one_seed_gives_every_method_the_same_images_in_the_same_order(
    prepared: dict[str, Prepared], method: str
) -> None:
    steps_per_epoch = prepared["vanilla"].plan.steps_per_epoch
    assert prepared[method].plan.total_steps == prepared["vanilla"].plan.total_steps
    for step in (0, 1, steps_per_epoch - 1, steps_per_epoch):
        one, other = (
            next(iter(prepared[name].training.batches.at(step))) for name in ("vanilla", method)
        )
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def test_another_seed_gives_other_weights_and_another_order(
    cells: dict[str, Cell], prepared: dict[str, Prepared]
) -> None:
    other = prepare_run(cells["vanilla-seed4"].settings)
    weights, others = first_weights(prepared["vanilla"]), first_weights(other)
    assert not torch.equal(
        weights["classifier.head_one_hot.weight"], others["classifier.head_one_hot.weight"]
    )
    one, two = (next(iter(each.training.batches.at(0))) for each in (prepared["vanilla"], other))
    assert not torch.equal(one.labels, two.labels)


def test_the_cells_of_one_seed_differ_in_the_method_and_its_alpha_alone(
    cells: dict[str, Cell],
) -> None:
    vanilla = cells["vanilla-seed3"].settings
    for name, cell in cells.items():
        changed = set(changed_keys(vanilla, cell.settings)) - {"run.output_dir"}
        allowed = {"mix.method", "mix.alpha"} | ({"run.seed"} if "seed4" in name else set())
        assert changed <= allowed
