"""Two training steps agree with the authors' implementation, number by number.

The files hold what OpenMixup v0.2.10 computed on the toy classifier: masks, mixed images, losses,
gradients, and the whole state after each SGD step and momentum update, batch-norm buffers included.
"""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from automix_cli.method import AutoMix, Draws, Losses, Pairing

FILES = Path(__file__).parent.parent / "golden"
EXACT = {"rtol": 1e-5, "atol": 1e-6}  # float32 sums in another order
NUM_COMPARED = {"cifar": 150, "lam_concat_bilinear": 150, "samix": 172}
ROUNDING = 1e-9  # all there is of the gradient of SAMix's `key.bias`, which moves no mask
OUR_NAMES = {  # of what SAMix adds
    "mix_block.value.conv.0.conv": "mix_block.value_hidden",
    "mix_block.value.conv.0.bn": "mix_block.value_norm",
    "mix_block.value.conv.1.conv": "mix_block.value_output",
}


def our_name(key: str) -> str:
    """A key of the file, with the name that its module has here."""
    for theirs, ours in OUR_NAMES.items():
        key = key.replace(theirs, ours)
    return key


def block_options(block: dict[str, Any]) -> dict[str, Any]:
    """The options of a mix block and its loss, from what the file says about the reference's."""
    if block["lam_mul"]:
        return {
            "lam_embedding": "multiply",
            "lam_rescale": block["lam_mul_k"],
            "mask_area_loss": "l1+variance",
        }
    return {"lam_embedding": "concat" if block["lam_concat"] else "none"}


