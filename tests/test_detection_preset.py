"""Preset `coco-r50-fpn` against the 1x schedule of the literature, typed in from there.

mmdetection, `schedule_1x.py` and `faster_rcnn_r50_fpn.py`: 16 images, rate 0.02, 12 epochs with
drops after 8 and 11, 500 steps of linear warm-up from a thousandth; stem and first stage frozen,
and the statistics of batch norm. Detectron2, `Base-RCNN-FPN.yaml`: the same in steps, 90,000 with
drops after 60,000 and 80,000; batch norm frozen whole, which is what the preset has.
"""

import pytest

from automix_cli.build.detection import detector, detector_values_at
from automix_cli.settings import Settings
from automix_cli.settings.layering import Overrides, load

IMAGES_WITH_BOXES = 117_266
STEPS_PER_EPOCH = -(-IMAGES_WITH_BOXES // 16)


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load(Overrides("coco-r50-fpn"), environment={})[0]


def test_the_rate_is_that_of_the_literature_at_every_turn(settings: Settings) -> None:
    values = detector_values_at(settings, STEPS_PER_EPOCH)
    eighth, eleventh = 8 * STEPS_PER_EPOCH, 11 * STEPS_PER_EPOCH
    expected = {
        0: 0.02 / 1000,
        250: 0.02 * (0.001 + 0.999 * 250 / 500),
        500: 0.02,
        eighth - 1: 0.02,
        eighth: 0.002,
        eleventh - 1: 0.002,
        eleventh: 0.0002,
        12 * STEPS_PER_EPOCH - 1: 0.0002,
    }
    rates = {step: values(step).learning_rate for step in expected}
    assert rates == pytest.approx(expected, rel=0.002)  # 0.0682 epochs are 499.9 steps


def test_in_steps_it_is_a_fortieth_shorter_than_ninety_thousand(settings: Settings) -> None:
    total = settings.train.epochs * STEPS_PER_EPOCH
    assert total == 87_960
    assert total == pytest.approx(90_000, rel=0.025)
    drops = [8 * STEPS_PER_EPOCH, 11 * STEPS_PER_EPOCH]
    assert drops == pytest.approx([60_000, 80_000], rel=0.025)


def test_everything_else_is_that_of_the_literature(settings: Settings) -> None:
    optimizer, detection, model = settings.optimizer, settings.detection, settings.model
    assert (optimizer.name, optimizer.momentum, optimizer.weight_decay) == ("sgd", 0.9, 1e-4)
    assert optimizer.drop_epochs == "8,11"
    assert settings.train.batch_size == 16
    assert (detection.short_side, detection.long_side) == (800, 1333)
    assert detection.short_side_min is None
    assert (detection.channels, detection.head_width, detection.regions) == (256, 1024, 512)
    assert detection.anchor_scale * 4 == 32  # pixels, where a cell has 4
    assert settings.data.flip
    assert (model.backbone, model.stem) == ("resnet50", "imagenet")
    assert (model.frozen_stages, model.freeze_batch_norm) == (2, "all")


def test_the_detector_has_the_numbers_of_the_literature() -> None:
    """On a smaller backbone, which has no part in them."""
    sets = ("model.backbone=resnet18", "model.frozen_stages=0", "model.freeze_batch_norm=none")
    settings = load(Overrides("coco-r50-fpn", sets=sets), environment={})[0]
    network = detector(settings, 80, ((0.5, 0.5, 0.5), (0.2, 0.2, 0.2))).detector
    rpn, heads = network.rpn, network.roi_heads
    assert (rpn.fg_bg_sampler.batch_size_per_image, rpn.fg_bg_sampler.positive_fraction) == (
        256,
        0.5,
    )
    assert (rpn.proposal_matcher.high_threshold, rpn.proposal_matcher.low_threshold) == (0.7, 0.3)
    assert (rpn._pre_nms_top_n["training"], rpn._pre_nms_top_n["testing"]) == (2000, 1000)
    assert rpn.nms_thresh == 0.7
    assert [len(set(each)) for each in rpn.anchor_generator.sizes] == [1] * 5
    assert [each[0] for each in rpn.anchor_generator.sizes] == [32, 64, 128, 256, 512]
    assert rpn.anchor_generator.aspect_ratios == ((0.5, 1.0, 2.0),) * 5
    sampler, matcher = heads.fg_bg_sampler, heads.proposal_matcher
    assert (sampler.batch_size_per_image, sampler.positive_fraction) == (512, 0.25)
    assert (matcher.high_threshold, matcher.low_threshold) == (0.5, 0.5)
    assert (heads.score_thresh, heads.nms_thresh, heads.detections_per_img) == (0.05, 0.5, 100)
    assert heads.box_predictor.cls_score.out_features == 81
