"""What is missing is fetched once, whole, and never over what is there."""

import io
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from published_cifar import Publication, md5_of

from automix_cli.data import layout
from automix_cli.data.catalogue import CATALOGUE
from automix_cli.data.cifar import cifar_source, load_cifar
from automix_cli.data.download import Archive, fetch
from automix_cli.data.request import DataRequest
from automix_cli.errors import DataError

Publish = Callable[[str], Publication]
FILES = ("train", "test", "meta")


def failure(directory: Path, *, download: bool) -> DataError:
    with pytest.raises(DataError) as caught:
        load_cifar("cifar100", directory, download=download)
    return caught.value


def test_a_missing_data_set_is_downloaded_and_read(served: Publication, tmp_path: Path) -> None:
    train, test = load_cifar("cifar100", tmp_path / "new" / "data", download=True)
    assert (len(train), len(test)) == (8, 8)
    folder = tmp_path / "new" / "data" / "cifar-100-python"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == served.files


def test_nothing_but_the_files_is_left_behind(served: Publication, tmp_path: Path) -> None:
    load_cifar("cifar100", tmp_path / "data", download=True)
    visible = [path.name for path in (tmp_path / "data").glob("[!.]*")]
    hidden = [path.name for path in (tmp_path / "data").glob(".*")]
    assert (visible, hidden) == (["cifar-100-python"], [".cifar-100-python.lock"])


def test_a_complete_folder_is_not_fetched_again(served: Publication, tmp_path: Path) -> None:
    served.unpack_into(tmp_path / "data")
    load_cifar("cifar100", tmp_path / "data", download=True)
    assert served.requests == []
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["cifar-100-python"]


def test_a_half_extracted_folder_is_completed(served: Publication, tmp_path: Path) -> None:
    folder = served.unpack_into(tmp_path / "data")
    (folder / "test").unlink()
    (folder / "train").write_bytes(b"mine")
    fetch(cifar_source("cifar100").archive, tmp_path / "data", download=True)
    assert (folder / "test").read_bytes() == served.files["test"]
    assert (folder / "train").read_bytes() == b"mine"


