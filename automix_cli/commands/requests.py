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
class LocalizationRequest:
    """What `automix eval --localization` is asked for.

    Args:
        boxes: Table of boxes; None for those that are published with the data set.
        stage: Feature stage that Grad-CAM looks at; None for the last map.
    """

    boxes: Path | None = None
    stage: int | None = None


@dataclass(frozen=True)
class EvaluateRequest:
    """What `automix eval` is asked for.

    Args:
        run: Run folder; None with no checkpoint means the newest finished run.
        checkpoint: Checkpoint file to evaluate instead of a run's own.
        print_config: Show the settings with their origins, and do nothing else.
        as_json: Write the result to stdout as JSON.
        num_bins: Bins of the calibration errors.
        mixed: Measure accuracy on images mixed by the usual methods and the run's own too.
        mixed_by: Measure accuracy on images mixed by these methods too.
        output_dir: Folder for the numbers and the figures; None writes no files.
        corruptions: What to measure on corrupted images, or None.
        localization: How to measure whether objects are found, or None.
    """

    run: Path | None = None
    checkpoint: Path | None = None
    print_config: bool = False
    as_json: bool = False
    num_bins: int = 15
    mixed: bool = False
    mixed_by: tuple[str, ...] = ()
    output_dir: Path | None = None
    corruptions: CorruptedEvaluation | None = None
    localization: LocalizationRequest | None = None


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


@dataclass(frozen=True)
class PairsRequest:
    """Which pairs of images `automix visualize-masks` is asked for.

    Args:
        images: Files, two for each pair; empty for images of the test set.
        indices: Numbers of test images, separated by commas, two for each pair; None draws them.
        classes: Names of classes, separated by commas, that drawn images come from; None: any.
        num_pairs: How many pairs to draw.
        seed: Of which pairs are drawn, and of everything that methods draw.
    """

    images: tuple[Path, ...] = ()
    indices: str | None = None
    classes: str | None = None
    num_pairs: int = 4
    seed: int = 0


@dataclass(frozen=True)
class MasksRequest:
    """What `automix visualize-masks` is asked for.

    Args:
        run: Run folder; None with no checkpoints means the newest finished run.
        checkpoints: Files or run folders; those of several methods stand side by side.
        methods: Names, separated by commas; None for what the checkpoints were trained with.
        pairs: Which pairs of images.
        ratios: Shares of the first image, separated by commas.
        background: `light` or `dark`.
        maps: Draw value and attention maps too.
        progress: Draw the masks that a run kept in training, and nothing else.
        output_dir: Folder of figures and numbers; None for one beside the checkpoint, or none with
            `as_json`.
        as_json: Write the numbers to stdout as JSON.
    """

    run: Path | None = None
    checkpoints: tuple[Path, ...] = ()
    methods: str | None = None
    pairs: PairsRequest = PairsRequest()
    ratios: str = "0,0.3,0.5,0.7,1"
    background: str = "light"
    maps: bool = False
    progress: bool = False
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
