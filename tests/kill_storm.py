"""Kill a training run with SIGKILL at many moments, resume it each time, and look at how it ends.

    python -m tests.kill_storm [--kills 20] [--processes 1 2] [--seed 0] [--fresh]

A tiny run of AutoMix is trained twice: without a kill, and killed again and again. Kills are aimed,
each with a random delay, at start-up, steps, evaluations and writing of checkpoints, and some at no
moment in particular. Each process is halted before it is killed, so that the run folder says where
the kill fell; that is counted, not the aim. With two processes, every other kill is of one of them:
the other has to end by itself. Both runs must end with the same classifier and masks to the byte,
the same records and summary but for times, and no file that is not finished. Anything else is
lost, is listed, and gives exit code 1.

Runs are forked from this program, which has imported everything and done nothing else; with
`--fresh` each is a process of its own, as a person or torchrun starts it, and that takes minutes.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import automix_cli.commands.training.run  # noqa: F401 - what forked runs need is imported once
from automix_cli.cli import main as automix
from tests.commands.conftest import free_port, records_of, start, without_times, workers_of
from tests.data.pictures import write_parts

STEPS_PER_EPOCH = 3
RUN = (
    *("train", "--preset=digits-tiny", "--device=cpu", "--output-dir=run", "--resume=auto"),
    *("--set=data.name=folder", "--set=data.image_size=16", "--set=data.workers=0"),
    *("--set=train.batch_size=8", "--set=train.save_every=2", "--set=train.log_every=1"),
    *("--set=train.masks_every=8", "--set=train.masks_pairs=1", "--data-dir=images"),
)
"""Of 19 images in three steps an epoch, the last one of 3 images; 11 to test on."""

AIMS = ("start-up", "steps", "evaluation", "checkpoint", "anywhere")
LONGEST_WAIT = 60.0
"""Seconds in which a process must have ended after another was killed."""


@dataclass
class Moment:
    """Where in a run a kill fell."""

    aim: str
    fell: str  # start-up, steps, evaluation, checkpoint, end; or `after` the end of the run
    step: int
    victims: int
    seconds: float = 0.0  # from the kill until the last process was gone


@dataclass
class Storm:
    """What was done to a run, and what was lost."""

    processes: int
    moments: list[Moment] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many kills fell where."""
        return dict(Counter(each.fell for each in self.moments))


Started = subprocess.Popen[str] | list[int]
"""A program, torchrun if there are several processes; or the forked processes, by rank."""


