"""The frost photographs: only the published ones, from a folder or fetched."""

import hashlib
import http.server
import io
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automix_cli.data import frost
from automix_cli.errors import DataError


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two pictures that count as the published ones."""
    folder = tmp_path / "published"
    folder.mkdir()
    checksums: dict[str, str] = {}
    for number, name in enumerate(("frost1.png", "frost2.png")):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 50, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).convert("RGBA").save(file, "PNG")
        (folder / name).write_bytes(file.getvalue())
        checksums[name] = hashlib.md5(file.getvalue()).hexdigest()
    monkeypatch.setattr(frost, "PHOTOGRAPHS", checksums)
    monkeypatch.setenv("no_proxy", "*")
    return folder


def test_pixels_are_those_of_the_file_without_transparency(photographs: Path) -> None:
    found = frost.load_photographs(photographs)
    for number, pixels in enumerate(found):
        wanted = np.random.default_rng(number).integers(0, 256, (40, 50, 3), dtype=np.uint8)
        assert np.array_equal(pixels, wanted)


def test_another_picture_is_refused(photographs: Path) -> None:
    (photographs / "frost2.png").write_bytes((photographs / "frost1.png").read_bytes())
    with pytest.raises(DataError, match=r"frost2.png` is not the published photograph: wanted md5"):
        frost.load_photographs(photographs)


def test_a_missing_picture_is_named(photographs: Path) -> None:
    (photographs / "frost2.png").unlink()
    with pytest.raises(DataError, match=r"wanted the frost photograph .*frost2.png") as caught:
        frost.load_photographs(photographs)
    assert "frost1.png" in str(caught.value.hint)


def test_without_network_the_error_names_the_way_out(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frost, "SOURCE", "http://127.0.0.1:9/")  # nobody there
    with pytest.raises(DataError, match="cannot fetch") as caught:
        frost.fetch_photographs(tmp_path / "frost")
    assert "--frost-dir" in str(caught.value.hint)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_what_is_fetched_is_checked_and_kept(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = partial(_Quiet, directory=str(photographs))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setattr(frost, "SOURCE", f"http://127.0.0.1:{server.server_port}/")
    try:
        frost.fetch_photographs(tmp_path / "frost")
        changed = dict.fromkeys(frost.PHOTOGRAPHS, "0" * 32)
        monkeypatch.setattr(frost, "PHOTOGRAPHS", changed)
        with pytest.raises(DataError, match="is not the published photograph"):
            frost.fetch_photographs(tmp_path / "other")
    finally:
        server.shutdown()
        server.server_close()
    kept = sorted(each.name for each in (tmp_path / "frost").iterdir())
    assert kept == ["frost1.png", "frost2.png"]
    assert list((tmp_path / "other").iterdir()) == []
