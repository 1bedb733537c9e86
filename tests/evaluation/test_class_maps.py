"""CAM and Grad-CAM: identities with the logit, and OpenCV's enlargement."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from automix_cli.evaluation.class_maps import class_activation, enlarged, gradient_activation


@pytest.fixture
def parts() -> tuple[torch.Tensor, torch.nn.Linear, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    head = torch.nn.Linear(6, 4)
    with torch.no_grad():
        head.weight.copy_(torch.randn(4, 6, generator=generator))
    return torch.randn(3, 6, 5, 4, generator=generator), head, torch.tensor([0, 3, 1])


def test_the_mean_of_a_cam_and_the_bias_are_the_logit(parts) -> None:
    last_map, head, labels = parts
    maps = class_activation(last_map, head.weight, labels).mean(dim=(1, 2))
    logits = head(last_map.mean(dim=(2, 3))).gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(maps + head.bias[labels], logits)


def test_grad_cam_behind_a_mean_is_what_is_positive_of_the_cam(parts) -> None:
    last_map, head, labels = parts
    maps = gradient_activation(lambda keep: head(keep(last_map).mean(dim=(2, 3))), labels)
    wanted = F.relu(class_activation(last_map, head.weight, labels)) / 20
    torch.testing.assert_close(maps, wanted)


def test_grad_cam_of_an_image_does_not_depend_on_its_company(parts) -> None:
    last_map, head, labels = parts

    def of(rows: slice) -> torch.Tensor:
        return gradient_activation(
            lambda keep: head(keep(last_map[rows]).exp().mean(dim=(2, 3))), labels[rows]
        )

    torch.testing.assert_close(of(slice(0, 3))[1:2], of(slice(1, 2)))


def test_what_follows_may_write_into_the_feature_map(parts) -> None:
    last_map, head, labels = parts
    kept = last_map.clone()
    gradient_activation(lambda keep: head(keep(last_map).relu_().mean(dim=(2, 3))), labels)
    assert torch.equal(last_map, kept)


def test_a_feature_map_that_no_logit_depends_on_is_refused(parts) -> None:
    last_map, head, labels = parts

    def classify(keep) -> torch.Tensor:
        keep(last_map)
        return head(last_map.mean(dim=(2, 3)))

    with pytest.raises(ValueError, match="do not depend"):
        gradient_activation(classify, labels)


def test_enlarging_is_that_of_opencv() -> None:
    with np.load(Path(__file__).parents[1] / "golden" / "contours.npz") as file:
        small, large = torch.from_numpy(file["small"]), file["enlarged"].astype(np.float64)
    ours = enlarged(small[None], 24)[0].numpy()
    theirs = (large - large.min()) / (large.max() - large.min())
    np.testing.assert_allclose(ours, theirs, atol=2e-6)  # theirs is in float32


def test_a_map_that_says_nothing_is_zero_and_others_are_left_alone() -> None:
    maps = torch.stack([torch.full((3, 3), 2.0), torch.full((3, 3), torch.nan), torch.eye(3)])
    shown = enlarged(maps, 9)
    assert (shown[:2] == 0).all()
    assert (float(shown[2].min()), float(shown[2].max())) == (0, 1)
