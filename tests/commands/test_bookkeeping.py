"""How a run measures itself."""

from pathlib import Path
from typing import Any

import pytest
import torch

from automix_cli.commands.training.bookkeeping import Bookkeeper
from automix_cli.commands.training.run import prepare_run
from automix_cli.engine.loop import TrainState
from automix_cli.settings.layering import Overrides, load


@pytest.mark.parametrize(("precision", "wanted"), [("no", torch.float32), ("bf16", torch.bfloat16)])
def test_a_run_is_judged_in_its_own_number_format(
    tmp_path: Path, precision: str, wanted: torch.dtype
) -> None:
    sets = (f"train.mixed_precision={precision}", "run.device=cpu")
    settings = load(Overrides(preset="digits-tiny", sets=sets), environment={})[0]
    prepared = prepare_run(settings)
    nobody: Any = None
    books = Bookkeeper(
        settings=settings,
        training=prepared.training,
        state=TrainState(),
        folder=tmp_path,
        metrics=None,
        trackers=nobody,
        progress=nobody,
        init=None,
        last_good=None,
        splits=prepared.splits,
        masks=None,
    )
    books.method.eval()
    images, _ = next(iter(books.batches(prepared.splits.test, rank=0, num_ranks=1)))
    assert {each.dtype for each in books.predict(images[:2]).values()} == {wanted}
