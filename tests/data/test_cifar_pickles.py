"""CIFAR's pickles are read without running anything they name."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from published_cifar import python2_pickle

from automix_cli.data.cifar_pickles import read_cifar_pickle

PIXELS = np.arange(2 * 3072, dtype=np.uint32).astype(np.uint8).reshape(2, 3072)
ENTRIES = {b"labels": [1, 0], b"data": PIXELS, b"filenames": [b"a.png", b"b.png"]}


class Runs:
    """Pickles to a call of `function(*arguments)`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def test_a_python_2_pickle_is_read_as_pickle_itself_reads_it() -> None:
    content = python2_pickle(ENTRIES)
    wanted = pickle.loads(content, encoding="latin1")
    entries = read_cifar_pickle(content)
    assert list(entries) == list(wanted)
    assert entries["labels"] == wanted["labels"]
    assert entries["filenames"] == wanted["filenames"]
    np.testing.assert_array_equal(entries["data"], wanted["data"])
    assert entries["data"].dtype == np.uint8


def test_a_python_3_pickle_is_read_too() -> None:
    entries = read_cifar_pickle(pickle.dumps({"labels": [1, 0], "data": PIXELS}, protocol=4))
    np.testing.assert_array_equal(entries["data"], PIXELS)


@pytest.mark.parametrize(
    "function", [os.system, eval, getattr, np.load, np.frombuffer, type], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_that_names_a_function_is_refused(function: Any, protocol: int) -> None:
    content = pickle.dumps({"data": Runs(function, "0")}, protocol=protocol)
    with pytest.raises(ValueError, match="not a CIFAR pickle: it asks for"):
        read_cifar_pickle(content)


def test_code_in_a_pickle_is_not_run(tmp_path: Path) -> None:
    victim = tmp_path / "was-run"
    content = pickle.dumps({"data": Runs(os.system, f"touch {victim}")})
    with pytest.raises(ValueError, match=r"it asks for `(posix|nt)\.system`"):
        read_cifar_pickle(content)
    assert not victim.exists()
    pickle.loads(content)  # it would have been: the test can fail
    assert victim.exists()


def test_a_dotted_name_does_not_reach_into_what_is_allowed() -> None:
    content = b"\x80\x04\x8c\x05numpy\x8c\x0edtype.__init__\x93."
    with pytest.raises(ValueError, match=r"it asks for `numpy\.dtype\.__init__`"):
        read_cifar_pickle(content)


def test_a_reference_to_an_outside_object_is_refused() -> None:
    with pytest.raises(ValueError, match="outside object"):
        read_cifar_pickle(b"\x80\x02Pthing\n.")


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 3), np.float32), np.zeros((2, 3), np.int8), np.array([None, 1], dtype=object)],
    ids=["float", "signed", "object"],
)
def test_only_arrays_of_unsigned_bytes_are_read(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="something else than unsigned bytes"):
        read_cifar_pickle(pickle.dumps({"data": array}, protocol=4))


def test_an_array_must_fill_its_shape() -> None:
    content = python2_pickle({b"data": PIXELS})
    rows = b"J" + (2).to_bytes(4, "little")
    longer = content.replace(rows, b"J" + (3).to_bytes(4, "little"))
    assert longer != content
    with pytest.raises(ValueError, match=r"does not fill its shape \(3, 3072\)"):
        read_cifar_pickle(longer)


def test_a_truncated_pickle_is_refused_wherever_it_ends() -> None:
    content = python2_pickle({b"labels": [1, 0], b"data": PIXELS[:, :2], b"names": [b"a"]})
    for end in range(len(content)):
        with pytest.raises(ValueError, match="not a CIFAR pickle"):
            read_cifar_pickle(content[:end])


def test_what_holds_no_dictionary_is_refused() -> None:
    with pytest.raises(ValueError, match="it holds a list, not a dictionary"):
        read_cifar_pickle(pickle.dumps([1, 2]))
