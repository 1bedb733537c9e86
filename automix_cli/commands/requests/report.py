"""What a person asks of `automix report`: plain data, free of torch."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ReportRequest:
    """What `automix report` is asked for.

    Args:
        runs: Run folders, or folders of them; none means the newest finished run.
        include: Files of measurements that lie elsewhere.
        format: `html` or `markdown`; None: what the output's ending says, else HTML.
        output: The file; None for `report.html` or `report.md` in the one run's folder, or of
            several runs in the working folder.
        force: Replace a file that is no report.
    """

    runs: tuple[Path, ...] = ()
    include: tuple[Path, ...] = ()
    format: str | None = None
    output: Path | None = None
    force: bool = False
