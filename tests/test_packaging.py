"""The wheel holds what a user needs: presets, embedded data, types, licence, the command."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from automix_cli import __version__

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from this checkout without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def tracked(pattern: str) -> set[str]:
    """Names of the files that git knows."""
    command = ["git", "ls-files", "--", pattern]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return {Path(line).name for line in listed.stdout.splitlines()}


def inside(wheel: zipfile.ZipFile, folder: str) -> set[str]:
    """Names of the files in a folder of the wheel."""
    names = (Path(name) for name in wheel.namelist())
    return {name.name for name in names if name.parent == Path(folder)}


def test_its_presets_are_the_tracked_ones(wheel: zipfile.ZipFile) -> None:
    assert inside(wheel, "automix_cli/_presets") == tracked("presets/*")
    assert len(inside(wheel, "automix_cli/_presets")) >= 5


def test_the_presets_are_read_from_the_wheel_alone(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    code = "import sys; sys.path.insert(0, '.'); from automix_cli import presets;"
    code += "print(presets.__file__, presets.names())"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert result.stdout.startswith(str(tmp_path))
    assert "digits-tiny" in result.stdout


def test_the_embedded_digits_and_their_attribution_are_inside(wheel: zipfile.ZipFile) -> None:
    names = [Path(name).name for name in wheel.namelist()]
    assert names.count("digits.npz") == 1


def test_the_page_of_reports_and_its_sheet_are_inside(wheel: zipfile.ZipFile) -> None:
    folder = "automix_cli/reporting/document/templates"
    assert inside(wheel, folder) == {"page.html.jinja", "page.css"}


def test_the_mark_of_typed_packages_and_the_licence_are_inside(wheel: zipfile.ZipFile) -> None:
    assert "automix_cli/py.typed" in wheel.namelist()
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


def test_the_command_is_installed(wheel: zipfile.ZipFile) -> None:
    metadata = f"automix_cli-{__version__}.dist-info"
    assert "automix = automix_cli.cli:main" in wheel.read(f"{metadata}/entry_points.txt").decode()


def test_nothing_but_the_package_is_inside(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"automix_cli", f"automix_cli-{__version__}.dist-info"}
