"""The command line: help, exit codes, errors, and what it never imports."""

import json
import os
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from automix_cli import __version__, errors
from automix_cli.cli import app
from automix_cli.cli.boundary import EXIT_CODES, ErrorBoundary, lost_process
from automix_cli.cli.options import complete_method, complete_preset

COMMANDS = [
    ["train"],
    ["eval"],
    ["compare"],
    ["bench"],
    ["detect"],
    ["report"],
    ["robustness"],
    ["export"],
    ["inspect"],
    ["import-openmixup"],
    ["visualize-masks"],
    ["settings"],
    ["presets"],
    ["data"],
    ["corruptions"],
]
PRESET_COMMANDS = [["presets", name] for name in ("list", "show", "copy", "diff")]
DATA_COMMANDS = [["data", name] for name in ("bench", "check", "voc-to-coco")]
CORRUPTION_COMMANDS = [["corruptions", name] for name in ("make", "verify")]
GROUP_COMMANDS = [*PRESET_COMMANDS, *DATA_COMMANDS, *CORRUPTION_COMMANDS]
ROOT = typer.main.get_command(app)
HEAVY = {"torch", "torchvision", "timm", "accelerate"}


def python(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    """Run the interpreter of these tests in a process of its own."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def parsed(*arguments: str) -> dict[str, object]:
    """What the command line understands by the arguments of a command."""
    root = ROOT.make_context("automix", list(arguments))
    command = ROOT.commands[arguments[0]]
    return command.make_context(arguments[0], list(arguments[1:]), parent=root).params


def test_version_is_the_package_version(automix) -> None:
    assert automix("--version").stdout == f"automix {__version__}\n"


@pytest.mark.parametrize("command", [[], *COMMANDS, *GROUP_COMMANDS], ids=str)
def test_help_of_every_command_succeeds(automix, command: list[str]) -> None:
    result = automix(*command, "--help")
    assert result.exit_code == 0
    assert "Usage: automix" in result.stdout


def test_help_lists_every_command(automix) -> None:
    shown = automix("--help").stdout
    assert [name for name in ROOT.commands if f" {name} " in shown] == list(ROOT.commands)


def test_help_lists_every_exit_code(automix) -> None:
    codes = {cls("").exit_code for cls in errors.AutoMixError.__subclasses__()[:5]}
    codes |= {0, *errors.Interrupted.EXIT_CODES}
    listed = {int(line.split()[0]) for line in EXIT_CODES.splitlines()[1:]}
    assert listed == codes
    shown = " ".join(automix("--help").stdout.split())
    assert all(" ".join(line.split()) in shown for line in EXIT_CODES.splitlines())


def examples() -> list[list[str]]:
    """Every example in the help texts, as arguments."""
    groups = [each for each in ROOT.commands.values() if isinstance(each, typer.core.TyperGroup)]
    commands = [each for group in (ROOT, *groups) for each in group.commands.values()]
    lines = [line.strip() for each in commands for line in (each.help or "").splitlines()]
    return [line.split()[2:] for line in lines if line.startswith("$ automix ")]


def test_every_command_has_examples() -> None:
    groups = ("presets", "data", "corruptions")
    started_with = {tuple(each[:2]) if each[0] in groups else (each[0],) for each in examples()}
    wanted = {tuple(each) for each in [*COMMANDS[:-3], *GROUP_COMMANDS]}
    assert started_with == wanted


@pytest.mark.parametrize("arguments", examples(), ids=" ".join)
def test_every_example_is_understood(arguments: list[str]) -> None:
    group = ROOT
    while isinstance(group, typer.core.TyperGroup):
        name, *arguments = arguments
        group = group.commands[name]
    group.make_context(name, arguments)


@pytest.mark.parametrize(
    ("arguments", "resume"),
    [
        ([], None),
        (["--resume"], "newest"),
        (["--resume", "--seed", "3"], "newest"),
        (["--seed", "3", "--resume"], "newest"),
        (["--resume", "auto"], "auto"),
        (["--resume", "runs/a", "--json"], "runs/a"),
        (["--resume=runs/a"], "runs/a"),
    ],
    ids=str,
)
def test_resume_alone_means_the_newest_run(arguments: list[str], resume: str | None) -> None:
    assert parsed("train", *arguments)["resume"] == resume


def test_options_may_be_spelled_with_underscores() -> None:
    arguments = ["--mixed_precision", "bf16", "--data_dir", "a_b", "--dry_run"]
    understood = parsed("train", *arguments)
    assert understood["mixed_precision"] == "bf16"
    assert str(understood["data_dir"]) == "a_b"
    assert understood["dry_run"] is True


def test_completion_offers_the_presets_that_begin_with_what_was_typed() -> None:
    assert complete_preset("cifar100-r") == ["cifar100-r18", "cifar100-rx50"]
    assert complete_preset("no-such") == []


def test_completion_offers_the_methods_that_begin_with_what_was_typed() -> None:
    assert complete_method("mix") == ["mixup", "mixup_or_cutmix"]
    assert complete_method("no-such") == []


def test_shared_options_have_one_spelling_in_every_command() -> None:
    spelled: dict[str, set[tuple[str, ...]]] = {}
    for command in (
        "train",
        "detect",
        "eval",
        "compare",
        "bench",
        "robustness",
        "export",
        "settings",
    ):
        for parameter in ROOT.commands[command].params:
            spelled.setdefault(parameter.name or "", set()).add(tuple(parameter.opts))
    assert all(len(spellings) == 1 for spellings in spelled.values())


class TestErrorBoundary:
    """What a person and a script see of an error, on a command line that only fails."""

    @staticmethod
    def run(error: BaseException):
        failing = typer.Typer(cls=ErrorBoundary, pretty_exceptions_enable=False)

        @failing.callback()
        def group() -> None: ...

        @failing.command()
        def fail() -> None:
            raise error

        return CliRunner().invoke(failing, ["fail"])

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (errors.AutoMixError("a"), 1),
            (errors.SettingsError("a"), 2),
            (errors.DataError("a"), 3),
            (errors.CheckpointError("a"), 4),
            (errors.VerificationError("a"), 5),
            (errors.DivergedError("a"), 1),
            (errors.Interrupted("a", exit_code=130), 130),
            (errors.Interrupted("a", exit_code=143), 143),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_each_class_of_error_has_its_exit_code(self, error, code: int) -> None:
        result = self.run(error)
        assert result.exit_code == code
        assert result.stderr == "error: a\n"
        assert result.stdout == ""

    def test_the_hint_follows_the_message(self) -> None:
        result = self.run(errors.DataError("no data", hint="get some"))
        assert result.stderr == "error: no data\n\nhint: get some\n"

    def test_ctrl_c_is_130(self) -> None:
        assert self.run(KeyboardInterrupt()).exit_code == 130

    def test_any_other_exception_is_a_bug_and_keeps_its_traceback(self) -> None:
        bug = ZeroDivisionError("ours")
        assert self.run(bug).exception is bug


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tran"], "Did you mean 'train'?"),
        (["train", "--sed", "3"], "--seed"),
        (["train", "--seed", "x"], "Invalid value for '--seed'"),
        (["presets"], "Usage"),
        ([], "Usage"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_usage_is_exit_code_2_with_advice(automix, arguments: list[str], words: str) -> None:
    result = automix(*arguments)
    assert result.exit_code == 2
    assert words in " ".join((result.stderr + result.stdout).split())


def test_a_settings_error_of_a_command_reaches_the_shell(automix) -> None:
    result = automix("presets", "show", "cifar100-r81")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: unknown preset `cifar100-r81`\n\nhint: did you mean")


@pytest.mark.parametrize(
    "code",
    [
        "import automix_cli.settings.layering, automix_cli.presets, automix_cli.errors",
        "from automix_cli.cli import app; app(['--help'], standalone_mode=False)",
        "from automix_cli.cli import app; app(['settings'], standalone_mode=False)",
        "from automix_cli.cli import app; app(['presets', 'list'], standalone_mode=False)",
        "from automix_cli.cli import app; app(['presets', 'diff', 'digits-tiny'],"
        " standalone_mode=False)",
        "import automix_cli.commands.requests, automix_cli.commands.compare",
    ],
    ids=lambda code: code[-55:],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str) -> None:
    check = f"import sys; sys.exit(' '.join({HEAVY} & sys.modules.keys()) or None)"
    result = python("-c", f"{code}\n{check}")
    assert result.returncode == 0, result.stderr


def test_the_package_runs_as_a_module() -> None:
    result = python("-m", "automix_cli", "--version")
    assert (result.returncode, result.stdout) == (0, f"automix {__version__}\n")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "automix_cli", "settings"]
    result = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert result.stderr == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["settings"],
        ["presets", "list"],
        ["presets", "show", "digits-tiny"],
        ["presets", "diff", "digits-tiny"],
    ],
    ids=str,
)
def test_json_goes_to_stdout_alone_with_its_schema_version(automix, arguments: list[str]) -> None:
    result = automix(*arguments, "--json")
    assert json.loads(result.stdout)["schema_version"] == 1
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "[/source/gloo/gloo/transport/tcp/pair.cc:561] Connection closed by peer [1.2.3.4]:5."
            " This is typically caused by a remote worker crashing.",
            "process 1 of 2 waits for another one in vain: Connection closed by peer [1.2.3.4]:5",
        ),
        (
            "Application timeout caused pair closure",
            "process 1 of 2 waits for another one in vain: Application timeout caused pair closure",
        ),
    ],
)
def test_a_lost_process_is_told_as_an_error(
    monkeypatch: pytest.MonkeyPatch, said: str, shown: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    error = lost_process(RuntimeError(said))
    assert error is not None
    assert error.message == shown
    assert error.exit_code == 1


def test_another_error_of_several_processes_and_any_of_one_keep_their_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert lost_process(RuntimeError("gloo: Connection closed by peer")) is None
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert lost_process(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
