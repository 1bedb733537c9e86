"""A tiny CIFAR, published like the real one: python 2 pickles in an archive, with checksums."""

import hashlib
import http.server
import struct
import tarfile
import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets

NUM_PER_FILE = 8


def python2_pickle(value: Any) -> bytes:
    """Write what python 2 and its numpy wrote: plain strings, protocol 2, old module names."""
    return b"\x80\x02" + _python2(value) + b"."


def _python2(value: Any) -> bytes:
    match value:
        case bytes():
            return b"T" + struct.pack("<i", len(value)) + value
        case int():
            return b"J" + struct.pack("<i", value)
        case list():
            return b"](" + b"".join(map(_python2, value)) + b"e"
        case dict():
            items = (_python2(key) + _python2(each) for key, each in value.items())
            return b"}(" + b"".join(items) + b"u"
        case np.ndarray():
            blank = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
            dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ" + b"\xff" * 4
            dtype += b"J" + b"\xff" * 4 + b"K\x00tb"
            shape = b"(" + b"".join(map(_python2, value.shape)) + b"t"
            return blank + b"(K\x01" + shape + dtype + b"\x89" + _python2(value.tobytes()) + b"tb"
    raise TypeError(type(value))


@dataclass
class Publication:
    """A data set as published, in the words of the torchvision class that describes it."""

    source: Any
    archive: Path
    files: dict[str, bytes]
    monkeypatch: pytest.MonkeyPatch
    requests: list[str] = field(default_factory=list)

    def unpack_into(self, directory: Path) -> Path:
        """Put the files where a person would, and give their folder."""
        folder = directory / self.source.base_folder
        folder.mkdir(parents=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return folder

    def vouch_for(self, name: str, content: bytes) -> None:
        """Make the published checksum of a file that of other content."""
        for listing in ("train_list", "test_list"):
            entries = [
                [each, md5_of(content) if each == name else md5]
                for each, md5 in getattr(self.source, listing)
            ]
            self.monkeypatch.setattr(self.source, listing, entries)

    def serve(self) -> http.server.ThreadingHTTPServer:
        """Offer the archive on this machine; `requests` grows with what is asked for."""
        handler = partial(_Handler, directory=str(self.archive.parent))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.requests = self.requests
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{self.archive.name}"
        self.monkeypatch.setattr(self.source, "url", url)
        return server


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing; what was asked for is in `requests`."""

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        super().do_GET()


def publish_cifar(name: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Publication:
    """Publish a tiny `cifar10` (5 batches) or `cifar100` (1 file); nobody serves it yet."""
    ten = name == "cifar10"
    source = torchvision.datasets.CIFAR10 if ten else torchvision.datasets.CIFAR100
    train = [f"data_batch_{part}" for part in range(1, 6)] if ten else ["train"]
    test = ["test_batch"] if ten else ["test"]
    rng = np.random.default_rng(10 if ten else 100)
    files = {each: python2_pickle(_images(rng, is_ten=ten)) for each in train + test}
    names = {b"label_names" if ten else b"fine_label_names": [b"cat", b"dog", b"owl"]}
    files[source.meta["filename"]] = python2_pickle(names)
    publication = Publication(source, directory / source.filename, files, monkeypatch)
    folder = publication.unpack_into(directory)
    with tarfile.open(publication.archive, "w:gz") as tar:
        tar.add(folder, source.base_folder)
    md5 = {each: md5_of(content) for each, content in files.items()}
    monkeypatch.setattr(source, "train_list", [[each, md5[each]] for each in train])
    monkeypatch.setattr(source, "test_list", [[each, md5[each]] for each in test])
    monkeypatch.setattr(source, "meta", source.meta | {"md5": md5[source.meta["filename"]]})
    monkeypatch.setattr(source, "tgz_md5", md5_of(publication.archive.read_bytes()))
    monkeypatch.setattr(source, "url", f"http://127.0.0.1:9/{source.filename}")  # nobody there
    monkeypatch.setenv("no_proxy", "*")
    return publication


def md5_of(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def _images(rng: np.random.Generator, *, is_ten: bool) -> dict[bytes, Any]:
    labels = rng.integers(3, size=NUM_PER_FILE).tolist()
    pixels = rng.integers(256, size=(NUM_PER_FILE, 3072), dtype=np.uint8)
    if is_ten:
        return {b"batch_label": b"a batch", b"labels": labels, b"data": pixels}
    return {b"fine_labels": labels, b"coarse_labels": [0] * NUM_PER_FILE, b"data": pixels}
