"""`automix eval --localization`, from the command line to the page of pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from automix_cli.cli import app
from automix_cli.commands.evaluating.localization_maps import map_maker
from automix_cli.errors import SettingsError
from automix_cli.models.classifier import ClassifierSpec, build_classifier
from tests.commands.conftest import QUICK, Automix

HEAD = "momentum_one_hot"


def write_squares(root: Path, part: str, number: int) -> str:
    """A bright square on grey noise; the class is its colour. Images are 40 x 60 pixels."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(90, 110, (60, 40, 3), dtype=np.uint8)
    left, top = 4 + number % 8, 6 + 3 * (number % 7)
    pixels[top : top + 24, left : left + 20, number % 2] = 250
    path = f"{part}/{'ab'[number % 2]}/{number}.png"
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(root / path)
    return f"{path},{left},{top},20,24"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images with boxes for ten of the twelve test images and some others."""
    root = tmp_path_factory.mktemp("squares")
    train = [write_squares(root, "train", number) for number in range(16)]
    test = [write_squares(root, "test", number) for number in range(16, 28)]
    (root / "boxes.csv").write_text("\n".join(["path,x,y,w,h", *train[:3], *test[:10]]) + "\n")
    return root


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four steps on them."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    sets = (
        *("data.name=folder", "data.image_size=32", "mix.method=vanilla", "data.workers=0"),
        *("data.flip=true", "train.momentum_coefficient=0.5"),
    )
    options = ["--data-dir", str(data), "-o", str(folder), *(f"--set={each}" for each in sets)]
    result = CliRunner().invoke(app, ["train", "-p", "digits-tiny", *QUICK, *options])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def report(run: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    arguments = ["eval", str(run), "--boxes", str(data / "boxes.csv"), "-o", str(folder)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "MaxBoxAccV2" in result.stdout
    return folder


@pytest.fixture
def record(report: Path) -> dict:
    return json.loads((report / "evaluation.json").read_text())["localization"]


def test_every_number_says_what_it_stands_on(record: dict) -> None:
    assert (record["num_images"], record["num_test_images"]) == (10, 12)
    assert record["view"] == "whole images squashed to 32 x 32 pixels"
    assert record["thresholds"].startswith("1,000 shares of each map's highest level")
    assert (record["without"], record["grad_cam_stage"]) == ({}, None)
    assert list(record["maps"]) == ["cam", "grad-cam", "centre"]
    for each in record["maps"].values():
        low, high = each["interval"]
        assert low <= each["max_box_acc"] <= high + 1e-9
        v2 = [one["accuracy"] for one in each["of_overlaps"]]
        assert each["max_box_acc_v2"] == pytest.approx(sum(v2) / 3)
        assert v2[0] >= v2[1] >= v2[2]
        assert v2[1] >= each["max_box_acc"]  # the largest contour is one of all contours
        assert each["top1_localization"] <= min(each["max_box_acc"], each["top1"])
        assert len(each["curve"]) == 100


def test_there_is_a_page_of_pictures(report: Path) -> None:
    assert (report / "localization.png").stat().st_size > 5000
    assert (report / "localization.svg").is_file()


def test_no_number_depends_on_the_batch_size(
    automix: Automix, run: Path, data: Path, record: dict
) -> None:
    options = ("--boxes", data / "boxes.csv", "--batch-size", "3", "--json")
    result = automix("eval", run, *options)
    assert result.exit_code == 0, result.output
    other = json.loads(result.stdout)["localization"]
    for kind, each in record["maps"].items():
        assert other["maps"][kind]["curve"] == pytest.approx(each["curve"], abs=0.11)
        assert other["maps"][kind]["top1"] == each["top1"]


def test_an_earlier_stage_is_looked_at_by_grad_cam(
    automix: Automix, run: Path, data: Path, record: dict
) -> None:
    options = ("--boxes", data / "boxes.csv", "--cam-stage", "2", "--json")
    result = automix("eval", run, *options)
    assert result.exit_code == 0, result.output
    other = json.loads(result.stdout)["localization"]
    assert other["grad_cam_stage"] == 2
    assert other["maps"]["cam"] == record["maps"]["cam"]
    assert other["maps"]["grad-cam"] != record["maps"]["grad-cam"]


@pytest.mark.parametrize(
    ("lines", "code", "words"),
    [
        (None, 2, "needs the boxes of folder, and no list of them is named"),
        ("test/a/16.png,1,2,3\n", 3, "line 1 has 4 of 5 values"),
        ("test/a/160.png,1,2,3,4\n", 3, "boxes for `test/a/160.png`, which is not in"),
        ("train/a/0.png,1,2,3,4\n", 3, "none of them a test image"),
        ("test/a/16.png,1,70,3,4\n", 3, "lies outside the image: 1, 70, 4, 74 in 40 x 60"),
    ],
)
def test_what_cannot_be_measured_is_a_clear_error(
    automix: Automix, run: Path, lines: str | None, code: int, words: str
) -> None:
    options = ["--localization"]
    if lines is not None:
        Path("list.csv").write_text(lines)
        options = ["--boxes", "list.csv"]
    result = automix("eval", run, *options)
    assert result.exit_code == code, result.output
    assert words in " ".join(result.stderr.split())


def test_a_stage_that_is_not_there_is_a_clear_error(
    automix: Automix, run: Path, data: Path
) -> None:
    result = automix("eval", run, "--boxes", data / "boxes.csv", "--cam-stage", "9")
    assert result.exit_code == 2
    assert "`--cam-stage` must be in [0, 4], got `9`" in result.stderr


def test_images_that_are_no_files_are_a_clear_error(automix: Automix) -> None:
    automix("train", "-p", "digits-tiny", *QUICK, "-o", "digits")
    result = automix("eval", "digits", "--localization")
    assert result.exit_code == 2
    assert "digits is an array" in " ".join(result.stderr.split())


def test_cub_brings_its_own_boxes(automix: Automix, tmp_path: Path) -> None:
    """The official folder, with four images in it."""
    root = tmp_path / "CUB_200_2011"
    boxes = [write_squares(root, "images", number).split(",") for number in range(4)]
    paths = [path.removeprefix("images/") for path, *_ in boxes]
    lists = {
        "images.txt": paths,
        "classes.txt": ["a", "b"],
        "image_class_labels.txt": ["1", "2", "1", "2"],
        "train_test_split.txt": ["1", "1", "0", "0"],
        "bounding_boxes.txt": [" ".join(f"{float(each)}" for each in box) for _, *box in boxes],
    }
    for name, values in lists.items():
        rows = [f"{place} {value}" for place, value in enumerate(values, start=1)]
        (root / name).write_text("\n".join(rows) + "\n")
    sets = ("data.name=cub200", "data.image_size=32", "mix.method=vanilla", "train.batch_size=2")
    options = ("--data-dir", tmp_path, "-o", "run", *(f"--set={each}" for each in sets))
    assert automix("train", "-p", "digits-tiny", *QUICK, *options).exit_code == 0
    result = automix("eval", "run", "--localization", "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)["localization"]
    assert record["num_images"] == record["num_test_images"] == 2
    assert record["boxes"].endswith("bounding_boxes.txt")


def maker_of(backbone: str, stage: int | None = None, size: int = 64):
    spec = ClassifierSpec(backbone, "imagenet", 3, 3, size, 0, 0.0)
    torch.manual_seed(0)  # noqa: TID251 - a network of its own, as `build_classifier` draws it
    network = build_classifier(spec).eval()
    images = torch.linspace(-1, 1, 2 * 3 * size**2).view(2, 3, size, size)
    return map_maker(network, images, stage, backbone), images


@pytest.mark.parametrize(
    ("backbone", "size", "kinds"),
    [
        ("resnet18", 64, ("cam", "grad-cam")),
        ("wide_resnet28_8", 16, ("cam", "grad-cam")),
        ("test_resnet", 64, ("cam", "grad-cam")),
        ("test_efficientnet", 64, ("cam", "grad-cam")),
        ("test_convnext", 64, ("grad-cam",)),  # a norm between the mean and the head
    ],
)
def test_every_kind_of_convolutional_network_has_maps(
    backbone: str, size: int, kinds: tuple[str, ...]
) -> None:
    maker, images = maker_of(backbone, size=size)
    assert maker.kinds == kinds
    maps, _ = maker(images, torch.tensor([0, 2]))
    for each in maps.values():
        assert each.shape == (2, size, size)
        assert 0 <= float(each.min()) <= float(each.max()) <= 1
    if "cam" not in kinds:
        assert maker.without["cam"] == "its embedding is not the mean of its last feature map"


@pytest.mark.parametrize("stage", [None, 1])
def test_a_network_of_tokens_is_told_that_it_has_no_map(stage: int | None) -> None:
    with pytest.raises(SettingsError, match="`test_vit` has no spatial map") as caught:
        maker_of("test_vit", stage)
    assert "transformers show tokens" in str(caught.value.hint)
