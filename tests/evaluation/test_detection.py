"""Average precision by COCO's protocol."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from automix_cli.evaluation.detection import NAMES, RECALLS, average_precision


def scene(num_images: int = 12) -> tuple[dict, list[dict]]:
    """Boxes of three categories and all sizes, with guesses near them, missing and made up."""
    rng = np.random.default_rng(0)
    images = [{"id": 3 * n + 1, "width": 400, "height": 300} for n in range(num_images)]
    truth, found = [], []
    for image in images:
        for _ in range(int(rng.integers(0, 5))):
            side = float(rng.choice([12, 50, 150]))
            box = [float(each) for each in (*rng.uniform(0, 150, 2), side, side)]
            category = int(rng.choice([2, 5, 9]))
            crowd = int(rng.random() < 0.1)
            ids = {"id": len(truth) + 1, "image_id": image["id"], "category_id": category}
            truth.append({**ids, "bbox": box, "area": side**2, "iscrowd": crowd})
            if rng.random() < 0.8:
                near = [each + float(rng.normal(0, side / 12)) for each in box]
                guess = {"image_id": image["id"], "category_id": category, "bbox": near}
                found.append({**guess, "score": float(rng.random())})
        guess = {"image_id": image["id"], "category_id": 5, "bbox": [5.0, 5.0, 40.0, 40.0]}
        found.append({**guess, "score": float(rng.random())})
    categories = [{"id": each, "name": str(each)} for each in (2, 5, 9)]
    return {"images": images, "annotations": truth, "categories": categories}, found


def by_pycocotools(truth: dict, found: list[dict]) -> np.ndarray:
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = {**truth, "info": {}}
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def test_the_twelve_numbers_are_those_of_pycocotools() -> None:
    truth, found = scene()
    measured = average_precision(truth, found)
    assert list(measured.values()) == pytest.approx(list(by_pycocotools(truth, found)), abs=1e-9)
    assert 0 < measured["ap"] < 1  # pyright: ignore[reportOptionalOperand]


def test_finding_everything_exactly_is_1_and_nothing_is_0() -> None:
    truth, _ = scene()
    perfect = [{**each, "score": 1.0} for each in truth["annotations"] if not each["iscrowd"]]
    assert average_precision(truth, perfect)["ap"] == pytest.approx(1.0)
    assert average_precision(truth, [])["ap"] == 0.0


def test_there_is_no_number_where_there_is_nothing_to_find() -> None:
    truth, found = scene()
    large = [each for each in truth["annotations"] if each["area"] > 96**2]
    measured = average_precision({**truth, "annotations": large}, found)
    assert measured["ap_small"] is None
    assert measured["ap_large"] is not None
    assert set(measured) == {*NAMES, *RECALLS}


def test_annotations_need_neither_ids_nor_areas() -> None:
    truth, found = scene()
    kept = [
        {name: each[name] for name in ("image_id", "category_id", "bbox", "iscrowd")}
        for each in truth["annotations"]
    ]
    assert average_precision({**truth, "annotations": kept}, found)["ap"] == pytest.approx(
        average_precision(truth, found)["ap"]
    )
