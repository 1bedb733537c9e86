"""`automix visualize-masks` from the command line to figures and numbers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from automix_cli.cli import app
from automix_cli.engine.checkpoint import load_checkpoint
from automix_cli.reporting.mask_figure import Cell, PairBlock, mask_figure
from tests.commands.conftest import QUICK, Automix

FILES = {f"{name}.{kind}" for name in ("masks", "curves") for kind in ("png", "svg")}
FAST = ("--set=train.max_steps=2", "--set=evaluation.batch_size=360")


def trained(folder: Path, method: str) -> Path:
    run = folder / method
    arguments = ["train", "-p", "digits-tiny", "-m", method, *QUICK, *FAST, "-o", str(run)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return run


@pytest.fixture(scope="module")
def automix_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of AutoMix on digits."""
    return trained(tmp_path_factory.mktemp("learned"), "automix")


@pytest.fixture(scope="module")
def cutmix_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of a rival on digits."""
    return trained(tmp_path_factory.mktemp("rival"), "cutmix")


@pytest.fixture(autouse=True)
def few_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers on a few pairs, at three ratios."""
    monkeypatch.setattr("automix_cli.commands.masks.pairs.NUM_MEASURED", 10)
    monkeypatch.setattr("automix_cli.commands.masks.show.CURVE", (0.0, 0.5, 1.0))


