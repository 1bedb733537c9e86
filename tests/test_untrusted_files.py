"""Files and names from strangers: nothing in them is run, obeyed, or given more than its share."""

import io
import json
import os
import pickle
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.table import Table

from automix_cli.commands.inspect import inspected, named
from automix_cli.commands.trained import read_file
from automix_cli.data.cifar_pickles import read_cifar_pickle
from automix_cli.data.corrupted_reading import open_corrupted, read_meta
from automix_cli.data.decoding import PictureFile
from automix_cli.data.download import Archive, fetch
from automix_cli.data.frost import PHOTOGRAPHS, load_photographs
from automix_cli.data.image_set import ImageSet
from automix_cli.data.inspection import look_at_all
from automix_cli.data.matlab import read_matlab
from automix_cli.data.tables import read_table
from automix_cli.engine.weights import write_weights
from automix_cli.errors import AutoMixError, CheckpointError, DataError, SettingsError
from automix_cli.reporting.evaluation_files import confusion_csv
from automix_cli.reporting.tables import print_tables
from automix_cli.settings.toml import read_toml
from tests.engine.test_checkpoint import Bomb
from tests.fuzz import DATASET, array_targets


def refused(read: Callable[[], object], kind: type[AutoMixError], words: str, code: int) -> None:
    """Reading ends in an error of the documented kind and exit code."""
    with pytest.raises(kind, match=words) as caught:
        read()
    assert caught.value.exit_code == code


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.onnx", "weights.pt2", "w.pth"])
def test_inspect_runs_no_pickle_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(pickle.dumps({"weight": Bomb(tmp_path / "exploded")}))
    refused(lambda: inspected(tmp_path / name), CheckpointError, "damaged|something other", 4)
    assert not (tmp_path / "exploded").exists()


def test_an_array_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    (target,) = [each for each in array_targets(tmp_path) if each.name == ".npy"]
    buffer = io.BytesIO()
    bomb = np.empty(5, dtype=object)
    bomb[:] = [Bomb(tmp_path / "exploded")] * 5
    np.save(buffer, bomb)
    refused(lambda: target.read(buffer.getvalue()), DataError, "as a plain array", 3)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    "header",
    ["{'descr': '|u1', 'shape': (99999999999,), 'fortran_order': False}", "(" * 5000, "{'a"],
    ids=["huge", "nested", "cut"],
)
def test_an_array_that_lies_of_itself_is_refused(tmp_path: Path, header: str) -> None:
    (target,) = [each for each in array_targets(tmp_path) if each.name == ".npy"]
    text = header.encode() + b"\n"
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    refused(lambda: target.read(content), DataError, "as a plain array", 3)


def test_a_cifar_pickle_cannot_take_memory_by_numbering_values() -> None:
    content = b"\x80\x02}r" + struct.pack("<I", 2**31) + b"."  # 16 GiB of empty places
    with pytest.raises(ValueError, match="it numbers a value 2147483648"):
        read_cifar_pickle(content)


def test_a_matlab_bomb_is_not_unpacked_whole() -> None:
    packed = zlib.compress(bytes(2**20))
    content = bytes(126) + b"IM" + struct.pack("<II", 15, len(packed)) + packed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("automix_cli.data.matlab.MOST_BYTES", 2**16)
        with pytest.raises(ValueError, match="cut off or too large"):
            read_matlab(content)


@pytest.mark.parametrize("text", ["a" + ".a" * 200_000 + " = 1", "[a" + ".a" * 200_000 + "]"])
def test_a_settings_file_whose_keys_would_take_minutes_is_refused(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "endless.toml").write_text(text)
    refused(lambda: read_toml(tmp_path / "endless.toml"), SettingsError, "more than 100 dots", 2)


def test_a_settings_file_of_100_megabytes_is_refused_after_one(tmp_path: Path) -> None:
    with (tmp_path / "huge.toml").open("wb") as file:
        file.truncate(100 * 2**20)
    refused(lambda: read_toml(tmp_path / "huge.toml"), SettingsError, "larger than 1 MiB", 2)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a" * 5000 + ".png,owl", "is not there"),
        ("a\0b.png,owl", "is not there|no table"),
        ("x.png," + "9" * 5000 + "\nx.png,1", "has the label|is not there|repeats"),
    ],
    ids=["long name", "zero byte", "long number"],
)
def test_a_table_of_names_and_numbers_that_cannot_be_is_refused(
    tmp_path: Path, row: str, words: str
) -> None:
    picture(tmp_path / "x.png")
    (tmp_path / "labels.csv").write_text(f"path,label\n{row}\n")
    refused(lambda: read_table(tmp_path / "labels.csv"), DataError, words, 3)


def test_a_label_of_thousands_of_digits_is_named(tmp_path: Path) -> None:
    picture(tmp_path / "x.png")
    (tmp_path / "labels.csv").write_text("x.png," + "9" * 5000 + "\n")
    refused(lambda: read_table(tmp_path / "labels.csv"), DataError, "has the label 999", 3)


def picture(path: Path, size: int = 8) -> None:
    """A gray image."""
    Image.new("L", (size, size)).save(path, "PNG")


