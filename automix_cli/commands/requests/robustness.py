"""What a person asks of `automix robustness` besides settings: plain data, free of torch."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class AttackRequest:
    """Which attacks `automix robustness` is asked for.

    Args:
        names: Of attacks.
        epsilons: As typed, `8/255` or `0.03`; empty for those usual for the norm.
        norm: `linf` or `l2`.
        steps: Gradient steps of the attacks that take several.
        step_size: As typed; None for a fourth of epsilon.
        restarts: Random starts of PGD.
        momentum: Of MI-FGSM.
        targeted: Attack towards a random other class.
    """

    names: tuple[str, ...] = ()
    epsilons: tuple[str, ...] = ()
    norm: str = "linf"
    steps: int = 10
    step_size: str | None = None
    restarts: int = 1
    momentum: float = 1.0
    targeted: bool = False


@dataclass(frozen=True)
class RobustnessRequest:
    """What `automix robustness` is asked for.

    Args:
        run: Run folder; None with no checkpoints means the newest finished run.
        checkpoints: Files or run folders to compare.
        attack: Which attacks.
        unknown: Data sets or folders unknown to the network, or `noise`; empty: the usual.
        parts: What to measure; empty for everything.
        quick: Measure on so many test images only; None for all.
        seed: Of everything random.
        output_dir: Folder of the report; None for one beside the checkpoint.
        as_json: Write the report to stdout as JSON.
    """

    run: Path | None = None
    checkpoints: tuple[Path, ...] = ()
    attack: AttackRequest = AttackRequest()
    unknown: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    quick: int | None = None
    seed: int = 0
    output_dir: Path | None = None
    as_json: bool = False
