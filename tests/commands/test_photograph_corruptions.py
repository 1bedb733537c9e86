"""ImageNet-C and Tiny-ImageNet-C of a person's own photographs, as a person makes them."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from automix_cli.cli import app
from automix_cli.commands.corrupting import photographs as corruption_photographs
from automix_cli.evaluation.corruptions import CORRUPTIONS, corrupt
from tests.commands.conftest import QUICK, Automix

OFFLINE = ("--set", "data.download=false")


@pytest.fixture(scope="module")
def birds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, three photographs to learn from and two to be judged on in each."""
    root = tmp_path_factory.mktemp("data") / "birds"
    rng = np.random.default_rng(0)
    for part, count in (("train", 3), ("val", 2)):
        for name in ("owl", "wren"):
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                coarse = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
                image = Image.fromarray(coarse).resize((90, 70))
                image.save(root / part / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def run(birds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of 64 pixels, as good as untrained."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    arguments = [
        *("train", "--preset", "digits-tiny", "--method", "vanilla", *QUICK, *OFFLINE),
        *("--set", "data.name=folder", "--set", "train.batch_size=4"),
        *("--set", "data.image_size=64", "--data-dir", str(birds), "-o", str(folder)),
    ]
    trained = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert trained.exit_code == 0, trained.output
    return folder


def make(automix: Automix, folder: str, birds: Path, *arguments: str):
    common = ("--suite", "tiny-imagenet-c", "--data-dir", birds, *OFFLINE)
    return automix("corruptions", "make", folder, *common, *arguments)


def test_make_writes_the_published_layout_and_says_what_differs(
    automix: Automix, birds: Path
) -> None:
    made = make(automix, "set", birds, "--corruptions", "fog,pixelate", "--json")
    assert made.exit_code == 0, made.output
    content = json.loads(made.stdout)
    assert [row["name"] for row in content["files"]] == ["fog", "pixelate"]
    assert content["suite"] == "tiny-imagenet-c"
    places = {str(each.relative_to("set")) for each in Path("set").rglob("*.JPEG")}
    assert places == {
        f"{name}/{severity}/{label}/{number}.JPEG"
        for name in ("fog", "pixelate")
        for severity in range(1, 6)
        for label in ("owl", "wren")
        for number in (0, 1)
    }
    meta = json.loads((Path("set") / "meta.json").read_text())
    assert "not the published images" in meta["differences"]
    assert meta["generated"] is True
    source = Image.open(birds / "val" / "wren" / "1.png").resize(
        (64, 64), Image.Resampling.BILINEAR
    )
    expected = corrupt("pixelate", 4, np.array(source)[None], suite="tiny-imagenet-c")[0]
    file = io.BytesIO()
    Image.fromarray(expected).save(file, "JPEG", quality=85, optimize=True)
    assert Path("set", "pixelate", "4", "wren", "1.JPEG").read_bytes() == file.getvalue()
    shown = make(automix, "set", birds, "--corruptions", "fog,pixelate")
    assert "not the published images" in " ".join(shown.stdout.split())


def test_images_depend_on_the_seed_and_not_on_how_many_are_made_at_a_time(
    automix: Automix, birds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def md5(folder: str, *arguments: str) -> str:
        made = make(automix, folder, birds, "--corruptions", "snow", "--json", *arguments)
        return json.loads(made.stdout)["files"][0]["md5"]

    whole = md5("whole")
    assert md5("other", "--seed", "1") != whole
    monkeypatch.setattr(corruption_photographs, "CHUNK", 3)
    assert md5("parts") == whole


def test_making_goes_on_where_it_stopped_and_another_seed_needs_force(
    automix: Automix, birds: Path
) -> None:
    make(automix, "set", birds, "--corruptions", "fog")
    both = json.loads(make(automix, "set", birds, "--corruptions", "fog,contrast", "--json").stdout)
    assert [row["milliseconds"] is None for row in both["files"]] == [True, False]
    refused = make(automix, "set", birds, "--corruptions", "fog", "--seed", "1")
    assert refused.exit_code == 3
    assert "seed 0, wanted 1" in refused.stderr
    forced = make(automix, "set", birds, "--corruptions", "fog", "--seed", "1", "--force")
    assert forced.exit_code == 0, forced.output
    assert not Path("set", "contrast").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("--suite", "imagenet-d"), 2, "must be one of cifar-c, imagenet-c, tiny-imagenet-c"),
        (("--corruptions", "rain"), 2, "there is no corruption `rain`"),
        (("--severities", "6"), 2, "severities are 1 to 5, got `6`"),
        (("--data-set", "digits"), 2, "made of photographs in files, `digits`"),
        (("--data-dir", "nowhere"), 3, "cannot read the folder `nowhere`"),
        (("--corruptions", "frost"), 3, "wanted the frost photograph"),
    ],
    ids=["suite", "name", "severity", "arrays", "folder", "frost"],
)
def test_make_refuses(
    automix: Automix, birds: Path, arguments: tuple[str, ...], code: int, complaint: str
) -> None:
    refused = make(automix, "set", birds, *arguments)
    assert refused.exit_code == code
    assert complaint in refused.stderr


def test_a_damaged_photograph_is_named_and_no_folder_is_left(
    automix: Automix, birds: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "mine" / "owl"
    broken.mkdir(parents=True)
    (broken / "a.png").write_bytes(b"no image")
    (tmp_path / "mine" / "wren").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "mine" / "wren" / "b.png")
    refused = make(automix, "set", tmp_path / "mine", "--corruptions", "contrast")
    assert refused.exit_code == 3
    assert "a.png" in refused.stderr
    assert {each.name for each in Path("set").iterdir()} == {"meta.json"}


def test_eval_makes_them_beside_the_folder_once_and_says_so(
    automix: Automix, run: Path, birds: Path
) -> None:
    command = ("eval", run, "--corruptions", "tiny-imagenet-c", *OFFLINE, "--device=cpu")
    shown = automix(*command, "--output-dir", "report")
    assert shown.exit_code == 0, shown.output
    assert "not the published images" in " ".join(shown.stdout.split())
    assert "frost is left out" in shown.stderr
    folder = birds.parent / "birds-Tiny-ImageNet-C-generated"
    made = {each.name for each in folder.iterdir()} - {"meta.json"}
    assert made == set(CORRUPTIONS) - {"frost"}
    before = (folder / "fog" / "3" / "owl" / "0.JPEG").stat().st_mtime_ns
    record = json.loads(automix(*command, "--json").stdout)["corruptions"]
    assert (folder / "fog" / "3" / "owl" / "0.JPEG").stat().st_mtime_ns == before
    assert record["is_generated"] is True
    assert record["missing"] == ["frost"]
    assert record["num_images"] == 4
    assert Path("report", "corruptions", "Tiny-ImageNet-C.png").is_file()