class Session:
    """The processes of one start of the run.

    Args:
        folder: Where the run folder is.
        begin: Starts them.
    """

    def __init__(self, folder: Path, begin: Callable[[], Started]) -> None:
        self.run = folder / "run"
        self.before = self.sessions()
        self.left = set(self.partials())
        self.began = time.monotonic()
        started = begin()
        self._codes: dict[int, int] = {}
        self._program = None if isinstance(started, list) else started
        self._pids = started if isinstance(started, list) else []

    @property
    def pids(self) -> list[int]:
        """The processes at work, in the order of their ranks; torchrun needs a while for them."""
        if self._program is None:
            return self._pids
        return workers_of(self._program.pid) or [self._program.pid]

    def is_over(self) -> bool:
        """Whether all processes have ended."""
        if self._program is not None:
            return self._program.poll() is not None
        return len(self.ended()) == len(self._pids)

    def ended(self) -> dict[int, int]:
        """Forked processes that have ended, and their exit codes; negative after a signal."""
        for pid in self._pids:
            if pid not in self._codes:
                is_dead, status = os.waitpid(pid, os.WNOHANG)
                if is_dead:
                    self._codes[pid] = os.waitstatus_to_exitcode(status)
        return self._codes

    def codes(self) -> list[int]:
        """How all of them ended, in the order of their ranks; torchrun answers for its own."""
        if self._program is not None:
            self._program.communicate()
            return [self._program.returncode]
        return [self._codes[pid] for pid in self._pids]

    def wait(self, seconds: float) -> bool:
        """Wait for all to end, and say whether they did."""
        until = time.monotonic() + seconds
        while not self.is_over():
            if time.monotonic() > until:
                return False
            time.sleep(0.002)
        return True

    def sessions(self) -> int:
        """How often the run has come to its first step."""
        path = self.run / "environment.json"
        return len(json.loads(path.read_text())["sessions"]) if path.exists() else 0

    def partials(self) -> Iterator[Path]:
        """Files that are being written, or never were finished."""
        return self.run.rglob(".*")

    def last_record(self) -> tuple[str, int]:
        """Split and step of the last whole line of the metrics."""
        path = self.run / "metrics.jsonl"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        record = json.loads(lines[-1]) if lines else {"split": "", "step": 0}
        return record["split"], record["step"]

    def where(self, num_steps: int) -> tuple[str, int]:
        """What the run is doing, as its folder says, and after which step."""
        split, step = self.last_record()
        if self.sessions() == self.before:
            return "start-up", step
        if any(
            each.name.startswith((".ckpt", ".best")) for each in set(self.partials()) - self.left
        ):
            return "checkpoint", step
        if split == "train" and step % STEPS_PER_EPOCH == 0:
            return "evaluation", step
        return ("end" if step == num_steps else "steps"), step

    def kill(self, aim: str, num_steps: int, victim: int | None) -> Moment:
        """Halt all processes, look at where they are, and kill them; or one, and others go on.

        Nobody notices that a process started by hand is gone before they know each other: in the
        start-up all are killed, unless torchrun looks after them.
        """
        if self.is_over():
            return Moment(aim, "after", num_steps, 0)
        everyone = self.pids
        for pid in everyone:
            signalled(pid, signal.SIGSTOP)
        fell, step = self.where(num_steps)
        is_alone = victim is not None and (self._program is not None or fell != "start-up")
        victims = (everyone[victim:][:1] if is_alone else []) or everyone
        for pid in victims:
            signalled(pid, signal.SIGKILL)
        for pid in everyone:
            signalled(pid, signal.SIGCONT)
        began = time.monotonic()
        self.wait(LONGEST_WAIT)
        moment = Moment(aim, fell, step, len(victims), time.monotonic() - began)
        for pid in self.pids if not self.is_over() else []:
            signalled(pid, signal.SIGKILL)
        self.wait(LONGEST_WAIT)
        return moment


def signalled(pid: int, number: int) -> None:
    """Send a signal to a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def by_hand(arguments: Sequence[str], folders: Sequence[Path]) -> list[int]:
    """Start a process in each folder, all of one run, as somebody does who has no torchrun."""
    port, pids = str(free_port()), []
    for rank, folder in enumerate(folders):
        environment: dict[str, str] = {}
        if len(folders) > 1:
            environment = {"RANK": str(rank), "LOCAL_RANK": str(rank), "MASTER_PORT": port}
            environment |= {"WORLD_SIZE": str(len(folders)), "MASTER_ADDR": "127.0.0.1"}
        pids.append(in_a_copy(partial(typed, arguments, folder, f"log{rank}.txt", environment)))
    return pids


def in_a_copy(act: Callable[[], None]) -> int:
    """Do something in a copy of this process, which then ends; give its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        act()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:  # noqa: BLE001 - this is the end of the process, and is told
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def typed(
    arguments: Sequence[str], folder: Path, log: str, environment: Mapping[str, str] | None = None
) -> None:
    """Be the program that is given a command line in a folder; what it says goes into a file."""
    os.chdir(folder)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.update(environment or {})
    sys.argv = ["automix", *arguments]
    automix()


@dataclass(frozen=True)
class Setup:
    """The run that is killed."""

    epochs: int
    processes: int
    is_fresh: bool

    @property
    def num_steps(self) -> int:
        """How long it is."""
        return self.epochs * STEPS_PER_EPOCH

    def begin(self, folder: Path) -> Session:
        """Start it, or go on with it."""
        arguments = (*RUN, f"--set=train.epochs={self.epochs}")
        if self.is_fresh:
            return Session(
                folder, partial(start, arguments, folder=folder, processes=self.processes)
            )
        return Session(folder, partial(by_hand, arguments, [folder] * self.processes))


