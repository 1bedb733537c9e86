"""Several processes mean the same as one, and every launcher works."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.commands.conftest import QUICK, finish, free_port, start, wait_for, workers_of
from tests.commands.test_resume import LONGER, has_reached
from tests.engine.test_golden_run import assert_recorded

PROBE = Path(__file__).with_name("two_process_probe.py")


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """What each of two processes saw and holds after three steps."""
    folder = tmp_path_factory.mktemp("probe")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command += ["--master_port", str(free_port()), str(PROBE), str(folder)]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]


def test_two_processes_really_run(probed: list[dict[str, object]]) -> None:
    assert [each["num_processes"] for each in probed] == [2, 2]


def test_all_parameters_and_buffers_are_equal_on_both_ranks(
    probed: list[dict[str, dict[str, torch.Tensor]]],
) -> None:
    first, second = (each["state"] for each in probed)
    assert len(first) > 50
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_five_seeded_steps_of_two_processes_give_the_recorded_losses(
    probed: list[dict[str, list[dict[str, float]]]],
) -> None:
    for each in probed:
        assert_recorded(each["five steps"], processes=2)


def test_the_ranks_draw_different_pairings(probed: list[dict[str, torch.Tensor]]) -> None:
    assert not torch.equal(probed[0]["lam"], probed[1]["lam"])


def test_one_process_and_two_see_the_same_pixels(
    probed: list[dict[str, list[torch.Tensor]]],
) -> None:
    from automix_cli.commands.training.run import prepare_run
    from tests.commands.two_process_probe import settings_of_probe

    batches = prepare_run(settings_of_probe()).training.batches
    for step in range(3):
        whole = torch.cat([batch.images for batch in batches.at(step)])
        parts = torch.cat([each["images"][step] for each in probed])
        ordered = sorted(range(len(parts)), key=lambda row: parts[row].flatten().tolist())
        expected = sorted(range(len(whole)), key=lambda row: whole[row].flatten().tolist())
        assert torch.equal(parts[ordered], whole[expected])


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torchrun", "accelerate launch"])
def test_every_launcher_trains(tmp_path: Path, launcher: str) -> None:
    """`python -m automix_cli` is how every other test here starts the program."""
    accelerate = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1"]
    accelerate += ["--num_machines", "1", "--mixed_precision", "bf16", "--dynamo_backend", "no"]
    torchrun = ["-m", "torch.distributed.run", "--nproc_per_node", "2"]
    torchrun += ["--master_port", str(free_port())]
    before = torchrun if launcher == "torchrun" else accelerate
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, *before, "-m", "automix_cli", "train", *QUICK, "-o", "run", "--json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["num_processes"] == (2 if launcher == "torchrun" else 1)
    if launcher == "accelerate launch":
        assert "precision bf16" in done.stderr


@pytest.mark.slow
def test_sigterm_to_one_rank_stops_both_with_a_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    endless = [each for each in LONGER if "epochs" not in each]
    arguments = ["train", *endless, "--epochs", "50", "-o", "run"]
    process = start(arguments, folder=tmp_path, processes=2)
    wait_for(lambda: has_reached(run, 5), process)
    os.kill(workers_of(process.pid)[-1], signal.SIGTERM)  # not the one that writes
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert errors.count("the checkpoint is saved") >= 1
    assert torch.load(run / "ckpt.pt", weights_only=True)["state"]["step"] >= 5


@pytest.mark.slow
@pytest.mark.parametrize("method", ["cutmix", "puzzlemix", "comixup"])
def test_a_rival_trains_on_two_processes_with_uneven_parts(tmp_path: Path, method: str) -> None:
    sets = ("--set=train.batch_size=15", "--set=train.accumulation_steps=2", "--json")
    arguments = ["train", *QUICK[:1], *QUICK[2:], *sets, "-m", method, "-o", "run"]
    output, _ = finish(start(arguments, folder=tmp_path, processes=2))
    assert json.loads(output)["num_processes"] == 2


@pytest.mark.slow
def test_two_processes_judge_a_network_as_one_does(tmp_path: Path) -> None:
    finish(start(["train", "-p", "digits-tiny", *QUICK, "-o", "run"], folder=tmp_path))
    only = [f"--only={part}" for part in ("attacks", "unknown", "occlusion")]
    for command in (
        ["eval", "run", "--mixed", "--device", "cpu"],
        ["robustness", "run", *only, "--quick", "41", "--steps=2", "--device=cpu"],
    ):
        reports = []
        for processes in (1, 2):
            output, _ = finish(start([*command, "--json"], folder=tmp_path, processes=processes))
            reports.append(json.loads(output))
        (measured,) = {"heads", "models"} & reports[0].keys()
        assert_close(reports[0][measured], reports[1][measured])


def assert_close(one: object, two: object) -> None:
    """Equal but for rounding in the last digits, through all levels."""
    if isinstance(one, dict):
        assert isinstance(two, dict)
        assert one.keys() == two.keys()
        for key in one:
            assert_close(one[key], two[key])
    elif isinstance(one, list):
        assert isinstance(two, list)
        for each, other in zip(one, two, strict=True):
            assert_close(each, other)
    else:
        assert two == (pytest.approx(one, rel=1e-3) if isinstance(one, float) else one)
