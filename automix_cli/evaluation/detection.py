"""Average precision of a detector by COCO's official protocol.

Source:
    Lin et al., Microsoft COCO (2014), `cocoapi`; computed by faster-coco-eval, a port of it. No
    difference: the tests compare the numbers with pycocotools'.
"""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

NAMES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
"""The first six of COCO's twelve numbers: mean over thresholds of IoU from 0.5 to 0.95, at 0.5, at
0.75, and of objects of an area below 32 x 32, up to 96 x 96, and above."""

RECALLS = ("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large")
"""The other six: mean recall with 1, 10 and 100 boxes an image, and by area."""


def average_precision(
    truth: Mapping[str, Any], predictions: Sequence[Mapping[str, Any]]
) -> dict[str, float | None]:
    """COCO's twelve numbers.

    Args:
        truth: Annotations in COCO's format.
        predictions: Objects with `image_id`, `category_id`, `bbox` (x, y, width, height) and
            `score`.

    Returns:
        Shares in [0, 1] by name, `NAMES` and `RECALLS`; None where there is no object to be found,
        such as no small one.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    annotations = [
        {
            "iscrowd": 0,
            "area": each["bbox"][2] * each["bbox"][3],
            **each,
            "id": number,  # ids may be missing, and 0 counts as no match
        }
        for number, each in enumerate(truth["annotations"], start=1)
    ]
    reference = COCO({**truth, "annotations": annotations})
    with contextlib.redirect_stdout(io.StringIO()):
        found = reference.loadRes([dict(each) for each in predictions])
        evaluation = COCOeval_faster(reference, found, iouType="bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    numbers = np.asarray(evaluation.stats, dtype=np.float64)[: len(NAMES) + len(RECALLS)]
    return {
        name: None if number < 0 else float(number)
        for name, number in zip((*NAMES, *RECALLS), numbers, strict=True)
    }
