"""`automix visualize-masks`: pairs of images, and what each method makes of them."""

from __future__ import annotations

import json
import sys
from typing import Any

from automix_cli.commands.evaluating.judged_images import load_judged
from automix_cli.commands.judging import accelerator_to_judge
from automix_cli.commands.masks import redrawing as mask_redrawing
from automix_cli.commands.masks.methods import (
    Source,
    chosen_methods,
    pair_mixer,
    read_source,
    refuse_differing,
)
from automix_cli.commands.masks.pairs import (
    Pairs,
    check_pairs_request,
    measured_pairs,
    pairs_of_files,
    pairs_of_test,
)
from automix_cli.commands.masks.show import Show, draw_pages
from automix_cli.commands.requests.visualize_masks import MasksRequest
from automix_cli.commands.trained import chosen_checkpoint, refuse_other_classes
from automix_cli.engine.runtime import Accelerator
from automix_cli.errors import SettingsError
from automix_cli.method.learned_pairs import LearnedPairs
from automix_cli.method.shown_pairs import PairMixer
from automix_cli.reporting.figures import Background
from automix_cli.reporting.mask_files import MaskFolder, mask_tables
from automix_cli.reporting.tables import print_tables
from automix_cli.settings.layering import Overrides

SCHEMA_VERSION = 1


def run(overrides: Overrides, request: MasksRequest) -> None:
    """Draw pairs with the masks and mixtures of each method, and measure the masks.

    Raises:
        AutoMixError: anything a person can mend; the exit code says what kind.
    """
    ratios, background = chosen_ratios(request.ratios), chosen_background(request.background)
    if request.progress:
        mask_redrawing.run(request, background)
        return
    check_pairs_request(request.pairs)
    sources = read_sources(overrides, request)
    names = chosen_methods(request.methods, sources)
    accelerator = accelerator_to_judge(sources[0].settings.run)
    mixers = [pair_mixer(name, sources, accelerator.device) for name in names]
    if request.maps:
        require_a_mix_block(mixers)
    show = Show(sources[0], mixers, accelerator.device, request.pairs.seed, ratios)
    pairs, measured = pairs_and_measured(show, request, accelerator)
    if accelerator.is_main_process:
        path = request.output_dir
        if path is None and not request.as_json:
            path = sources[0].path.parent / "masks"
        folder = None if path is None else MaskFolder(path, background)
        content = {
            "schema_version": SCHEMA_VERSION,
            "checkpoints": {source.method: str(source.path) for source in sources},
            "dataset": sources[0].trained.dataset["name"],
            "seed": request.pairs.seed,
            "ratios": list(ratios),
            "pairs": draw_pages(show, pairs, folder, with_maps=request.maps),
            "methods": {mixer.method: show.numbers(mixer, measured) for mixer in mixers},
        }
        if folder is not None:
            folder.finish(content)
        report(content, as_json=request.as_json)
    accelerator.end_training()


def read_sources(overrides: Overrides, request: MasksRequest) -> list[Source]:
    """The checkpoints: that of the run first, or of the newest one if nothing is named.

    Raises:
        CheckpointError: one is missing, broken, or does not go with the others.
    """
    paths = [chosen_checkpoint(each, None) for each in request.checkpoints]
    if request.run is not None or not paths:
        paths.insert(0, chosen_checkpoint(request.run, None))
    sources = [read_source(path, overrides) for path in paths]
    refuse_differing(sources)
    return sources


def require_a_mix_block(mixers: list[PairMixer]) -> None:
    """Maps are of a mix block.

    Raises:
        SettingsError: no method has one.
    """
    if not any(isinstance(mixer, LearnedPairs) for mixer in mixers):
        raise SettingsError(
            "`--maps` shows what a mix block makes its masks of, and no method shown has one",
            hint="leave it out, or add a checkpoint of automix, samix or adautomix",
        )


def pairs_and_measured(
    show: Show, request: MasksRequest, accelerator: Accelerator
) -> tuple[Pairs, Pairs]:
    """The pairs to show, and those to measure: of files the same.

    Raises:
        SettingsError: no such image or class.
        DataError: images are missing or broken, or of other classes.
    """
    trained = show.source.trained
    if request.pairs.images:
        channels = int(trained.dataset["in_channels"])
        pairs = pairs_of_files(request.pairs.images, show.viewer, channels)
        return pairs, pairs
    test = load_judged(show.source.settings.data, accelerator, holdout=0.0).test
    refuse_other_classes(trained, test.class_names)
    return pairs_of_test(test, request.pairs), measured_pairs(test, request.pairs)


def chosen_background(name: str) -> Background:
    """What figures are drawn on.

    Raises:
        SettingsError: neither `light` nor `dark`.
    """
    if name not in ("light", "dark"):
        raise SettingsError(f"`--background` must be `light` or `dark`, got `{name}`")
    return name


def chosen_ratios(text: str) -> tuple[float, ...]:
    """The numbers in `0,0.3,1`.

    Raises:
        SettingsError: not numbers in [0, 1].
    """
    try:
        ratios = tuple(float(word) for word in text.split(","))
    except ValueError:
        ratios = (float("nan"),)
    if not all(0 <= ratio <= 1 for ratio in ratios):
        raise SettingsError(
            f"`--ratios` must be numbers in [0, 1], separated by commas, got `{text}`",
            hint="a ratio is the share of the first image: --ratios 0,0.3,0.5,0.7,1",
        )
    return ratios


def report(content: dict[str, Any], *, as_json: bool) -> None:
    """Tables for people, or JSON for programs."""
    if as_json:
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
    else:
        print_tables(*mask_tables(content))
