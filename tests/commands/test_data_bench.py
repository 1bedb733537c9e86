"""`automix data bench` measures the run's own pipeline and step, and says which waits."""

import json

import pytest

from automix_cli.commands.data_bench import without_colours
from automix_cli.commands.turns import Rounds
from automix_cli.data.speed import random_batches
from automix_cli.randomness import Purpose, stream
from automix_cli.settings import DataSettings
from tests.commands.conftest import Automix

FEW = ("--rounds", "2", "--steps", "1", "--set=train.batch_size=8", "--device=cpu")


def test_it_names_the_slower_of_pipeline_and_training_step(automix: Automix) -> None:
    result = automix("data", "bench", "-p", "digits-tiny", *FEW, "--json")
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    rates = {name: content[name]["images_per_second"] for name in ("pipeline", "training_step")}
    slower = min(rates, key=rates.__getitem__)
    assert content["bottleneck"] == slower.replace("_", " ")
    assert content["images_made"] == "in whole batches on the device"
    assert len(content["pipeline"]["rounds"]) == 2
    assert "torchvision" not in content


def test_against_torchvision_both_sides_only_crop_and_mirror(automix: Automix) -> None:
    changes = ("--set=data.color_jitter=0.4", "--set=data.workers=0", "--vs-torchvision")
    result = automix("data", "bench", "-p", "digits-tiny", *FEW, *changes, "--json")
    assert result.exit_code == 0, result.output
    assert "both sides only crop, mirror and normalise" in result.stderr
    content = json.loads(result.stdout)
    assert content["images_made"] == "one by one in threads"
    compared = content["torchvision"]
    rounds = zip(compared["ours"]["rounds"], compared["theirs"]["rounds"], strict=True)
    assert compared["ratios"] == [ours / theirs for ours, theirs in rounds]
    assert compared["workers"] == 0


def test_people_get_a_table_and_no_file(automix: Automix) -> None:
    from pathlib import Path

    result = automix("data", "bench", "-p", "digits-tiny", *FEW)
    assert result.exit_code == 0, result.output
    assert "pipeline alone" in result.stdout
    assert "the bottleneck is the training step" in result.stdout
    assert list(Path.cwd().iterdir()) == []


def test_the_comparison_leaves_crop_and_mirroring_as_they_are() -> None:
    settings = DataSettings(flip=False, crop_padding=2, three_augment=True, erase_probability=0.5)
    reduced = without_colours(settings)
    assert (reduced.flip, reduced.crop_padding) == (False, 2)
    assert (reduced.three_augment, reduced.erase_probability) == (False, 0.0)


def test_ratios_compare_rounds_that_were_measured_together() -> None:
    assert Rounds((10.0, 40.0, 30.0)).ratios(Rounds((1.0, 8.0, 2.0))) == (10.0, 5.0, 15.0)
    assert Rounds((10.0, 40.0, 30.0)).median == 30.0


def test_drawn_batches_go_through_all_images_before_any_comes_again() -> None:
    batches = random_batches(5, 2, 5, stream(Purpose.ORDER, 0, 0))
    assert [len(batch) for batch in batches] == [2] * 5
    flat = [index for batch in batches for index in batch]
    assert sorted(flat[:5]) == sorted(flat[5:]) == list(range(5))


@pytest.mark.slow
def test_a_dataloader_with_processes_is_measured_too(automix: Automix) -> None:
    changes = ("--set=data.workers=1", "--vs-torchvision", "--json")
    result = automix("data", "bench", "-p", "digits-tiny", *FEW, *changes)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["torchvision"]["workers"] == 1
