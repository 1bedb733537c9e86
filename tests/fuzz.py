"""Valid files and settings, altered at random, given to whatever reads them.

    python -m tests.fuzz --inputs 100000 --seed 0

Every reader may refuse an input with the error that it documents, or read it; anything else is
reported with the seed and number that bring it back, and ends with exit code 1. Inputs are made
and read in this process; files lie in a folder that is removed.
"""

import argparse
import io
import json
import pickle
import random
import sys
import tempfile
import tomllib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

from automix_cli.commands.inspect import inspected
from automix_cli.commands.trained import read_file
from automix_cli.data.boxes import Box
from automix_cli.data.cifar_pickles import read_cifar_pickle
from automix_cli.data.corrupted_reading import open_corrupted, read_meta
from automix_cli.data.decoding import PictureFile
from automix_cli.data.image_set import ImageSet
from automix_cli.data.matlab import read_matlab
from automix_cli.data.tables import read_table
from automix_cli.engine.checkpoint import FORMAT, VERSION
from automix_cli.engine.sealing import seal
from automix_cli.engine.weights import write_weights
from automix_cli.errors import AutoMixError
from automix_cli.settings.layering import Overrides, load
from automix_cli.settings.toml import dump_toml
from tests.data.published_cifar import python2_pickle

ROOT = Path(__file__).resolve().parents[1]
DATASET = {
    "name": "digits",
    "class_names": ["0", "1"],
    "mean": [1.0],
    "std": [2.0],
    "in_channels": 1,
    "image_size": 8,
}


@dataclass(frozen=True)
class Target:
    """A reader, the valid inputs that are altered for it, and the errors that it documents."""

    name: str
    seeds: tuple[bytes, ...]
    read: Callable[[bytes], object]
    documented: tuple[type[Exception], ...]
    share: int  # of all inputs, in parts of the sum over the targets


def altered(content: bytes, draw: random.Random) -> bytes:
    """Change a few bytes: flip, overwrite, delete, repeat, cut off, put in what is special."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4, 16))):
        place = draw.randrange(len(changed) + 1)
        length = draw.choice((1, 1, 2, 4, 8, 64))
        match draw.randrange(7):
            case 0 if place < len(changed):
                changed[place] ^= 1 << draw.randrange(8)
            case 1:
                changed[place : place + length] = draw.randbytes(length)
            case 2:
                del changed[place : place + length]
            case 3:
                changed[place:place] = changed[max(0, place - length) : place] * draw.choice((1, 9))
            case 4 if draw.random() < 0.3:
                del changed[place:]
            case 5:
                changed[place : place + draw.choice((0, length))] = draw.choice(SPECIAL)
            case _:
                other = draw.randrange(len(changed) + 1)
                changed[place : place + length] = changed[other : other + length]
    return bytes(changed)


SPECIAL = (
    *(b"\0", b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\x7f\xff\xff\xff\xff\xff\xff\xff", b"9" * 5000),
    *(b"\n", b'"', b"'", b",", b"[" * 50, b"{", b"}", b"=", b".", b"-1", b"1e999", b"nan", b"null"),
    *(b"../", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"\x1b[31m", b"R", b"c__main__\nx\n", b"true"),
)


def torch_file(content: object) -> bytes:
    """What `torch.save` writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def checkpoint() -> dict[str, object]:
    """A checkpoint of two tensors."""
    header = {
        "settings": {"model": {"backbone": "tiny_resnet"}},
        "dataset": DATASET,
        "software": {},
        "num_processes": 1,
        "metrics_bytes": 0,
    }
    state = {"step": 1, "seconds": 1.0, "names": (), "sums": None, "summed_steps": 0}
    state |= {"best": {}, "last": {}}
    model = {"weight": torch.zeros(3, 2), "bias": torch.ones(3)}
    return {
        "format": FORMAT,
        "version": VERSION,
        "header": header,
        "model": model,
        "optimizer": {"state": {}, "param_groups": []},
        "scaler": None,
        "state": state,
    }


