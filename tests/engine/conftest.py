"""A real run in small: the embedded digits, the tiny ResNet, the complete method."""

from collections.abc import Callable

import pytest

from automix_cli.commands.training.run import Prepared, prepare_run
from automix_cli.settings.layering import Overrides, load

Prepare = Callable[..., Prepared]

SMALL = ("train.epochs=1", "train.batch_size=16", "run.device=cpu")


@pytest.fixture
def prepare() -> Prepare:
    def small_run(*sets: str) -> Prepared:
        overrides = Overrides(preset="digits-tiny", sets=(*SMALL, *sets))
        return prepare_run(load(overrides, environment={})[0])

    return small_run
