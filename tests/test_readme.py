"""What the README says of commands, presets, settings and files is true."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from automix_cli import presets
from automix_cli.cli import app
from automix_cli.cli.boundary import EXIT_CODES
from automix_cli.settings.keys import all_keys, all_sections
from automix_cli.settings.mix import ALPHAS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE_BLOCKS = re.findall(r"^```[^\n]*\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
PROGRAM = re.compile(r"(?:[A-Z_]+=\S+ )*(?:.* -m automix_cli|(?:uv run )?automix)(?: |$)")
"""A command line up to our arguments: `automix`, `uv run automix`, or a launcher with `-m`."""


def commands() -> list[str]:
    """Every command line of ours in a code block, continuation lines joined."""
    lines = "\n".join(CODE_BLOCKS).replace("\\\n", " ").splitlines()
    typed = [line.strip().removeprefix("$ ") for line in lines]
    return [line for line in typed if PROGRAM.match(line)]


def understood(arguments: list[str]) -> None:
    """Parse arguments as the program would.

    Raises:
        Exception: one of Typer's usage errors.
    """
    command, name = typer.main.get_command(app), "automix"
    while isinstance(command, typer.core.TyperGroup) and arguments and arguments[0][0] != "-":
        name, *arguments = arguments
        command = command.commands[name]
    command.make_context(name, arguments, resilient_parsing=not arguments)


@pytest.mark.parametrize("line", commands())
def test_every_command_is_understood(line: str) -> None:
    arguments = shlex.split(PROGRAM.sub("", line, count=1), comments=True)
    if arguments != ["--version"]:
        understood(arguments)


def test_it_shows_the_three_commands_of_a_first_visit() -> None:
    shown = "\n".join(commands())
    assert "automix train --preset digits-tiny" in shown
    assert "automix eval" in shown
    assert "automix presets list" in shown


def test_a_command_that_does_not_exist_would_be_caught() -> None:
    with pytest.raises(KeyError, match="trian"):
        understood(["trian", "--preset", "digits-tiny"])
    with pytest.raises(Exception, match="No such option: --presett"):
        understood(["train", "--presett", "digits-tiny"])


def test_it_documents_every_exit_code() -> None:
    documented = next(line for line in README.splitlines() if line.startswith("Exit codes"))
    codes = {line.split()[0] for line in EXIT_CODES.splitlines()[1:]}
    assert codes <= set(re.findall(r"\d+", documented))


def test_every_preset_it_names_exists() -> None:
    datasets = {name.split("-")[0] for name in presets.names()}
    named = set(re.findall(rf"\b(?:{'|'.join(datasets)})-[a-z][a-z0-9-]*[a-z0-9]", README))
    assert named - set(presets.names()) == set()


def test_every_setting_it_names_exists() -> None:
    sections = "|".join(all_sections())
    named = set(re.findall(rf"[`\s](?:{sections})\.([a-z_]+)=", README))
    assert named - {key.partition(".")[2] for key in all_keys()} == set()


def test_its_table_of_methods_has_every_method_with_its_alpha() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+|-) \|", README, flags=re.MULTILINE)
    table = {name: None if alpha == "-" else float(alpha) for name, alpha in rows}
    assert table == dict(ALPHAS)


def test_every_file_it_links_to_exists() -> None:
    prose = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)", prose)
    assert len(links) > 10
    files = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_the_library_example_runs_and_gives_a_gradient() -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), names)
    assert names["classifier"][1].weight.grad.abs().sum() > 0  # pyright: ignore
