"""Inputs to one reader of `tests.fuzz`, altered in the directions that reach new lines of code.

    uv run --with atheris python -m tests.fuzz_guided CSV --inputs 20000 --seed 1

Atheris (libFuzzer) watches which lines of this project run. It has wheels for Linux only, so it is
no dependency. An undocumented error ends it with its traceback, the input and exit code 77.
"""

import argparse
import contextlib
import sys
import tempfile
import warnings
from pathlib import Path

import atheris  # pyright: ignore[reportMissingImports]

with atheris.instrument_imports(include=["automix_cli"], enable_loader_override=False):
    from tests.fuzz import targets


def main() -> None:
    """Begin with the valid inputs of a reader, and alter them so many times."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz_guided")
    parser.add_argument("reader", help="as `python -m tests.fuzz` names it")
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        every = {each.name: each for each in targets(Path(name))}
        if options.reader not in every:
            parser.error(f"no reader {options.reader}, but {', '.join(every)}")
        target, corpus = every[options.reader], Path(name) / "corpus"
        corpus.mkdir()
        for number, seed in enumerate(target.seeds):
            (corpus / str(number)).write_bytes(seed)

        def read(content: bytes) -> None:
            with contextlib.suppress(*target.documented):
                target.read(content)

        warnings.simplefilter("ignore")  # Pillow and numpy warn of what is refused next
        flags = [f"-runs={options.inputs}", f"-seed={options.seed}", f"-artifact_prefix={name}/"]
        longest = 4 * max(map(len, target.seeds))
        atheris.Setup([sys.argv[0], *flags, f"-max_len={longest}", str(corpus)], read)
        atheris.Fuzz()  # ends the program


if __name__ == "__main__":
    main()
