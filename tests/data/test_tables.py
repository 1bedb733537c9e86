"""A person's own table of paths and labels, with its rules and its mistakes."""

from pathlib import Path

import pytest
from published_sets import write_image, write_images

from automix_cli.data.datasets import DataRequest, DataSplits, load_splits
from automix_cli.data.image_files import ImageFiles
from automix_cli.errors import DataError

FILES = ["a.png", "b.png", "c, d.png", "e/f.png"]


def load(table: Path, holdout: float = 0.0) -> DataSplits:
    return load_splits(DataRequest("csv", csv=table, holdout=holdout))


def table(folder: Path, text: str, *, encoding: str = "utf-8") -> Path:
    """Write a table beside four images."""
    write_images(folder, FILES)
    path = folder / "labels.csv"
    path.write_text(text, encoding=encoding)
    return path


def listing(images: object) -> list[tuple[str, str]]:
    """Paths with the names of their classes."""
    assert isinstance(images, ImageFiles)
    labels = images.labels.tolist()
    return [
        (path, images.class_names[label]) for path, label in zip(images.paths, labels, strict=True)
    ]


NAMED = 'a.png,owl,train\nb.png,cat,train\n"c, d.png",owl,test\ne/f.png,cat,val\n'


PLAIN = """\
a.png,owl,train
b.png,cat,train
"c, d.png",owl,test
./e/f.png,cat,test
"""
COLUMNS_NAMED = f"path,label,split\n{PLAIN}".replace("b.png,cat,train", "b.png,cat,TRAINING")
OTHER_COLUMNS = """\
width,split,label,path
1,train,owl,a.png
1,train,cat,b.png
2,val,owl,"c, d.png"
3,valid,cat,./e/f.png
"""
FROM_WINDOWS = "\ufeff" + COLUMNS_NAMED.replace(",cat", ", cat").replace("\n", "\r\n\r\n")


@pytest.mark.parametrize(
    "text",
    [PLAIN, COLUMNS_NAMED, OTHER_COLUMNS, FROM_WINDOWS],
    ids=["no-names", "names", "other-columns", "windows"],
)
def test_paths_labels_and_splits_are_read(text: str, tmp_path: Path) -> None:
    splits = load(table(tmp_path, text))
    assert splits.class_names == ("cat", "owl")
    assert listing(splits.train) == [("a.png", "owl"), ("b.png", "cat")]
    assert listing(splits.test) == [("c, d.png", "owl"), ("./e/f.png", "cat")]
    assert isinstance(splits.test, ImageFiles)
    assert all((splits.test.root / path).is_file() for path in splits.test.paths)


def test_a_table_without_splits_gives_up_a_share_as_the_test_part(tmp_path: Path) -> None:
    path = table(tmp_path, 'a.png,1\nb.png,0\n"c, d.png",1\ne/f.png,0\n')
    splits = load(path, holdout=0.5)
    assert (len(splits.train), len(splits.test), splits.validation) == (2, 2, None)
    assert splits.class_names == ("0", "1")
    with pytest.raises(DataError, match="no test part"):
        load(path)


def test_numbers_are_labels_in_the_order_of_their_size(tmp_path: Path) -> None:
    write_images(tmp_path, [f"{n}.png" for n in range(12)])
    rows = [f"{n}.png,{n:02d},{part}" for n, part in enumerate(["train"] * 12)]
    path = tmp_path / "labels.csv"
    write_image(tmp_path / "t.png")
    path.write_text("\n".join([*rows, "t.png,11,test"]))
    splits = load(path)
    assert splits.train.labels.tolist() == list(range(12))
    assert splits.class_names[10] == "10"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('a.png,0\nb.png,1,x,y\n"c, d.png"\n', "line 3 has 1 of 2 values"),
        ("a.png,0,train\nb.png,1,tarin\n", "line 2 has the split `tarin`, wanted `train`, `val`"),
        ("path,label\n,cat\nb.png,\n", "line 2 has no path; line 3 has no label"),
        ("a.png,0\nb.png,1\na.png,1\n", "line 3 repeats the path of line 1, `a.png`"),
        ("a.png,0\nb.png,1\nz z.png,1\n", "line 3 names `z z.png`, which is not there"),
        ("a.png,1\nb.png,2\n", "line 2 has the label 2"),
        ("a.png,-1\nb.png,0\n", "line 1 has the label -1"),
        ("a.png,0,train\nb.png,1,train\ne/f.png,7,test\n", "line 3 has the label 7"),
        (NAMED.replace("cat,val", "elk,val"), "`elk` in the validation part, not in the training"),
        ("a.png,0,test\nb.png,1,test\n", "names no training images"),
        ("a.png,cat\nb.png,cat\n", "has 1 class, at least 2 are needed"),
        ("path,klass\na.png,cat\n", "has the columns `path`, `klass` and no `label`"),
        ("", "names no training images"),
        ('a.png,"cat\nb.png,owl\n', "is no table of comma-separated text"),
    ],
)
def test_a_bad_line_is_named_with_its_number(text: str, words: str, tmp_path: Path) -> None:
    path = table(tmp_path, text)
    with pytest.raises(DataError) as caught:
        load(path, holdout=0.5)
    assert words in caught.value.message
    assert f"`{path}`" in caught.value.message


def test_of_many_bad_lines_the_first_are_named_and_all_are_counted(tmp_path: Path) -> None:
    path = table(tmp_path, "".join(f"none{n}.png,0\n" for n in range(9)))
    with pytest.raises(DataError, match=r"line 5 names .*; and 4 more lines"):
        load(path)


def test_a_table_of_another_encoding_or_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no table of comma-separated text"):
        load(table(tmp_path, "a.png,\xe9t\xe9\n", encoding="latin-1"))
    with pytest.raises(DataError, match=r"cannot read the table .*: No such file"):
        load(tmp_path / "none.csv")
    with pytest.raises(DataError, match="no table of images was named"):
        load_splits(DataRequest("csv"))