def checkpoint_targets(folder: Path) -> Iterator[Target]:
    """Checkpoints, with and without the hash that finds every change; portable weights."""
    path = folder / "ckpt.pt"
    unsealed = torch_file({**checkpoint(), "version": 1})
    path.write_bytes(torch_file(checkpoint()))
    seal(path)

    def read(content: bytes) -> object:
        path.write_bytes(content)
        return read_file(path)

    def resealed(content: bytes) -> object:
        path.write_bytes(content)
        try:
            seal(path)
        except ValueError:
            return None
        return read_file(path)

    def look(content: bytes) -> object:
        path.write_bytes(content)
        return inspected(path)

    yield Target("checkpoint with its hash", (path.read_bytes(),), read, (AutoMixError,), 4)
    yield Target("checkpoint without a hash", (unsealed,), read, (AutoMixError,), 4)
    yield Target(
        "checkpoint of a liar, who hashed",
        (torch_file(checkpoint()),),
        resealed,
        (AutoMixError,),
        5,
    )
    yield Target("inspect of a checkpoint", (unsealed,), look, (AutoMixError,), 2)
    portable = folder / "weights.safetensors"
    write_weights(portable, {"weight": torch.ones(3)}, {"settings": {}, "dataset": DATASET})
    bare = save({"weight": torch.ones(3)}, {"automix": json.dumps({"settings": {}, "dataset": {}})})

    def read_portable(content: bytes) -> object:
        portable.write_bytes(content)
        return inspected(portable), read_file(portable)

    seeds = (portable.read_bytes(), bare)
    yield Target("safetensors", seeds, read_portable, (AutoMixError,), 6)


def data_targets(folder: Path) -> Iterator[Target]:
    """CIFAR's pickles, tables, arrays, MATLAB files, images, descriptions."""
    cifar = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 1], b"filenames": [b"a", b"b"]}
    pickles = (python2_pickle(cifar), pickle.dumps(cifar, 3), pickle.dumps(cifar, 4))
    yield Target("CIFAR", pickles, read_cifar_pickle, (ValueError,), 60)
    (folder / "a.png").write_bytes(picture("PNG"))
    table = folder / "labels.csv"

    def read_csv(content: bytes) -> object:
        table.write_bytes(content)
        return read_table(table)

    head = b"path,label,split\n"
    lines = head + b"a.png,owl,train\n./a.png,cat,train\n.//a.png,owl,test\n././a.png,cat,test\n"
    numbers = b"a.png,0\n./a.png,1\n././a.png,00\n"
    yield Target("CSV", (lines, numbers), read_csv, (AutoMixError,), 20)
    matlab = np.load(ROOT / "tests/golden/matlab.npz")
    mats = tuple(matlab[name].tobytes() for name in matlab.files if matlab[name].ndim == 1)
    yield Target("MATLAB", mats, read_matlab, (ValueError,), 30)
    yield from array_targets(folder)
    image = folder / "image.png"

    def read_image(content: bytes) -> object:
        image.write_bytes(content)
        found = PictureFile(image)
        if found.height * found.width > 10_000:
            return None
        return found.part(Box(0, 0, found.height, found.width))

    kinds = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
    yield Target("image", tuple(map(picture, kinds)), read_image, (AutoMixError,), 8)


