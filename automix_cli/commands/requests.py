"""What a person asks of a command besides settings: where to start, what to show.

Plain data, so that the command line can fill it in without importing the command.
"""

from dataclasses import dataclass
from pathlib import Path

from automix_cli.commands.corruption_requests import CorruptedEvaluation


@dataclass(frozen=True)
class TrainRequest:
    """What `automix train` is asked for.

    Args:
        resume: None starts a run; `newest` goes on with the newest; `auto` with the one in the
            output folder or the newest, and starts one if there is none; anything else is the
            path of a run folder or checkpoint.
        dry_run: Build everything, take two steps, say what a run would cost, write nothing.
        print_config: Show the settings with their origins, and do nothing else.
        as_json: Write the result to stdout as JSON.
    """

    resume: str | None = None
    dry_run: bool = False
    print_config: bool = False
    as_json: bool = False


@dataclass(frozen=True)
class EvaluateRequest:
    """What `automix eval` is asked for.

    Args:
        run: Run folder; None with no checkpoint means the newest finished run.
        checkpoint: Checkpoint file to evaluate instead of a run's own.
        print_config: Show the settings with their origins, and do nothing else.
        as_json: Write the result to stdout as JSON.
        num_bins: Bins of the calibration errors.
        mixed: Measure accuracy on mixed images too.
        output_dir: Folder for the numbers and the figures; None writes no files.
        corruptions: What to measure on corrupted images, or None.
    """

    run: Path | None = None
    checkpoint: Path | None = None
    print_config: bool = False
    as_json: bool = False
    num_bins: int = 15
    mixed: bool = False
    output_dir: Path | None = None
    corruptions: CorruptedEvaluation | None = None


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
        unknown: Data sets the network was not trained on, or `noise`; empty for what needs no
            download.
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


@dataclass(frozen=True)
class DataCheckRequest:
    """What `automix data check` is asked for.

    Args:
        directory: Folder of the images, or of the data sets when `name` is given.
        name: A data set by name; None means a person's own folder, or table if `csv` is given.
        csv: Table of paths and labels.
        workers: Threads that read images; None means one for each core.
        strict: End with an error if anything is found.
        as_json: Write the result to stdout as JSON.
    """

    directory: Path | None = None
    name: str | None = None
    csv: Path | None = None
    workers: int | None = None
    strict: bool = False
    as_json: bool = False


@dataclass(frozen=True)
class DataBenchRequest:
    """What `automix data bench` is asked for.

    Args:
        rounds: How often each thing is measured.
        steps: Batches in each of the pipeline's rounds.
        against_torchvision: Measure a torchvision DataLoader that does the same, too.
        as_json: Write the result to stdout as JSON.
    """

    rounds: int = 5
    steps: int = 20
    against_torchvision: bool = False
    as_json: bool = False


@dataclass(frozen=True)
class CompareRequest:
    """What `automix compare` is asked for.

    Args:
        runs: Run folders, or folders of them, to tabulate; none trains what is missing.
        methods: Names of methods, separated by commas; None for the usual ones.
        seeds: Whole numbers, separated by commas; None for the usual ones.
        variants: `NAME: KEY=VALUE, ...` texts, each a row of its own.
        folder: Where the runs and the tables go; None for the usual place, or, for existing
            runs, nowhere.
        launcher: What starts a training instead of this Python, such as `torchrun`.
        as_json: Write the result to stdout as JSON.
    """

    runs: tuple[Path, ...] = ()
    methods: str | None = None
    seeds: str | None = None
    variants: tuple[str, ...] = ()
    folder: Path | None = None
    launcher: str | None = None
    as_json: bool = False


@dataclass(frozen=True)
class BenchRequest:
    """What `automix bench` is asked for.

    Args:
        rounds: How often each configuration takes a step, after one that does not count.
        versus: Methods to time in turns with the one asked for.
        versus_settings: `NAME: KEY=VALUE, ...` texts, each a configuration of its own.
        grow: `KEY=VALUE,VALUE,...`: the step at each of these values too; None: no growth.
        num_classes: Classes of the images that are made up.
        folder: Where `bench.json` and the figure of `grow` go; None: nowhere.
        memory: Measure the peak memory of each configuration, in a process of its own.
        memory_only: Be such a process: take two steps, and say the peak.
        as_json: Write the result to stdout as JSON.
    """

    rounds: int = 5
    versus: tuple[str, ...] = ()
    versus_settings: tuple[str, ...] = ()
    grow: str | None = None
    num_classes: int = 100
    folder: Path | None = None
    memory: bool = True
    memory_only: bool = False
    as_json: bool = False