def test_an_image_that_would_take_gigabytes_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    picture(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 60_000, 60_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(bytes(content))
    refused(lambda: PictureFile(path), DataError, "decompression bomb", 3)


def test_postscript_is_no_image_since_another_program_would_run_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    refused(lambda: PictureFile(path), DataError, "cannot identify", 3)


@pytest.mark.parametrize("target", ["/dev/zero", "pipe"])
def test_a_link_to_what_has_no_end_is_not_read(tmp_path: Path, target: str) -> None:
    if target == "pipe":
        os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.png").symlink_to(target)
    refused(lambda: PictureFile(tmp_path / "a.png"), DataError, "no regular file", 3)
    assert not stat.S_ISREG((tmp_path / "a.png").stat().st_mode)


@pytest.mark.parametrize("link", [tarfile.SYMTYPE, tarfile.LNKTYPE], ids=["symbolic", "hard"])
def test_an_archive_that_writes_through_a_link_writes_nothing_outside(
    tmp_path: Path, link: bytes
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "victim").write_bytes(b"mine")
    with tarfile.open(data / "things.tar", "w") as archive:
        way = tarfile.TarInfo("things/way")
        way.type, way.linkname = link, "../../../victim"
        archive.addfile(way)
        through = tarfile.TarInfo("things/way")
        through.size = 5
        archive.addfile(through, io.BytesIO(b"yours"))
    digest = md5((data / "things.tar").read_bytes(), usedforsecurity=False).hexdigest()
    archive = Archive("Things", "http://nowhere", "things.tar", digest, "things", ("inside",))
    refused(lambda: fetch(archive, data, download=False), DataError, "Things needs", 3)
    assert (tmp_path / "victim").read_bytes() == b"mine"


def test_an_archive_of_another_checksum_is_not_even_opened(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "things.zip", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("things/inside", bytes(10**7))
    archive = Archive("Things", "http://nowhere", "things.zip", "0" * 32, "things", ("inside",))
    refused(lambda: fetch(archive, tmp_path, download=False), DataError, "its md5 is not", 3)
    assert not (tmp_path / "things").exists()


def test_a_torch_export_whose_description_is_a_bomb_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("automix_cli.commands.inspect.MOST_HEADER_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "a.pt2", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/model_weights_config.json", " " * 10**7 + "{}")
    refused(lambda: inspected(tmp_path / "a.pt2"), CheckpointError, "unpacks to more than", 4)


def test_a_tree_that_holds_itself_is_looked_into_once() -> None:
    tree: list[object] = []
    for _ in range(60):  # 2 ** 60 places
        tree = [tree, tree]
    tree.append(tree)
    assert list(named(tree)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"in_channels": 10**9},
        {"image_size": "8"},
        {"class_names": None},
        {"mean": [1.0, 2.0]},
        {"mean": [float("nan")]},
        {"std": [0.0]},
        {"std": [float("inf")]},
        {"std": [10**400]},
    ],
)
def test_a_file_that_describes_absurd_data_builds_no_network(
    tmp_path: Path, change: dict[str, object]
) -> None:
    path = tmp_path / "classifier.safetensors"
    write_weights(path, {}, {"settings": {}, "dataset": {**DATASET, **change}})
    refused(lambda: read_file(path), CheckpointError, "no description that a run writes", 4)


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"../../fog": {"md5": "0", "bytes": 1}}},
        {"files": ["fog"]},
        {"severities": [10**9]},
        {"severities": "12345"},
    ],
)
def test_a_description_of_corrupted_images_that_automix_does_not_write_is_refused(
    tmp_path: Path, change: dict[str, object]
) -> None:
    meta = {"files": {}, "severities": [1], "identity": {}, **change}
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    refused(lambda: read_meta(tmp_path), DataError, "is damaged", 3)


def test_json_nested_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text("[" * 100_000)
    refused(lambda: read_meta(tmp_path), DataError, "is damaged", 3)


def test_photographs_of_another_checksum_are_not_decoded(tmp_path: Path) -> None:
    for name in PHOTOGRAPHS:
        picture(tmp_path / name)
    refused(lambda: load_photographs(tmp_path), DataError, "not the published photograph", 3)


HOSTILE = "\x1b[2J\x1b]0;owned\x07 [red]cat[/nothing] \u202egnp"


def test_a_name_neither_commands_the_terminal_nor_breaks_a_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    print_tables(table)
    shown = capsys.readouterr().out
    assert not set("\x1b\x07\u202e") & set(shown)
    assert "[red]cat[/nothing]" in shown
    assert r"\x1b[2J" in shown


def test_an_error_about_a_hostile_name_commands_nothing() -> None:
    error = DataError(f"no `{HOSTILE}`", hint=HOSTILE)
    assert not set("\x1b\x07\u202e") & set(f"{error} {error.message} {error.hint}")


def test_the_confusion_table_holds_no_formula() -> None:
    text = confusion_csv(["=cmd|' /C calc'!A0", "cat"], [[1, 0], [0, 1]])
    assert text.splitlines()[0].split(",")[1].startswith("'=")
    assert text.splitlines()[1].startswith("'=")


def test_a_broken_file_in_a_folder_is_a_finding_and_not_the_end(tmp_path: Path) -> None:
    import torch

    from automix_cli.data.image_files import ImageFiles

    picture(tmp_path / "good.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    files = ImageFiles(tmp_path, ("good.png", "zero.png"), torch.zeros(2).long(), ("a",))
    looks = list(look_at_all(files, workers=1, advance=lambda _: None))
    assert [each.problem and each.problem[0] for each in looks] == [None, "unreadable"]


def test_a_corrupted_set_is_read_from_its_own_folder_alone(tmp_path: Path) -> None:
    list(array_targets(tmp_path))
    import torch

    test = ImageSet(torch.zeros(1, 3, 32, 32, dtype=torch.uint8), torch.zeros(1).long(), ("a",))
    assert open_corrupted(tmp_path / "CIFAR-10-C", ["fog"], test).names == ("fog",)