def test_stdout_stays_clean_during_a_download(
    served: Publication, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_cifar("cifar100", tmp_path / "data", download=True)
    assert served.requests
    assert capsys.readouterr().out == ""


def test_processes_that_start_together_download_once(served: Publication, tmp_path: Path) -> None:
    archive = cifar_source("cifar100").archive
    alone = tmp_path / "alone"
    fetch(archive, alone, download=True)
    num_requests = len(served.requests)
    # The lock is taken on an open file, so threads wait for each other as processes do.
    threads = [
        threading.Thread(target=fetch, args=(archive, tmp_path / "data"), kwargs={"download": True})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not archive.missing_from(tmp_path / "data")
    assert len(served.requests) == 2 * num_requests


def test_an_archive_in_the_data_folder_needs_no_network(publish: Publish, tmp_path: Path) -> None:
    publication = publish("cifar100")
    (tmp_path / "data").mkdir()
    present = shutil.copy(publication.archive, tmp_path / "data")
    train, _ = load_cifar("cifar100", tmp_path / "data", download=False)
    assert len(train) == 8
    assert Path(present).exists()  # it is the person's


def test_a_damaged_archive_in_the_data_folder_is_named(publish: Publish, tmp_path: Path) -> None:
    publication = publish("cifar100")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / publication.archive.name).write_bytes(b"half")
    error = failure(tmp_path / "data", download=False)
    assert f"its md5 is not {publication.source.tgz_md5}" in error.message


@pytest.mark.parametrize("download", [False, True], ids=["not-allowed", "offline"])
def test_without_data_and_network_the_error_says_all_that_is_needed(
    download: bool, publish: Publish, tmp_path: Path
) -> None:
    publication = publish("cifar100")
    directory = tmp_path / "data"
    error = failure(directory, download=download)
    for part in (*(f"`{name}`" for name in FILES), str(directory / "cifar-100-python")):
        assert part in error.message
    hint = error.hint or ""
    for part in ("cifar-100-python.tar.gz", publication.source.tgz_md5, publication.source.url):
        assert part in hint
    assert str(directory) in hint
    reason = "Connection refused" if download else "downloading is switched off"
    assert reason in error.message
    assert error.exit_code == 3


def test_a_half_extracted_folder_is_reported_by_what_is_missing(
    publish: Publish, tmp_path: Path
) -> None:
    folder = publish("cifar100").unpack_into(tmp_path / "data")
    (folder / "test").unlink()
    error = failure(tmp_path / "data", download=False)
    assert f"needs `test` in `{folder}`, but `{folder}` holds `meta`, `train`," in error.message


def test_the_inner_folder_given_as_data_folder_is_recognised(
    publish: Publish, tmp_path: Path
) -> None:
    folder = publish("cifar100").unpack_into(tmp_path / "data")
    error = failure(folder, download=False)
    assert f"`{folder}` holds `meta`, `test`, `train`" in error.message
    assert (
        error.hint == f"give the folder that holds `cifar-100-python`: --data-dir {folder.parent}"
    )


def test_a_download_of_the_wrong_checksum_is_refused_and_removed(
    served: Publication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served.source, "tgz_md5", md5_of(b"another archive"))
    error = failure(tmp_path / "data", download=True)
    assert "corrupted" in error.message
    assert [path.name for path in (tmp_path / "data").glob("[!.]*")] == []


def test_an_archive_without_the_files_is_reported(
    served: Publication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = [*served.source.test_list, ["test_2", "0" * 32]]
    monkeypatch.setattr(served.source, "test_list", listing)
    error = failure(tmp_path / "data", download=True)
    assert "needs `test_2`" in error.message
    assert "`cifar-100-python.tar.gz` does not hold them" in error.message


def test_a_data_folder_that_is_a_file_is_reported(publish: Publish, tmp_path: Path) -> None:
    publish("cifar100")
    (tmp_path / "data").write_text("not a folder")
    error = failure(tmp_path / "data", download=True)
    assert "cannot be read (Not a directory)" in error.message


def test_a_mirror_is_asked_first_and_the_publisher_after_it(
    served: Publication, tmp_path: Path
) -> None:
    archive = cifar_source("cifar100").archive
    address = archive.url.rpartition("/")[0]
    fetch(archive, tmp_path / "a", download=True, mirror=f"{address}/none")
    assert f"/none/{archive.file_name}" in served.requests[0]
    assert not archive.missing_from(tmp_path / "a")
    served.monkeypatch.setattr(served.source, "url", "http://127.0.0.1:9/nobody")
    fetch(cifar_source("cifar100").archive, tmp_path / "b", download=True, mirror=address)
    assert not archive.missing_from(tmp_path / "b")


def test_a_failure_names_the_mirror_and_the_publisher(served: Publication, tmp_path: Path) -> None:
    archive = replace(cifar_source("cifar100").archive, md5="0" * 32)
    mirror = "http://127.0.0.1:9/nobody"
    with pytest.raises(DataError) as caught:
        fetch(archive, tmp_path, download=True, mirror=mirror)
    wanted = f"fetching `{mirror}/{archive.file_name}`, then `{served.source.url}` failed"
    assert wanted in caught.value.message


def test_what_is_small_is_downloaded_unasked(served: Publication, tmp_path: Path) -> None:
    request = DataRequest("cifar100", tmp_path, download=None)
    assert len(CATALOGUE["cifar100"].load(request).train) == 8
    assert served.requests


@pytest.mark.parametrize(
    ("name", "num_gb", "address"),
    [
        ("inat2017", 186, "s3.amazonaws.com/2017/train_val_images.tar.gz"),
        ("inat2018", 120, "s3.amazonaws.com/2018/train_val2018.tar.gz"),
        ("inat2021", 232, "s3.amazonaws.com/2021/train.tar.gz"),
        ("places365", 26, "train_256_places365standard.tar"),
    ],
)
def test_what_is_huge_is_downloaded_only_when_asked_for(
    name: str, num_gb: int, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def offline(archive: Archive, directory: Path, **_: object) -> None:
        asked.append(archive.url)
        raise DataError("offline")

    monkeypatch.setattr(layout, "fetch", offline)
    with pytest.raises(DataError) as caught:
        CATALOGUE[name].load(DataRequest(name, tmp_path / "data", download=None))
    hint = caught.value.hint or ""
    assert f"--set data.download=true ({num_gb} GB, which are not downloaded unasked)" in hint
    assert address in hint
    assert (asked, list(tmp_path.iterdir())) == ([], [])
    with pytest.raises(DataError, match="offline"):
        CATALOGUE[name].load(DataRequest(name, tmp_path / "data", download=True))
    assert len(asked) == 1


def packed(kind: str, path: Path, name: str) -> Path:
    """Write an archive that holds one file under a name."""
    content = b"from outside"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz") as archive:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["../../escaped", "things/../../../escaped", "/../escaped"])
@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_an_archive_that_leads_outside_writes_nothing_there(
    kind: str, name: str, tmp_path: Path
) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    path = packed(kind, directory / f"things.{kind}", name)
    archive = Archive(
        "Things", "http://nowhere", path.name, md5_of(path.read_bytes()), "things", ("inside",)
    )
    with pytest.raises(DataError, match="Things needs `inside`"):
        fetch(archive, directory, download=False)
    assert list(tmp_path.rglob("escaped")) == []
    assert not Path("/escaped").exists()


def test_whole_folders_are_moved_to_their_place(tmp_path: Path) -> None:
    path = packed("tar.gz", tmp_path / "things.tar.gz", "jpg/deep/a.jpg")
    md5 = md5_of(path.read_bytes())
    archive = Archive("Things", "http://nowhere", path.name, md5, "set/raw", ("jpg",), "")
    fetch(archive, tmp_path, download=False)
    assert (tmp_path / "set/raw/jpg/deep/a.jpg").read_bytes() == b"from outside"


def test_a_file_that_is_not_packed_is_its_own_archive(tmp_path: Path) -> None:
    (tmp_path / "labels.mat").write_bytes(b"labels")
    archive = Archive(
        *("Things", "http://nowhere", "labels.mat", md5_of(b"labels"), "set", ("labels.mat",)),
        is_packed=False,
    )
    fetch(archive, tmp_path, download=False)
    assert (tmp_path / "set/labels.mat").read_bytes() == b"labels"
    assert (tmp_path / "labels.mat").exists()


@pytest.fixture
def nearly_full_disk(served: Publication) -> Iterator[Publication]:
    """No file of this process may grow beyond 20,000 bytes; the archives are larger."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield served
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_said_and_leaves_nothing_behind(
    nearly_full_disk: Publication, tmp_path: Path
) -> None:
    error = failure(tmp_path / "data", download=True)
    assert nearly_full_disk.archive.stat().st_size > 20_000
    reason = f"File too large); there is no room for it under `{tmp_path / 'data'}`"
    assert reason in error.message
    assert error.exit_code == 3
    assert [path.name for path in (tmp_path / "data").iterdir()] == [".cifar-100-python.lock"]
