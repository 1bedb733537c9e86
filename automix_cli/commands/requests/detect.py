"""What a person asks of `automix detect` besides settings; plain data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DetectRequest:
    """What `automix detect` is asked for.

    Args:
        backbone: Run, file or `timm` whose network it begins with; None for what the settings say.
        resume: As for `automix train`.
        dry_run: Build everything, take two steps, say what a run would cost, write nothing.
        print_config: Show the settings with their origins, and do nothing else.
        as_json: Write the result to stdout as JSON.
    """

    backbone: str | None = None
    resume: str | None = None
    dry_run: bool = False
    print_config: bool = False
    as_json: bool = False
