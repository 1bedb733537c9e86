"""Fetches the archive of a data set, once per machine, and puts its files where they belong.

torchvision downloads, checks and unpacks. What is added here: several processes of one machine take
turns instead of writing over each other; files appear under their names only when they are whole;
a file that is already there is never written over; an archive that a person has put into the data
folder is used without network; and a failure says what was wanted and how to get it.
"""

import contextlib
import http.client
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from automix_cli.errors import DataError


@dataclass(frozen=True)
class Archive:
    """A published archive and what has to come out of it.

    Attributes:
        title: The data set's name as people write it.
        url: Where it is published.
        file_name: Name of the archive.
        md5: Checksum of the archive, as hexadecimal digits.
        folder: Folder inside the archive, and inside the data folder, that holds the files.
        files: Names of the files in it.
    """

    title: str
    url: str
    file_name: str
    md5: str
    folder: str
    files: tuple[str, ...]

    def missing_from(self, directory: Path) -> list[str]:
        """List the files that are not in their folder under `directory`."""
        return [name for name in self.files if not _is_file(directory / self.folder / name)]


def fetch(archive: Archive, directory: Path, *, download: bool) -> None:
    """Make sure that the files of `archive` are in their folder under `directory`.

    Args:
        archive: What is wanted.
        directory: The data folder; made if need be.
        download: Whether the network may be used. An archive lying in `directory` is used anyway.

    Raises:
        DataError: if files are missing and cannot be fetched.
    """
    if not archive.missing_from(directory):
        return
    if not (download or _is_file(directory / archive.file_name)):
        raise _missing(archive, directory, "and downloading is switched off")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _one_process_at_a_time(directory / f".{archive.folder}.lock"):
            if archive.missing_from(directory):  # another process may have fetched them meanwhile
                _unpack(archive, directory, download=download)
    except (OSError, RuntimeError, http.client.HTTPException, tarfile.TarError) as error:
        reason = f"and fetching `{archive.url}` failed ({str(error) or type(error).__name__})"
        raise _missing(archive, directory, reason) from error
    if archive.missing_from(directory):
        raise _missing(archive, directory, f"and `{archive.file_name}` does not hold them")


def _unpack(archive: Archive, directory: Path, *, download: bool) -> None:
    from torchvision.datasets.utils import check_integrity, download_and_extract_archive

    present = directory / archive.file_name
    is_good = check_integrity(present, archive.md5)
    if not (is_good or download):
        raise OSError(f"`{present}` is there, but its md5 is not {archive.md5}")
    with (
        tempfile.TemporaryDirectory(dir=directory, prefix=".unpack-") as workspace,
        contextlib.redirect_stdout(sys.stderr),  # stdout belongs to results
    ):
        download_and_extract_archive(
            archive.url,
            download_root=str(directory if is_good else workspace),
            extract_root=workspace,
            filename=archive.file_name,
            md5=archive.md5,
        )
        (directory / archive.folder).mkdir(exist_ok=True)
        for name in archive.missing_from(directory):
            unpacked = Path(workspace) / archive.folder / name
            if unpacked.is_file():
                unpacked.rename(directory / archive.folder / name)


@contextlib.contextmanager
def _one_process_at_a_time(path: Path) -> Iterator[None]:
    """Wait until no other process of this machine is in this block.

    The system lets go of the lock when a process ends, however it ends. Where there is no `fcntl`
    (Windows), processes do not wait; each then unpacks in a folder of its own, which is wasteful
    but safe.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _missing(archive: Archive, directory: Path, reason: str) -> DataError:
    missing = archive.missing_from(directory)
    folder = directory / archive.folder
    names = ", ".join(f"`{name}`" for name in missing)
    return DataError(
        f"{archive.title} needs {names} in `{folder}`, {_found_instead(archive, directory)},"
        f" {reason}",
        hint=_advice(archive, directory),
    )


def _found_instead(archive: Archive, directory: Path) -> str:
    place = directory / archive.folder
    try:
        place = place if place.is_dir() else directory
        found = sorted(entry.name for entry in place.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        return f"but the folder `{place}` cannot be read ({error.strerror})"
    if not found:
        return f"but `{place}` is empty"
    shown = ", ".join(f"`{name}`" for name in found[:8]) + (", ..." if len(found) > 8 else "")
    return f"but `{place}` holds {shown}"


def _advice(archive: Archive, directory: Path) -> str:
    lies_directly_in_it = all(_is_file(directory / name) for name in archive.files)
    if lies_directly_in_it or directory.name == archive.folder:
        return f"give the folder that holds `{archive.folder}`: --data-dir {directory.parent}"
    return (
        f"put `{archive.file_name}` (md5 {archive.md5}, from {archive.url}) into `{directory}`,"
        f" or the folder `{archive.folder}` unpacked from it, or let it be downloaded where there"
        " is network: --set data.download=true"
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder on the way may not be entered
        return False
