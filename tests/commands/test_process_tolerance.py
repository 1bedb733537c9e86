"""One process and two: equal but for rounding, or, where chance is shared out, nearly."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.commands.conftest import finish, records_of, start

PLAIN = (
    "--method=vanilla",  # nothing is drawn, and no image is normalised by the others with it
    "--set=model.backbone=test_vit",
    "--set=model.stem=imagenet",
    "--set=model.feature_stage=5",
    "--set=train.max_steps=6",
    "--set=train.batch_size=15",  # eight images and seven
    "--set=train.log_every=1",
    "--device=cpu",
)
ROUNDING = 1e-5
"""As a share of each loss; the largest of twelve was 2.1e-7."""


@pytest.mark.slow
def test_two_processes_train_as_one_does_but_for_rounding(tmp_path: Path) -> None:
    """Their gradients are averaged with the weights of their parts."""
    runs = [tmp_path / f"run{processes}" for processes in (1, 2)]
    for processes, run in enumerate(runs, start=1):
        finish(start(["train", *PLAIN, "-o", run], folder=tmp_path, processes=processes))
    one, two = (
        [each["loss/total"] for each in records_of(run) if each["split"] == "train"] for run in runs
    )
    assert two == pytest.approx(one, rel=ROUNDING)
    assert one[0] != pytest.approx(one[1], rel=ROUNDING)
    weights = [load_file(run / "classifier.safetensors") for run in runs]
    for name, tensor in weights[0].items():
        assert float((weights[1][name] - tensor).abs().max()) < ROUNDING, name
