"""Features of any size: a mask is what exact arithmetic gives, or no number; never a wrong one."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from automix_cli.method import MixBlock, MixBlockOptions, Pairing
from automix_cli.method.adaptive_mask import AdaptiveMask
from automix_cli.method.adautomix_options import AdaptiveMaskOptions
from automix_cli.method.combination import Combination
from automix_cli.method.options import SAMixBlockOptions
from automix_cli.method.projection import projected
from automix_cli.method.samix_block import SAMixBlock

CHANNELS, CELLS = 64, (4, 4)
PAIRING = Pairing(torch.tensor([0.3, 0.6, 0.8]), torch.tensor([1, 2, 0]))
BLOCKS: dict[str, Callable[[], nn.Module]] = {
    "automix": lambda: MixBlock(CHANNELS, MixBlockOptions()),
    "samix": lambda: SAMixBlock(CHANNELS, SAMixBlockOptions()),
    "adautomix": lambda: AdaptiveMask(CHANNELS, AdaptiveMaskOptions()),
}


def mask(block: nn.Module, features: Tensor, pairing: Pairing = PAIRING) -> Tensor:
    if isinstance(block, AdaptiveMask):
        return block(features, Combination.of_pairs(pairing), CELLS)
    return block(features, pairing, CELLS)


@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        *((torch.float32, size) for size in (1e4, 1e9, 1e18)),
        *((torch.bfloat16, size) for size in (1e4, 1e9, 1e18)),
        *((torch.float16, size) for size in (1e4, 6e4)),
    ],
)
@pytest.mark.parametrize("name", BLOCKS)
def test_large_features_do_not_overflow(name: str, dtype: torch.dtype, size: float) -> None:
    block = BLOCKS[name]()
    features = (size * torch.rand(3, CHANNELS, *CELLS)).to(dtype)
    exact = copy.deepcopy(block).double()
    wanted = mask(exact, features.double(), Pairing(PAIRING.lam.double(), PAIRING.perm))
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        got = mask(block, features)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, wanted.float(), rtol=0, atol=5e-3)  # bfloat16 has 8 bits


@pytest.mark.parametrize("size", [1e21, 1e30, 1e38])
@pytest.mark.parametrize("name", BLOCKS)
def test_what_overflows_float32_gives_a_mask_that_is_no_number(name: str, size: float) -> None:
    """The losses are then none either, and stop the run: nothing is repaired."""
    assert mask(BLOCKS[name](), size * torch.rand(3, CHANNELS, *CELLS)).isnan().any()


def test_a_sum_over_channels_may_be_larger_than_float16_holds() -> None:
    features, weight = torch.full((1, 512, 1, 1), 6e4), torch.full((1, 512, 1, 1), 0.01)
    with torch.autocast("cpu", dtype=torch.float16):
        assert nn.functional.conv2d(features, weight).isinf().all()
        got = projected(features.half(), weight)
    torch.testing.assert_close(got, torch.full((1, 1, 1, 1), 512 * 600.0), rtol=1e-3, atol=0)
