"""Fast mode in whole runs: resumed exactly, on several processes, refused where senseless."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.commands.conftest import Automix, finish, records_of, start

PASSES = ("full", "early")
SIX_STEPS = ("-p", "digits-tiny", "--epochs=1", "--set=data.train_limit=60", "--batch-size=10")
SIX_STEPS += ("--device=cpu", "--set=train.log_every=1")
PIECES = [
    pytest.param(("mix.mix_block_interval=4",), id="every 4th step", marks=pytest.mark.slow),
    pytest.param(("mix.one_hot_fraction=0.5",), id="clean for half", marks=pytest.mark.slow),
    pytest.param(("mix.clean_share=0.5", "mix.mixed_share=0.5"), id="halves"),
    pytest.param(
        (
            "mix.method=samix",
            "mix.mix_block_interval=3",
            "mix.momentum_clean_pass=early",
            "mix.one_hot_fraction=0.5",
            "train.accumulation_steps=3",
        ),
        id="SAMix, all that go together, in micro-batches",
    ),
]


@pytest.mark.parametrize("piece", PIECES)
def test_stopped_in_the_middle_and_resumed_is_as_if_never_stopped(
    automix: Automix, tmp_path: Path, piece: tuple[str, ...]
) -> None:
    """Step 2 is no step of an interval's start, and the last but one with clean images."""
    command = ("train", *SIX_STEPS, *(f"--set={each}" for each in piece))
    assert automix(*command, "-o", "whole", "--set=train.max_steps=6").exit_code == 0
    assert automix(*command, "-o", "half", "--set=train.max_steps=2").exit_code == 0
    assert automix("train", "--resume", "half", "--set=train.max_steps=6").exit_code == 0
    whole, half = tmp_path / "whole", tmp_path / "half"
    bytes_of = [(each / "classifier.safetensors").read_bytes() for each in (whole, half)]
    assert bytes_of[0] == bytes_of[1]
    steps = [
        [each for each in records_of(run) if each["split"] == "train"] for run in (whole, half)
    ]
    assert steps[0] == steps[1]


def test_clean_images_are_shown_for_their_share_of_the_run_and_the_record_says_so(
    automix: Automix, tmp_path: Path
) -> None:
    command = ("train", *SIX_STEPS, "--set=mix.one_hot_fraction=0.5", "-o", "run")
    assert automix(*command).exit_code == 0
    steps = [each for each in records_of(tmp_path / "run") if each["split"] == "train"]
    assert [each["one_hot_weight"] for each in steps] == [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    assert [each["loss/one_hot"] > 0 for each in steps] == [True] * 3 + [False] * 3
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["last"]["test"].keys() == {"classifier_one_hot", "momentum_one_hot"}


def test_an_early_clean_pass_leaves_the_result_alone_if_its_statistics_are_recomputed(
    automix: Automix, tmp_path: Path
) -> None:
    """The losses do not see the later stages, and the buffers are not those of the training."""
    command = ("train", *SIX_STEPS, "--set=mix.momentum_buffers=precise")
    for clean_pass in PASSES:
        wanted = f"--set=mix.momentum_clean_pass={clean_pass}"
        assert automix(*command, wanted, "-o", clean_pass).exit_code == 0
    full, early = (load_file(tmp_path / each / "classifier.safetensors") for each in PASSES)
    assert all(torch.equal(full[name], early[name]) for name in full)


def mix_block_after(steps: int, folder: Path, *more: str) -> dict[str, Tensor]:
    """The mix block of a run of two processes, which is started or goes on."""
    finish(start(["train", *more, f"--set=train.max_steps={steps}"], folder=folder, processes=2))
    state = torch.load(folder / "run" / "ckpt.pt", weights_only=True)["model"]
    return {name: each for name, each in state.items() if name.startswith("mix_block.")}


@pytest.mark.slow
def test_on_two_processes_a_resting_mix_block_keeps_still_too(tmp_path: Path) -> None:
    """Uneven micro-batches; SGD with momentum and weight decay, which zeros would let move it."""
    sets = ("--batch-size=15", "--set=train.accumulation_steps=2", "--set=mix.mix_block_interval=2")
    fresh = ("-p", "digits-tiny", "--device=cpu", *sets, "-o", "run")
    first = mix_block_after(1, tmp_path, *fresh)
    rested = mix_block_after(2, tmp_path, "--resume", "run")
    moved = mix_block_after(3, tmp_path, "--resume", "run")
    assert all(torch.equal(first[name], rested[name]) for name in first)
    assert not any(torch.equal(first[name], moved[name]) for name in first)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [3, 15])
def test_halves_train_on_two_processes_of_which_one_may_have_a_single_image(
    tmp_path: Path, batch_size: int
) -> None:
    sets = ("--set=mix.clean_share=0.5", "--set=mix.mixed_share=0.5", "--json")
    arguments = ["--set=train.max_steps=3", *sets]
    arguments = [
        "train",
        "-p",
        "digits-tiny",
        "--device=cpu",
        f"--batch-size={batch_size}",
        *arguments,
    ]
    output, _ = finish(start([*arguments, "-o", "run"], folder=tmp_path, processes=2))
    assert json.loads(output)["num_processes"] == 2


@pytest.mark.parametrize(
    ("sets", "wanted"),
    [
        (("mix.mixed_share=0.5", "mix.one_hot_fraction=0.5"), "would not be used afterwards"),
        (("mix.method=adautomix", "mix.mix_block_interval=4"), "must be 1 for `adautomix`"),
        (("mix.mix_block_interval=0",), "`mix.mix_block_interval` must be a whole number"),
        (("mix.one_hot_fraction=1.5",), "`mix.one_hot_fraction` must be a number"),
    ],
)
def test_senseless_combinations_are_usage_errors(
    automix: Automix, sets: tuple[str, ...], wanted: str
) -> None:
    result = automix("train", *SIX_STEPS, *(f"--set={each}" for each in sets))
    assert result.exit_code == 2
    assert wanted in result.stderr