def shown(automix: Automix, *arguments: str | Path) -> dict[str, Any]:
    result = automix("visualize-masks", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(automix: Automix, code: int, *arguments: str | Path) -> str:
    result = automix("visualize-masks", *arguments)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    return " ".join(result.stderr.split())


def test_a_checkpoint_leaves_figures_and_numbers_beside_it(
    automix: Automix, automix_run: Path
) -> None:
    result = automix("visualize-masks", automix_run, "--pairs=2", "--ratios=0,0.5", "--maps")
    assert result.exit_code == 0, result.output
    assert "automix" in result.stdout
    maps = {"maps.png", "maps.svg"}
    folder = automix_run / "masks"
    kept = "progress.safetensors"  # by the training
    assert {each.name for each in folder.iterdir()} == {*FILES, *maps, "masks.json", kept}
    content = json.loads((folder / "masks.json").read_text())
    assert content["schema_version"] == 1
    assert [len(pair["methods"]["automix"]) for pair in content["pairs"]] == [2, 2]
    zero, half = content["pairs"][0]["methods"]["automix"]
    assert (zero["falls_back"], half["falls_back"]) == (True, False)
    assert half["label_weights"][0] == pytest.approx(half["area"])
    numbers = content["methods"]["automix"]
    assert numbers["num_pairs"] == 10
    assert numbers["fall_back"]["lam_margin"] == 0.08
    assert [each["num_masks"] for each in numbers["curve"]] == [10, 10, 10]


def test_a_rivals_checkpoint_draws_its_own_mixtures(
    automix: Automix, cutmix_run: Path, tmp_path: Path
) -> None:
    content = shown(automix, "--checkpoint", cutmix_run / "ckpt.pt", "--pairs=1")
    assert list(content["methods"]) == ["cutmix"]
    curve = content["methods"]["cutmix"]["curve"]
    assert [each["entropy"] for each in curve] == [0, 0, 0]
    assert curve[-1]["area_mean"] == 1
    assert list(tmp_path.iterdir()) == []


def test_every_method_is_shown_the_same_pairs_and_others_do_not_change_it(
    automix: Automix, automix_run: Path
) -> None:
    both = shown(automix, automix_run, "--methods=mixup,cutmix,automix", "--pairs=2")
    alone = shown(automix, automix_run, "--methods=cutmix", "--pairs=2")
    for one, other in zip(both["pairs"], alone["pairs"], strict=True):
        assert (one["first"], one["second"]) == (other["first"], other["second"])
        assert one["first"]["class"] != one["second"]["class"]
        assert one["methods"]["cutmix"] == other["methods"]["cutmix"]
        assert [each["area"] for each in one["methods"]["mixup"]] == pytest.approx(both["ratios"])


def test_the_seed_chooses_pairs_and_the_same_seed_the_same_files(
    automix: Automix, cutmix_run: Path, tmp_path: Path
) -> None:
    options = ("--pairs=1", "--ratios=0.5")
    one, again = (shown(automix, cutmix_run, *options, "--seed=3", "-o", folder) for folder in "ab")
    assert one == again
    assert shown(automix, cutmix_run, *options, "--seed=4")["pairs"] != one["pairs"]
    assert {each.name for each in (tmp_path / "a").iterdir()} == {*FILES, "masks.json"}
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_pairs_may_be_named_by_index_and_by_class(automix: Automix, cutmix_run: Path) -> None:
    named = shown(automix, cutmix_run, "--indices", "3,17,5,8", "--ratios=1")
    numbers = [[pair[side]["index"] for side in ("first", "second")] for pair in named["pairs"]]
    assert numbers == [[3, 17], [5, 8]]
    of_classes = shown(automix, cutmix_run, "--classes", "7,2", "--pairs=2")
    classes = {(pair["first"]["class"], pair["second"]["class"]) for pair in of_classes["pairs"]}
    assert classes == {("7", "2")}


def test_files_of_any_size_and_colour_become_pairs(
    automix: Automix, automix_run: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (90, 40), (200, 10, 10)).save(tmp_path / "a.jpg")
    Image.new("L", (31, 70), 128).save(tmp_path / "b.png")
    content = shown(
        *(automix, automix_run, "--methods=puzzlemix,automix", "--images", "a.jpg", "b.png"),
        *("--background", "dark"),
    )
    (pair,) = content["pairs"]
    assert (pair["first"], pair["second"]) == ({"file": "a.jpg"}, {"file": "b.png"})
    assert pair["methods"]["puzzlemix"][0]["area"] is None
    assert content["methods"]["automix"]["num_pairs"] == 1


def test_pairs_that_do_not_fit_a_page_get_more_pages(
    automix: Automix, cutmix_run: Path, tmp_path: Path
) -> None:
    shown(automix, cutmix_run, "--pairs=7", "--ratios=0.5", "-o", "out")
    names = {each.name for each in (tmp_path / "out").glob("masks*.png")}
    assert names == {"masks.png", "masks-2.png"}


def test_what_cannot_be_drawn_is_refused(
    automix: Automix, automix_run: Path, cutmix_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    portable = automix_run / "classifier.safetensors"
    cases: list[tuple[int, str, tuple[str | Path, ...]]] = [
        (4, "ckpt.pt", ("--checkpoint", portable)),
        (4, "masks of `samix` are learned", (automix_run, "--methods=samix")),
        (4, "masks of `automix` are learned", (cutmix_run, "--methods=automix")),
        (4, "two checkpoints are of `cutmix`", (cutmix_run, "--checkpoint", cutmix_run)),
        (4, "found nothing", (tmp_path / "unfinished",)),
        (3, "broken.jpg", (cutmix_run, "--images", "broken.jpg", "broken.jpg")),
        (2, "got 1 file(s)", (cutmix_run, "--images", "broken.jpg")),
        (2, "in [0, 1]", (cutmix_run, "--ratios=0.5,1.2")),
        (2, "in [0, 1]", (cutmix_run, "--ratios=half")),
        (2, "no method is called `mixdown`", (cutmix_run, "--methods=mixdown")),
        (2, "mixes feature maps", (cutmix_run, "--methods=manifoldmix")),
        (2, "attention_checkpoint", (cutmix_run, "--methods=attentivemix")),
        (2, "`transmix` cannot mix", (cutmix_run, "--methods=transmix")),
        (2, "no method shown has one", (cutmix_run, "--maps")),
        (2, "even number of test images", (cutmix_run, "--indices=1,2,3")),
        (2, "even number of test images", (cutmix_run, "--indices=1,99999")),
        (2, "no class is called `cat`", (cutmix_run, "--classes=cat,1")),
        (2, "both say", (cutmix_run, "--classes=1", "--indices=1,2")),
        (2, "`light` or `dark`", (cutmix_run, "--background=pink")),
        (2, "cannot write a report into the folder", (cutmix_run, "-o", "broken.jpg")),
        (2, "cannot write a report into the folder", (cutmix_run, "-o", "/proc")),
    ]
    for code, words, arguments in cases:
        assert words in refused(automix, code, *arguments)


def test_a_checkpoint_is_read_once(
    automix: Automix, automix_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def counted(path: Path) -> object:
        read.append(path)
        return load_checkpoint(path)

    monkeypatch.setattr("automix_cli.commands.trained.load_checkpoint", counted)
    shown(automix, automix_run, "--pairs=1", "--ratios=0.5")
    assert len(read) == 1


def test_a_run_that_is_named_nowhere_must_exist(automix: Automix) -> None:
    assert "finished run" in refused(automix, 4)


def test_many_large_pictures_on_a_page_are_kept_small() -> None:
    """And a page of hundreds of ratios is no wider than a figure may be."""
    picture = np.zeros((1024, 1024, 3), dtype=np.float32)
    cells = [Cell(0.5, picture, picture[:, :, 0], 0.0, (0.0, 1.0), falls_back=False)] * 200
    figure = mask_figure([PairBlock((picture, picture), ("a", "b"), {"mixup": cells})])
    assert max(figure.get_size_inches()) <= 60
    sizes = [max(image.get_array().shape[:2]) for image in figure.axes[0].get_images()]
    assert max(sizes) <= 192
