"""Who may import whom, and how large a file or function may be. This table IS the definition."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "automix_cli"
OURS: dict[str, set[str]] = {
    # `method`, `models` and `evaluation` are a library: they know nothing of the program
    "method": set(),
    "models": set(),
    "evaluation": set(),
    "atomic": set(),
    "startup": set(),
    "errors": set(),
    "randomness": set(),
    "presets": {"errors"},
    "settings": {"errors", "presets"},
    "data": {"atomic", "errors", "randomness"},
    "reporting": {"atomic", "errors"},
    "engine": {"atomic", "errors", "randomness", "method", "data"},
    "build": {"errors", "settings", "method", "models", "data", "engine"},
    "commands": {
        *("errors", "randomness", "presets", "settings", "build", "startup"),
        *("method", "models", "data", "engine", "evaluation", "reporting"),
    },
    "cli": {"errors", "presets", "settings", "commands", "startup"},
    "__main__": {"cli"},
    "__init__": set(),
}
"""By package or module of ours: what it may import of ours, besides itself."""

THIRD_PARTY: dict[str, set[str]] = {
    "typer": {"cli"},
    "rich": {"cli", "reporting"},
    "accelerate": {"engine"},
    "pydantic": {"settings"},
    "pydantic_core": {"settings"},
    "tomli_w": {"settings"},
    # build: the optimizer that torch has not; data: the operations of RandAugment
    "timm": {"models", "build", "data"},
    "PIL": {"data", "reporting"},  # reporting: animations
    "torchvision": {"data", "models"},  # models: its ResNets, to prove that exports fit them
    "onnx": {"commands"},
    "onnxruntime": {"commands"},
    "google": {"commands"},  # protobuf, whose error onnx shows
    "safetensors": {"engine"},
    "matplotlib": {"reporting"},
    "jinja2": {"reporting"},
    "markupsafe": {"reporting"},
    "huggingface_hub": {"engine", "commands"},
    "pyautoattack": {"evaluation"},
    "faster_coco_eval": {"evaluation"},
    "jaxtyping": {"method", "models", "evaluation"},
    "numpy": {
        *("randomness", "method", "models", "data", "engine", "evaluation", "build", "commands"),
        "reporting",
    },
    "torch": {"method", "models", "data", "engine", "evaluation", "build", "commands"},
}
"""By library: who may import it. A library that is not here may not be imported at all."""

LARGEST_FILE = 260
LARGEST_FUNCTION = 50
MOST_PARAMETERS = 6


def sources(root: Path) -> Iterator[tuple[str, Path, ast.Module]]:
    """The package or module of ours that a file belongs to, the file, and its syntax tree."""
    for path in sorted(root.rglob("*.py")):
        owner = path.relative_to(root).parts[0].removesuffix(".py")
        yield owner, path, ast.parse(path.read_text())


def imported(tree: ast.Module, package: str) -> Iterator[str]:
    """Every module a file imports, anywhere in it; `from a import b` counts as `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = f"{package}.{node.module or ''}".rstrip(".") if node.level else node.module
            yield from (f"{start}.{alias.name}" for alias in node.names)


def forbidden(root: Path) -> list[str]:
    """Every import that the two tables do not allow."""
    found: list[str] = []
    for owner, path, tree in sources(root):
        for name in imported(tree, "automix_cli"):
            top, _, rest = name.partition(".")
            target = rest.partition(".")[0]
            if top == "automix_cli":
                allowed = target in {owner, "__version__", *OURS.get(owner, set())}
            else:
                allowed = top in sys.stdlib_module_names or owner in THIRD_PARTY.get(top, set())
            if not allowed:
                found.append(f"{path.relative_to(root)} imports {name}")
    return found


def functions(root: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function and method, with its place."""
    for _, path, tree in sources(root):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(root)}:{node.lineno} {node.name}", node


def test_every_package_and_module_has_a_row_in_the_table() -> None:
    assert {owner for owner, _, _ in sources(ROOT)} <= OURS.keys()


def test_nobody_imports_what_the_tables_do_not_allow() -> None:
    assert forbidden(ROOT) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("method/a.py", "from automix_cli.settings import Settings"),
        ("method/a.py", "from automix_cli import errors"),
        ("method/a.py", "def f():\n    import accelerate"),
        ("models/a.py", "import automix_cli.method.masks"),
        ("data/a.py", "from automix_cli.engine.step import train_step"),
        ("engine/a.py", "from automix_cli.reporting import records"),
        ("engine/a.py", "from automix_cli.settings import TrainSettings"),
        ("evaluation/a.py", "from automix_cli.data.datasets import ImageSet"),
        ("commands/a.py", "from automix_cli.cli import app"),
        ("commands/a.py", "from rich.table import Table"),
        ("cli.py", "import torch"),
        ("settings.py", "import numpy"),
        ("method/a.py", "from ..settings import Settings"),
        ("method/a.py", "import requests"),
    ],
)
def test_a_planted_violation_is_caught(file: str, line: str, tmp_path: Path) -> None:
    planted = tmp_path / file
    planted.parent.mkdir(exist_ok=True)
    planted.write_text(f"import os\n{line}\n")
    assert len(forbidden(tmp_path)) == 1


def test_no_file_is_longer_than_one_idea() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for _, path, _ in sources(ROOT)}
    assert {name: length for name, length in lengths.items() if length > LARGEST_FILE} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
        documented = ast.get_docstring(node, clean=False) or ""
        lines = (node.end_lineno or 0) - node.lineno + 1
        return lines - (documented.count("\n") + 1 if documented else 0)

    lengths = {place: length(node) for place, node in functions(ROOT)}
    assert {place: lines for place, lines in lengths.items() if lines > LARGEST_FUNCTION} == {}


def test_no_function_has_more_than_six_parameters() -> None:
    def count(arguments: ast.arguments) -> int:
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        return len([each for each in named if each.arg not in ("self", "cls")])

    many = [place for place, node in functions(ROOT) if count(node.args) > MOST_PARAMETERS]
    # Typer reads the flags of a command from the signature of its function
    assert [place for place in many if not place.startswith("cli/")] == []