def array_targets(folder: Path) -> Iterator[Target]:
    """A corrupted test set of one image."""
    test = ImageSet(torch.zeros(1, 3, 32, 32, dtype=torch.uint8), torch.zeros(1).long(), ("a",))
    place = folder / "CIFAR-10-C"
    place.mkdir()
    np.save(place / "fog.npy", np.zeros((5, 32, 32, 3), np.uint8))
    np.save(place / "labels.npy", np.zeros(5, np.uint8))
    seeds = ((place / "labels.npy").read_bytes(), (place / "fog.npy").read_bytes()[:400])

    def read_array(content: bytes) -> object:
        (place / "labels.npy").write_bytes(content)
        return open_corrupted(place, ["fog"], test)

    yield Target(".npy", seeds, read_array, (AutoMixError,), 10)
    described = folder / "described"
    described.mkdir()
    meta = {"files": {"fog": {"md5": "0", "bytes": 3}}, "severities": [1, 2], "identity": {"a": 1}}

    def read_description(content: bytes) -> object:
        (described / "meta.json").write_bytes(content)
        return read_meta(described)

    seeds = (json.dumps(meta).encode(),)
    yield Target("meta.json", seeds, read_description, (AutoMixError,), 30)


def picture(kind: str) -> bytes:
    """A small image in a format."""
    buffer = io.BytesIO()
    pixels = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def environment_name(setting: bytes) -> bytes:
    """`mix.alpha=2` as `MIX__ALPHA=2`."""
    name, _, value = setting.partition(b"=")
    return name.replace(b".", b"__").upper() + b"=" + value


def settings_targets(folder: Path) -> Iterator[Target]:
    """Settings from a file, from `--set` and from the environment."""
    path = folder / "settings.toml"
    content = dump_toml(load(Overrides(preset="digits-tiny"), environment={})[0])
    plain = (content.encode(),)

    def read_toml(content: bytes) -> object:
        path.write_bytes(content)
        return load(Overrides(configs=(path,)), environment={})

    def read_set(content: bytes) -> object:
        return load(Overrides(sets=(content.decode("latin-1"),)), environment={})

    def read_environment(content: bytes) -> object:
        name, _, value = content.decode("latin-1").partition("=")
        return load(Overrides(), environment={f"AUTOMIX_{name}": value})

    every = tuple(
        f"{section}.{key}={json.dumps(value)}".encode()
        for section, table in tomllib.loads(content).items()
        for key, value in table.items()
        if key != "preset"
    )
    variables = tuple(environment_name(each) for each in every)
    yield Target("settings file", plain, read_toml, (AutoMixError,), 6)
    yield Target("--set", every, read_set, (AutoMixError,), 12)
    yield Target("environment", variables, read_environment, (AutoMixError,), 10)


def targets(folder: Path) -> list[Target]:
    """Everything that is given altered inputs."""
    made = (checkpoint_targets(folder), data_targets(folder), settings_targets(folder))
    return [target for each in made for target in each]


def attempt(target: Target, seed: int, number: int) -> tuple[str, str]:
    """Give a target its input of a number: `read`, `refused`, or `crash` with what came out."""
    draw = random.Random(f"{seed} {target.name} {number}")
    content = altered(draw.choice(target.seeds), draw)
    try:
        with warnings.catch_warnings(action="ignore"):
            target.read(content)
    except target.documented:
        return "refused", ""
    except Exception as problem:  # noqa: BLE001 - every other one is what is looked for
        return "crash", f"{target.name}, --seed {seed}, input {number}: {problem!r}"
    return "read", ""


def main() -> int:
    """Run as many inputs as asked for, and print how many ran."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    crashes: list[str] = []
    total = 0
    with tempfile.TemporaryDirectory() as name:
        every = targets(Path(name))
        for target in every:
            share = options.inputs * target.share / sum(each.share for each in every)
            outcomes = Counter[str]()
            for number in range(round(share + 0.5)):
                outcome, told = attempt(target, options.seed, number)
                outcomes[outcome] += 1
                crashes += [told] if told else []
            total += outcomes.total()
            counts = ", ".join(
                f"{outcomes[each]:,} {each}" for each in ("refused", "read", "crash")
            )
            sys.stdout.write(f"{target.name}: {counts}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{total:,} inputs ran, {len(crashes):,} ended in an undocumented error\n")
    sys.stdout.writelines(f"{each}\n" for each in crashes[:20])
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