def storm(folder: Path, kills: int, setup: Setup, seed: int) -> Storm:
    """Train without a kill, then with them, and compare."""
    draw, result = random.Random(seed), Storm(setup.processes)
    calm, wild = folder / "calm", folder / "wild"
    for each in (calm, wild):
        write_images(each / "images", num_train=19, num_test=11)
    session = setup.begin(calm)
    spans = timed(session, setup.num_steps)
    if any(session.codes()):
        raise RuntimeError(f"the run that nobody killed ended with {session.codes()}")
    aims = [AIMS[number % len(AIMS)] for number in range(kills)]
    draw.shuffle(aims)
    for number, aim in enumerate(aims):
        session = setup.begin(wild)
        wait_for_moment(session, aim, setup.num_steps, spans, draw)
        one = setup.processes > 1 and number % 2
        victim = draw.randrange(setup.processes) if one else None
        result.moments.append(session.kill(aim, setup.num_steps, victim))
        if result.moments[-1].seconds > LONGEST_WAIT:
            result.lost.append(f"a process went on for a minute after kill {number}")
    session = setup.begin(wild)
    session.wait(600)
    if any(session.codes()):
        result.lost.append(f"the last session ended with {session.codes()}")
    result.lost += differences(calm / "run", wild / "run")
    return result


def wait_for_moment(
    session: Session, aim: str, num_steps: int, spans: dict[str, float], draw: random.Random
) -> None:
    """Wait until a run does what is aimed at, once or twice, and then for a random while.

    But for an epoch at most: a run that is suddenly faster must not come to its end.
    """
    times, is_there = draw.randint(1, 2), False
    if aim in ("start-up", "anywhere"):
        times = 0
    while times and not session.is_over():
        was_there, is_there = is_there, session.where(num_steps)[0] == aim
        times -= is_there and not was_there
        time.sleep(0.0005)
    until = time.monotonic() + draw.uniform(0, spans[aim])
    latest = session.last_record()[1] + STEPS_PER_EPOCH
    while time.monotonic() < until and session.last_record()[1] < latest:
        if session.wait(0.002):
            return


def write_images(root: Path, *, num_train: int, num_test: int) -> None:
    """So many images in two classes, nearly as many of each."""
    for rest, name in enumerate("ab"):
        write_parts(
            root, name, num_train=(num_train + 1 - rest) // 2, num_test=(num_test + 1 - rest) // 2
        )


def timed(session: Session, num_steps: int) -> dict[str, float]:
    """Follow a run to its end: how long its parts take, in seconds."""
    spent: Counter[str] = Counter()
    last = session.began
    while not session.is_over():
        now = time.monotonic()
        spent[session.where(num_steps)[0]] += now - last
        last = now
        time.sleep(0.002)
    epochs = num_steps / STEPS_PER_EPOCH
    return {
        "start-up": spent["start-up"],
        "anywhere": spent["start-up"] + sum(spent.values()) / 10,
        "steps": 2 * spent["steps"] / num_steps,
        "evaluation": spent["evaluation"] / epochs / 2,
        "checkpoint": spent["checkpoint"] / num_steps / 2,
    }


def differences(calm: Path, wild: Path) -> list[str]:
    """What is not the same of two runs, but for times; and what should not be there."""
    files = [
        Path("classifier.safetensors"),
        *(each.relative_to(calm) for each in calm.glob("masks/*")),
    ]
    lost = [
        f"{name} differs"
        for name in map(str, files)
        if not (wild / name).exists() or (calm / name).read_bytes() != (wild / name).read_bytes()
    ]
    if not (wild / "summary.json").exists():
        return [*lost, "there is no summary"]
    summaries = [
        without_times(json.loads((each / "summary.json").read_text())) for each in (calm, wild)
    ]
    lost += ["summary.json differs"] * (summaries[0] != summaries[1])
    lost += ["metrics.jsonl differs"] * (records_of(calm) != records_of(wild))
    lost += [f"{each.name} was left" for each in wild.rglob(".*")]
    return lost


def main() -> int:
    """Tell how it went as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.kill_storm")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--processes", type=int, nargs="+", default=[1])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", action="store_true")
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    storms: list[Storm] = []
    for processes in asked.processes:
        setup = Setup(max(4, asked.kills), processes, asked.fresh)
        with tempfile.TemporaryDirectory() as name:
            storms.append(storm(Path(name), asked.kills, setup, asked.seed))
    told = [{**asdict(each), "counts": each.counts} for each in storms]
    sys.stdout.write(json.dumps(told, indent=1) + "\n")
    return 1 if any(each.lost for each in storms) else 0


if __name__ == "__main__":
    sys.exit(main())
