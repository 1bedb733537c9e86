"""Imports are quick, and garbage is collected again afterwards."""

import gc

import pytest

from automix_cli.startup import quick_imports


def test_no_garbage_is_looked_for_while_importing() -> None:
    with quick_imports():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_failed_import_leaves_the_collector_on() -> None:
    with pytest.raises(ImportError), quick_imports():
        raise ImportError
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with quick_imports():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
