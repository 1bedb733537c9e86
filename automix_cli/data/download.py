"""Fetches the archives of a data set, once per machine, and puts its files where they belong.

torchvision downloads and checks; Python unpacks. What is added here: several processes of one
machine take turns instead of writing over each other; files appear under their names only when they
are whole; a file that is already there is never written over; an archive that a person has put into
the data folder is used without network; a mirror is asked first; and a failure says what was wanted
and how to get it. Nothing is taken from the network whose checksum is not known.
"""

import contextlib
import errno
import gzip
import http.client
import shutil
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from automix_cli.errors import DataError

_FAILURES = (
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    http.client.HTTPException,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What downloading and unpacking raise: no network, no room, damaged or dishonest archives."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Archive:
    """A published archive and what has to come out of it.

    Attributes:
        title: The data set's name as people write it.
        url: Where it is published.
        file_name: Name of the archive.
        md5: Checksum of the archive, as hexadecimal digits.
        folder: Folder inside the data folder that holds the files.
        files: Names of the files, or of whole folders, in it.
        inside: Folder inside the archive that holds them; None: `folder`.
        is_packed: Whether the archive has to be unpacked; else it is the file itself.
    """

    title: str
    url: str
    file_name: str
    md5: str
    folder: str
    files: tuple[str, ...]
    inside: str | None = None
    is_packed: bool = True

    def missing_from(self, directory: Path) -> list[str]:
        """List the files that are not in their folder under `directory`."""
        return [name for name in self.files if not is_there(directory / self.folder / name)]

    def copies_in(self, directory: Path) -> list[Path]:
        """List the places under `directory` where a person has put the archive itself."""
        places = (directory, directory / self.folder)
        return [place / self.file_name for place in places if is_there(place / self.file_name)]

    def addresses(self, mirror: str | None) -> list[str]:
        """List where to download from, in the order to try."""
        return [*([f"{mirror.rstrip('/')}/{self.file_name}"] if mirror else []), self.url]


def fetch(archive: Archive, directory: Path, *, download: bool, mirror: str | None = None) -> None:
    """Make sure that the files of `archive` are in their folder under `directory`.

    Args:
        archive: What is wanted.
        directory: The data folder; made if need be.
        download: Whether the network may be used. An archive lying in `directory` is used anyway.
        mirror: Address that is asked before the official one.

    Raises:
        DataError: if files are missing and cannot be fetched.
    """
    if not archive.missing_from(directory):
        return
    if not (download or archive.copies_in(directory)):
        raise _missing(archive, directory, "and downloading is switched off")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _one_process_at_a_time(directory / f".{archive.folder.replace('/', '-')}.lock"):
            if archive.missing_from(directory):  # another process may have fetched them meanwhile
                _fetch(archive, directory, archive.addresses(mirror) if download else [])
    except _FAILURES as error:
        asked = "`, then `".join(archive.addresses(mirror))
        reason = f"and fetching `{asked}` failed ({str(error) or type(error).__name__})"
        if isinstance(error, OSError) and error.errno in _FULL:
            reason += f"; there is no room for it under `{directory}`"
        raise _missing(archive, directory, reason) from error
    if archive.missing_from(directory):
        raise _missing(archive, directory, f"and `{archive.file_name}` does not hold them")


def _fetch(archive: Archive, directory: Path, addresses: list[str]) -> None:
    """Use the copy that lies there, or else the first address that gives the archive.

    Raises:
        OSError, RuntimeError, ...: why the last of them did not.
    """
    from torchvision.datasets.utils import check_integrity

    copies = archive.copies_in(directory)
    good = next((each for each in copies if check_integrity(each, archive.md5)), None)
    if good is not None:
        _unpack(archive, directory, None, good)
        return
    if not addresses:
        raise OSError(f"`{copies[0]}` is there, but its md5 is not {archive.md5}")
    for position, address in enumerate(addresses):
        try:
            _unpack(archive, directory, address)
        except _FAILURES as error:
            is_last = position == len(addresses) - 1
            if is_last or (isinstance(error, OSError) and error.errno in _FULL):
                raise
        else:
            return


def _unpack(
    archive: Archive, directory: Path, address: str | None, present: Path | None = None
) -> None:
    """Get an archive into a folder of its own, and move what is missing to its place.

    Args:
        archive: What is wanted.
        directory: The data folder.
        address: Where to download from; None: from nowhere, it is there.
        present: The archive that is there.
    """
    from torchvision.datasets.utils import download_url

    with (
        tempfile.TemporaryDirectory(dir=directory, prefix=".unpack-") as workspace,
        contextlib.redirect_stdout(sys.stderr),  # stdout belongs to results
    ):
        if address is not None:
            download_url(address, workspace, archive.file_name, archive.md5)
        packed = present or Path(workspace) / archive.file_name
        inside = Path(workspace) / "unpacked"
        inside.mkdir()
        if archive.is_packed:
            _extract(packed, inside)
            inside /= archive.folder if archive.inside is None else archive.inside
        else:
            shutil.copyfile(packed, inside / archive.file_name)
        (directory / archive.folder).mkdir(parents=True, exist_ok=True)
        for name in archive.missing_from(directory):
            if is_there(inside / name):
                (inside / name).rename(directory / archive.folder / name)


def _extract(packed: Path, folder: Path) -> None:
    """Unpack a zip, a tar of any compression or one gzipped file, and nothing out of the folder.

    Not by torchvision: version 0.21 wrote wherever the names in a tar led.
    """
    if zipfile.is_zipfile(packed):
        with zipfile.ZipFile(packed) as opened:
            opened.extractall(folder)
    elif tarfile.is_tarfile(packed):
        with tarfile.open(packed) as opened:
            opened.extractall(folder, filter="data")
    else:
        with gzip.open(packed) as source, (folder / packed.stem).open("wb") as target:
            shutil.copyfileobj(source, target)


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
    lies_directly_in_it = all(is_there(directory / name) for name in archive.files)
    if lies_directly_in_it or directory.name == archive.folder:
        return f"give the folder that holds `{archive.folder}`: --data-dir {directory.parent}"
    return (
        f"put `{archive.file_name}` (md5 {archive.md5}, from {archive.url}) into `{directory}`,"
        f" or the folder `{archive.folder}` unpacked from it, or let it be downloaded where there"
        " is network: --set data.download=true"
    )


def is_there(path: Path) -> bool:
    """Whether there is such a file or folder, and it may be reached."""
    try:
        return path.exists()
    except (OSError, ValueError):  # a folder that may not be entered, or a name that cannot be
        return False
