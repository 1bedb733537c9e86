"""Random streams are functions of purpose and key."""

import numpy as np
import pytest
import torch

from automix_cli.randomness import Purpose, stream, torch_seed


def draw(purpose: Purpose, *key: int) -> list[int]:
    return stream(purpose, *key).integers(2**62, size=4).tolist()


def test_the_same_key_gives_the_same_numbers_whatever_was_drawn_before() -> None:
    first = draw(Purpose.ORDER, 3, 7)
    draw(Purpose.ORDER, 3, 8)
    assert draw(Purpose.ORDER, 3, 7) == first


def test_a_stream_is_numpys_default_generator_of_purpose_and_key() -> None:
    wanted = np.random.default_rng((int(Purpose.PAIRING), 5, 0, 2)).random(3)
    np.testing.assert_array_equal(stream(Purpose.PAIRING, 5, 0, 2).random(3), wanted)


def test_streams_of_different_purposes_differ() -> None:
    assert len({tuple(draw(purpose, 3, 7)) for purpose in Purpose}) == len(Purpose)


def test_streams_of_different_keys_differ() -> None:
    keys = [(a, b) for a in range(20) for b in range(20)]
    assert len({tuple(draw(Purpose.AUGMENT, *key)) for key in keys}) == len(keys)


def test_purposes_keep_the_values_that_recorded_results_were_made_with() -> None:
    values = {purpose.name: purpose.value for purpose in Purpose}
    assert values == {
        "INIT": 0,
        "ORDER": 1,
        "AUGMENT": 2,
        "PAIRING": 3,
        "DROPOUT": 4,
        "HOLDOUT": 5,
        "SAMPLE": 6,
        "CORRUPTION": 7,
        "MIXED": 10,
        "RESAMPLE": 11,
        "ATTACK": 12,
        "OCCLUSION": 13,
        "QUICK": 14,
        "UNKNOWN": 15,
        "MASKS": 20,
    }


def test_a_negative_key_is_refused() -> None:
    with pytest.raises(ValueError, match=r"key must hold integers >= 0, got \(1, -2\)"):
        stream(Purpose.INIT, 1, -2)


def test_torch_seeds_fit_every_torch_generator_and_differ_by_key() -> None:
    seeds = [torch_seed(Purpose.DROPOUT, 0, step) for step in range(200)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert len(set(seeds)) == len(seeds)
    assert torch.Generator().manual_seed(max(seeds)).initial_seed() == max(seeds)


def test_torch_seeds_use_all_63_bits() -> None:
    seeds = [torch_seed(Purpose.INIT, seed) for seed in range(200)]
    assert np.bitwise_or.reduce(np.array(seeds)) == 2**63 - 1
