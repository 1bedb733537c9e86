"""A person's own folder, with its rules and its mistakes."""

from pathlib import Path

import pytest
from published_sets import write_image, write_images

from automix_cli.data.datasets import DataRequest, DataSplits, load_splits
from automix_cli.data.image_files import ImageFiles
from automix_cli.errors import DataError


def load(root: Path, holdout: float = 0.0, train_limit: int | None = None) -> DataSplits:
    return load_splits(DataRequest("folder", root, holdout=holdout, train_limit=train_limit))


def failure(root: Path, holdout: float = 0.0) -> DataError:
    with pytest.raises(DataError) as caught:
        load(root, holdout)
    return caught.value


def paths(images: object) -> list[str]:
    assert isinstance(images, ImageFiles)
    return list(images.paths)


def divided(root: Path, *parts: str) -> None:
    """Write two images of each of two classes for each part."""
    for part in parts:
        write_images(root / part, [f"{name}/{n}.png" for name in ("owl", "cat") for n in (1, 2)])


@pytest.mark.parametrize("part", ["test", "val", "valid", "Validation", "testing"])
def test_what_lies_beside_train_is_reported_on(part: str, tmp_path: Path) -> None:
    divided(tmp_path, "train", part)
    splits = load(tmp_path)
    assert splits.class_names == ("cat", "owl")
    assert paths(splits.train) == [
        f"train/{name}/{n}.png" for name in ("cat", "owl") for n in (1, 2)
    ]
    assert paths(splits.test)[0] == f"{part}/cat/1.png"
    assert splits.train.labels.tolist() == [0, 0, 1, 1]
    assert splits.validation is None
    assert (splits.image_size, splits.crop, splits.in_channels) == (224, "random_resized", 3)


def test_where_there_are_both_val_chooses_and_test_is_reported_on(tmp_path: Path) -> None:
    divided(tmp_path, "train", "val", "test")
    splits = load(tmp_path)
    assert paths(splits.test)[0] == "test/cat/1.png"
    assert paths(splits.validation)[0] == "val/cat/1.png"
    assert "validation part of their own, of 4 images" in failure(tmp_path, 0.5).message


def test_one_folder_of_classes_gives_up_a_share_of_each_as_the_test_part(tmp_path: Path) -> None:
    divided(tmp_path, ".")
    splits = load(tmp_path, holdout=0.5)
    assert splits.train.labels.tolist() == splits.test.labels.tolist() == [0, 1]
    both = paths(splits.train) + paths(splits.test)
    assert sorted(both) == ["cat/1.png", "cat/2.png", "owl/1.png", "owl/2.png"]
    assert splits.validation is None


def test_one_folder_of_classes_without_a_holdout_says_what_to_do(tmp_path: Path) -> None:
    divided(tmp_path, ".")
    error = failure(tmp_path)
    assert "no test part" in error.message
    assert "--set data.holdout=0.2" in (error.hint or "")


def test_train_alone_is_divided_by_the_holdout(tmp_path: Path) -> None:
    divided(tmp_path, "train")
    assert len(load(tmp_path, holdout=0.25).test) == 1


def test_holdout_and_limit_leave_files_of_every_class(tmp_path: Path) -> None:
    names = [
        f"{part}/{name}/{n}.png" for part in ("train", "test") for name in "ab" for n in range(8)
    ]
    write_images(tmp_path, names)
    splits = load(tmp_path, holdout=0.25, train_limit=4)
    assert splits.validation is not None
    assert splits.train.labels.tolist() == splits.validation.labels.tolist() == [0, 0, 1, 1]
    assert len(splits.test) == 16


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_images(tmp_path, ["bus/1.png", "bus/2.png", "train/1.png", "train/2.png"])
    assert load(tmp_path, holdout=0.5).class_names == ("bus", "train")


