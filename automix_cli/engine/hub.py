"""Weights from the Hugging Face hub, where timm publishes them: fetched once, then kept."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError

from automix_cli.errors import CheckpointError


def fetch(repository: str, file: str, *, download: bool) -> Path:
    """Give a file of the hub: the copy that is kept on this machine, or a new one.

    Args:
        repository: Such as `timm/resnet18.a1_in1k`.
        file: Its name there.
        download: Whether it may be downloaded.

    Raises:
        CheckpointError: it is not here and cannot be had; says how to get it by hand.
    """
    try:
        return Path(
            huggingface_hub.hf_hub_download(
                repository,
                file,
                cache_dir=constants.HF_HUB_CACHE,
                local_files_only=not download,
            )
        )
    except (OSError, ValueError, HfHubHTTPError) as problem:
        reason = "" if download else " (`data.download` is `false`)"
        raise CheckpointError(
            f"the pretrained weights are not on this machine and were not downloaded{reason}: "
            f"wanted `{file}` of `{repository}` in `{constants.HF_HUB_CACHE}`",
            hint=f"fetch {huggingface_hub.hf_hub_url(repository, file)} where there is a network, "
            "put it anywhere on this machine and name it: `--set model.init=PATH/" + file + "`; "
            "or begin with random weights: `--set model.init=none`",
        ) from problem
