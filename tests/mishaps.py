"""What the others do when one process of a run is lost, and images that cannot be shared evenly.

    python -m tests.mishaps FOLDER

Tiny runs are forked from this program, as in `tests.kill_storm`. Each mishap leaves a folder of its
own, and in `FOLDER/mishaps.json` how its processes ended. `commands/test_mishaps.py` judges.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from tests.commands.conftest import free_port, workers_of
from tests.kill_storm import RUN, Session, by_hand, in_a_copy, signalled, typed, write_images

SHORT = (*RUN, "--set=train.epochs=6", "--set=train.masks_pairs=0")
FAIR = (
    *(*SHORT, "--set=train.epochs=2", "--set=optimizer.lr=0.01", "--set=data.crop_padding=0"),
    *("--set=mix.method=vanilla", "--set=model.freeze_batch_norm=statistics"),
)
"""Nothing is drawn by process, and no image sees the others of its batch."""

Ended = dict[str, Any]


def forked(folder: Path, arguments: Sequence[str], processes: int) -> Session:
    """Start a run."""
    return Session(folder, partial(by_hand, arguments, [folder] * processes))


def after_step(session: Session, step: int) -> None:
    """Wait until a run has come so far."""
    while session.last_record()[1] < step and not session.is_over():
        time.sleep(0.002)


def ended(session: Session) -> Ended:
    """How long the processes went on, and their exit codes in the order of their ranks."""
    began = time.monotonic()
    session.wait(60)
    seconds = time.monotonic() - began
    for pid in session.pids:  # whoever is still there
        signalled(pid, signal.SIGKILL)
    session.wait(10)
    return {"seconds": seconds, "codes": session.codes()}


def one_killed(folder: Path) -> Ended:
    """Kill the second of two processes."""
    session = forked(folder, SHORT, 2)
    after_step(session, 4)
    signalled(session.pids[1], signal.SIGKILL)
    return ended(session)


def one_hanging(folder: Path) -> Ended:
    """Halt the first of two processes, which wait for each other for two seconds."""
    session = forked(folder, [*SHORT, "--set=run.process_timeout=2"], 2)
    after_step(session, 4)
    halted = session.pids[0]
    signalled(halted, signal.SIGSTOP)
    began = time.monotonic()
    while not session.ended() and time.monotonic() - began < 60:
        time.sleep(0.01)
    seconds = time.monotonic() - began
    signalled(halted, signal.SIGKILL)
    return {**ended(session), "seconds": seconds}


def one_with_broken_data(folder: Path) -> Ended:
    """Give two processes an image that cannot be read, and comes to one of them."""
    path = folder / "images" / "train" / "a" / "3.jpg"
    path.write_bytes(path.read_bytes()[:200])
    return ended(forked(folder, [*SHORT, "--set=data.storage=stream"], 2))


def other_checkpoints(folder: Path) -> Ended:
    """Let the second of two processes see a run folder without a checkpoint."""
    forked(folder, [*SHORT, "--set=train.max_steps=2"], 1).wait(60)
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "images").symlink_to(folder / "images")
    begin = partial(by_hand, SHORT, [folder, folder / "elsewhere"])
    return ended(Session(folder, begin))


def shared_out(processes: int) -> Callable[[Path], Ended]:
    """Train on steps of 8, 8 and 1 image, and test on 2."""

    def train(folder: Path) -> Ended:
        return ended(forked(folder, FAIR, processes))

    return train


def restarted(folder: Path) -> Ended:
    """Kill a worker of torchrun's elastic agent twice: it starts all of them again."""
    session = Session(folder, lambda: [in_a_copy(partial(agent, folder))])
    for step in (4, 10):
        after_step(session, step)
        signalled(workers_of(session.pids[0])[-1], signal.SIGKILL)
    return ended(session)


def agent(folder: Path) -> None:
    """Be `torchrun --nproc_per_node 2 --max-restarts 3`, but for forking what it starts."""
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=2,
        rdzv_backend="c10d",
        rdzv_endpoint=f"127.0.0.1:{free_port()}",
        run_id="storm",
        max_restarts=3,
        start_method="fork",
    )
    elastic_launch(config, worker)(SHORT, folder)


def worker(arguments: Sequence[str], folder: Path) -> None:
    """One process of that run; torchrun takes a return for success, and an exit for none."""
    try:
        typed(arguments, folder, f"log{os.environ['RANK']}.txt")
    except SystemExit as leaving:
        if leaving.code:
            raise


def never_killed(folder: Path) -> Ended:
    """Two processes that nothing happens to."""
    return ended(forked(folder, SHORT, 2))


MISHAPS: dict[str, Callable[[Path], Ended]] = {
    "one_killed": one_killed,
    "one_hanging": one_hanging,
    "one_with_broken_data": one_with_broken_data,
    "other_checkpoints": other_checkpoints,
    "never_killed": never_killed,
    "restarted": restarted,
    "shared_by_1": shared_out(1),
    "shared_by_2": shared_out(2),
    "shared_by_3": shared_out(3),
}


def main(folder: Path, names: Sequence[str]) -> None:
    """Bring about all mishaps, or some."""
    os.environ["OMP_NUM_THREADS"] = "1"
    found: dict[str, Ended] = {}
    for name in names or MISHAPS:
        place = folder / name
        is_shared = name.startswith("shared")
        write_images(place / "images", num_train=17, num_test=2 if is_shared else 11)
        began = time.monotonic()
        found[name] = MISHAPS[name](place)
        sys.stderr.write(f"{name}: {found[name]}, {time.monotonic() - began:.1f} s in all\n")
    (folder / "mishaps.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