class Golden:
    """One golden file, and what AutoMix (or SAMix) computes from its inputs."""

    def __init__(self, name: str, make: Callable[..., AutoMix]) -> None:
        self.name = name
        with np.load(FILES / f"{name}.npz") as file:
            self.hyper: dict[str, Any] = json.loads(str(file["hyper"]))
            self.expected = {
                our_name(key): torch.from_numpy(file[key]) for key in file.files if key != "hyper"
            }
        block = self.hyper["mix_block"]
        self.upsampling = block["unsampling_mode"][0]
        self.options = {
            **block_options(block),
            "lam_margin": self.hyper["lam_margin"],
            "mask_area_margin": block["mask_loss_margin"],
            "mask_area_reduction": "batch_mean",
        }
        self.automix = make(**self.options)
        self.automix.load_state_dict(self.group("initial"))
        self.without_fallback = make(**{**self.options, "lam_margin": 0.0})
        self.computed: dict[str, Tensor] = {}

    def group(self, prefix: str) -> dict[str, Tensor]:
        """All expected tensors below a prefix, by the rest of their name."""
        return {
            key.removeprefix(f"{prefix}/"): tensor
            for key, tensor in self.expected.items()
            if key.startswith(f"{prefix}/")
        }

    def pairing(self, key: str) -> Pairing:
        lam, perm = self.expected[f"{key}/lam"], self.expected[f"{key}/perm"]
        return Pairing(lam.float().expand(len(perm)), perm)

    def run(self) -> None:
        """Do both steps with SGD and momentum update, and keep what the file keeps."""
        trained = [each for each in self.automix.parameters() if each.requires_grad]
        optimizer = torch.optim.SGD(
            trained,
            lr=self.hyper["lr"],
            momentum=self.hyper["sgd_momentum"],
            weight_decay=self.hyper["weight_decay"],
        )
        for step in ("step0", "step1"):
            images, labels = self.expected[f"{step}/images"], self.expected[f"{step}/labels"]
            draws = Draws(
                for_classifier=self.pairing(f"{step}/for_classifier"),
                for_mix_block=self.pairing(f"{step}/for_mix_block"),
                upsampling_for_classifier=self.upsampling,
                upsampling_for_mix_block=self.upsampling,
            )
            self.look_inside(step, images, draws)
            self.train_step(step, images, labels, draws, optimizer)

    def look_inside(self, step: str, images: Tensor, draws: Draws) -> None:
        """Features and masks, from copies: a forward moves batch-norm buffers."""
        momentum_classifier = copy.deepcopy(self.automix.momentum_classifier)
        self.computed[f"{step}/features"] = momentum_classifier.features(images)
        self.without_fallback.load_state_dict(self.automix.state_dict())
        masks = self.without_fallback.masks(images, draws)
        self.computed[f"{step}/for_mix_block/mask"] = masks.for_mix_block
        self.computed[f"{step}/for_classifier/mask_before_fallback"] = masks.for_classifier

    def train_step(
        self,
        step: str,
        images: Tensor,
        labels: Tensor,
        draws: Draws,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        """One step of AutoMix itself; its mixed images are what the networks see second."""
        seen: dict[str, list[Tensor]] = {"classifier": [], "momentum_classifier": []}
        hooks = [
            getattr(self.automix, name).backbone.conv1.register_forward_pre_hook(
                lambda _, inputs, inputs_seen=inputs_seen: inputs_seen.append(inputs[0].detach())
            )
            for name, inputs_seen in seen.items()
        ]
        losses: Losses = self.automix(images, labels, draws, self.hyper["mask_area_weight"])
        optimizer.zero_grad()
        losses.total.backward()
        for name, parameter in self.automix.named_parameters():
            if parameter.requires_grad:
                self.computed[f"{step}/grad/{name}"] = parameter.grad.clone()
        optimizer.step()
        self.automix.update_momentum(self.hyper["momentum_coefficient"])

        self.computed[f"{step}/for_classifier/mixed"] = seen["classifier"][1]
        self.computed[f"{step}/for_mix_block/mixed"] = seen["momentum_classifier"][1]
        for name in ("total", "one_hot", "mixed", "mix_block"):
            self.computed[f"{step}/loss/{name}"] = getattr(losses, name)
        weighted = self.hyper["mask_area_weight"] * losses.mask_area
        self.computed[f"{step}/loss/mask_area_weighted"] = weighted
        for name, tensor in self.automix.state_dict().items():
            self.computed[f"{step}/after/{name}"] = tensor.clone()
        for hook in hooks:
            hook.remove()


@pytest.fixture(params=["cifar", "lam_concat_bilinear", "samix"])
def golden(
    request: pytest.FixtureRequest,
    make_automix: Callable[..., AutoMix],
    make_samix: Callable[..., AutoMix],
) -> Golden:
    golden = Golden(request.param, make_samix if request.param == "samix" else make_automix)
    golden.run()
    return golden


def outputs(golden: Golden, *kinds: str) -> list[str]:
    """Names in the file of which a part is one of `kinds`, in both steps."""
    return [key for key in golden.expected if set(key.split("/")) & set(kinds)]


def test_every_number_of_the_file_is_compared(golden: Golden) -> None:
    inputs = {"initial", "images", "labels", "lam", "perm"}
    wanted = {key for key in golden.expected if not set(key.split("/")) & inputs}
    assert set(golden.computed) == wanted
    assert len(wanted) == NUM_COMPARED[golden.name]


def test_features_masks_and_mixed_images_agree(golden: Golden) -> None:
    keys = outputs(golden, "features", "mask", "mask_before_fallback", "mixed")
    for key in (key for key in keys if "/loss/" not in key and "/after/" not in key):
        torch.testing.assert_close(golden.computed[key], golden.expected[key], **EXACT, msg=key)


def test_each_loss_agrees(golden: Golden) -> None:
    for key in outputs(golden, "loss"):
        torch.testing.assert_close(golden.computed[key], golden.expected[key], **EXACT, msg=key)


def test_every_gradient_agrees(golden: Golden) -> None:
    for key in outputs(golden, "grad"):
        expected = golden.expected[key]
        error = (golden.computed[key] - expected).abs().max()
        # of the largest entry: small ones are differences of large ones
        assert error < 1e-4 * expected.abs().max() + ROUNDING, key


def test_the_state_after_each_step_agrees_buffers_included(golden: Golden) -> None:
    for key in outputs(golden, "after"):
        torch.testing.assert_close(
            golden.computed[key], golden.expected[key], rtol=1e-4, atol=1e-6, msg=key
        )


def test_the_second_step_falls_back_to_mixup(golden: Golden) -> None:
    """Or the fallback would not have been compared."""
    lam = golden.pairing("step1/for_classifier").lam[0]
    assert min(lam, 1 - lam) <= golden.hyper["lam_margin"]


def test_both_buffers_count_two_forwards_a_step(golden: Golden) -> None:
    for name in ("classifier", "momentum_classifier"):
        key = f"after/{name}.backbone.bn3.num_batches_tracked"
        before = golden.expected[f"initial/{name}.backbone.bn3.num_batches_tracked"]
        assert [int(golden.computed[f"step{i}/{key}"] - before) for i in (0, 1)] == [2, 4]