def test_names_with_spaces_and_other_letters_are_read(tmp_path: Path) -> None:
    root = tmp_path / "meine V\xf6gel \U0001f426"
    write_images(
        root,
        [
            f"{part}/{name}/ein Bild \u732b.JPG"
            for part in ("train", "test")
            for name in ("gro\xdfer Uhu", "\u732b")
        ],
    )
    splits = load(root)
    assert splits.description()["class_names"] == ["gro\xdfer Uhu", "\u732b"]
    assert isinstance(splits.train, ImageFiles)
    assert all((splits.train.root / path).is_file() for path in splits.train.paths)


def test_folders_in_a_class_belong_to_it_and_hidden_and_other_files_do_not(tmp_path: Path) -> None:
    divided(tmp_path, "train", "test")
    write_image(tmp_path / "train/cat/2023/may/3.jpg")
    write_image(tmp_path / "train/cat/._4.jpg")
    (tmp_path / "train/cat/notes.txt").write_text("no image")
    (tmp_path / "train/.cache").mkdir()
    assert paths(load(tmp_path).train)[:3] == [
        "train/cat/1.png",
        "train/cat/2.png",
        "train/cat/2023/may/3.jpg",
    ]


def test_links_in_a_circle_come_to_an_end(tmp_path: Path) -> None:
    divided(tmp_path, "train", "test")
    (tmp_path / "train/cat/again").symlink_to(tmp_path / "train/cat")
    (tmp_path / "train/cat/up").symlink_to(tmp_path)
    found = paths(load(tmp_path).train)
    assert found.count("train/cat/1.png") == 1
    assert len(found) < 20


def test_a_class_folder_may_be_a_link(tmp_path: Path) -> None:
    divided(tmp_path / "a", "train", "test")
    write_image(tmp_path / "elsewhere/1.png")
    for part in ("train", "test"):
        (tmp_path / "a" / part / "elk").symlink_to(tmp_path / "elsewhere")
    assert load(tmp_path / "a").class_names == ("cat", "elk", "owl")


def empty_class(root: Path) -> None:
    (root / "train/elk").mkdir()
    write_image(root / "test/elk/1.png")


def other_classes(root: Path) -> None:
    write_image(root / "test/elk/1.png")
    write_image(root / "train/emu/1.png")


def stray(root: Path) -> None:
    write_image(root / "train/contact sheet.png")


def unwritable(root: Path) -> None:
    for part in ("train", "test"):
        write_image(root / part / "a\nb/1.png")


def no_train(root: Path) -> None:
    (root / "train").rename(root / "valid")


def two_of_one_part(root: Path) -> None:
    divided(root, "val", "valid")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (empty_class, "no images in the class folder `elk` of the train part"),
        (other_classes, "`elk` in the test part, not in the training part"),
        (other_classes, "`emu` in the training part, not in the test part"),
        (stray, "`train/contact sheet.png` in no class folder"),
        (unwritable, r"names that cannot be written: `'a\nb'`"),
        (no_train, "has `test`, `valid` and no `train`"),
        (two_of_one_part, "has `val`, `valid`, which are both the validation part"),
    ],
)
def test_a_mistake_of_layout_is_named(spoil, words: str, tmp_path: Path) -> None:
    divided(tmp_path, "train", "test")
    spoil(tmp_path)
    error = failure(tmp_path)
    assert words in error.message
    assert error.hint
    assert error.exit_code == 3


def test_one_class_is_none(tmp_path: Path) -> None:
    write_images(tmp_path, ["train/cat/1.png", "test/cat/1.png"])
    assert "1 class folders, at least 2 are needed" in failure(tmp_path).message


def test_a_folder_that_is_empty_or_missing_is_said(tmp_path: Path) -> None:
    assert f"no folders in `{tmp_path}`" in failure(tmp_path).message
    missing = failure(tmp_path / "no where").message
    assert missing == f"cannot read the folder `{tmp_path / 'no where'}`: No such file or directory"
