"""Upload of an export to the Hugging Face Hub, or to what `HF_ENDPOINT` says.

The token is found by `huggingface_hub` itself (`hf auth login`, or `HF_TOKEN`); it is neither
asked for nor shown here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from automix_cli.errors import AutoMixError, SettingsError


def refuse_what_cannot_be_pushed(repo: str) -> None:
    """Say so before anything is made.

    Raises:
        SettingsError: the repository has no such name.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as problem:
        raise SettingsError(
            f"`--push-to-hub` must name a repository such as `me/my-model`, got `{repo}`",
            hint=str(problem).splitlines()[0],
        ) from problem


def push(repo: str, files: Mapping[str, Path], *, private: bool) -> str:
    """Make the repository if there is none, and upload files in one commit.

    Args:
        repo: `owner/name`.
        files: By their name in the repository.
        private: Whether a repository that is made is private.

    Returns:
        The address of the repository.

    Raises:
        AutoMixError: there is no network, no permission or no such owner; the files stay.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import (
        HTTPError,  # pyright: ignore[reportPrivateImportUsage] - of whichever client it has
    )

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    additions = [CommitOperationAdd(name, str(path)) for name, path in files.items()]
    message = f"Upload {' and '.join(files)} by automix export"
    try:
        address = api.create_repo(repo, private=private, exist_ok=True)
        api.create_commit(repo, additions, commit_message=message)
    except (OSError, ValueError, HTTPError) as problem:
        kept = ", ".join(f"`{path}`" for path in files.values())
        raise AutoMixError(
            f"cannot push to `{repo}` on {api.endpoint}: {_without_token(problem)}",
            hint=f"the export is whole and stays: {kept}; log in by `hf auth login`, or set"
            " HF_TOKEN, and see whether the network is there",
        ) from problem
    return str(address)


def _without_token(problem: Exception) -> str:
    """The first line of what went wrong, in which no token may stand."""
    from huggingface_hub import get_token

    line = (str(problem).strip() or type(problem).__name__).splitlines()[0]
    token = get_token()
    return line if token is None else line.replace(token, "***")
