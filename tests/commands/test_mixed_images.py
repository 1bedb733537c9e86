"""`automix eval --mixed` and `--mixed-by`: mixing by the run's own mix block."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from automix_cli.cli import app
from tests.commands.conftest import QUICK, Automix

HEAD = "momentum_one_hot"


@pytest.fixture(scope="module", params=["automix", "samix", "adautomix"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four steps on digits, by a method whose masks are learned."""
    folder = tmp_path_factory.mktemp("trained") / request.param
    options = ("-m", request.param, "-o", str(folder))
    result = CliRunner().invoke(app, ["train", "-p", "digits-tiny", *QUICK, *options])
    assert result.exit_code == 0, result.output
    return folder


def mixed(automix: Automix, *options: str | Path, head: str = HEAD) -> dict:
    result = automix("eval", *options, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["heads"][head]["mixed"]


def test_the_runs_own_mix_block_mixes_every_test_image(automix: Automix, run: Path) -> None:
    measured = mixed(automix, run, "--mixed")
    assert list(measured) == ["mixup", "cutmix", run.name]
    own = measured[run.name]
    assert own["num_images"] == 360
    assert own["num_of_two_classes"] == measured["mixup"]["num_of_two_classes"]  # the same pairs
    assert own != measured["mixup"]


def test_mixtures_are_the_same_whichever_network_is_judged(automix: Automix, run: Path) -> None:
    """The momentum classifier shows the mix block its features, also to judge the other one."""
    shares = [
        [each["num_images"] for each in measured[run.name]["by_larger_share"]]
        for measured in (
            mixed(automix, run, "--mixed-by", run.name),
            mixed(
                *(automix, run, "--mixed-by", run.name, "--weights", "classifier"),
                head="classifier_one_hot",
            ),
        )
    ]
    assert shares[0] == shares[1]


def test_a_file_without_a_mix_block_is_said_or_refused(automix: Automix, run: Path) -> None:
    path = run / "classifier.safetensors"
    usual = automix("eval", "--checkpoint", path, "--mixed")
    assert usual.exit_code == 0, usual.output
    assert "without the run's own mixing" in " ".join(usual.stderr.split())
    named = automix("eval", "--checkpoint", path, "--mixed-by", run.name)
    assert named.exit_code == 4
    assert "no mix block" in " ".join(named.stderr.split())
    assert "ckpt.pt" in named.stderr


@pytest.mark.parametrize(
    ("method", "code", "words"),
    [
        ("learned", 4, "are learned, and"),
        ("puzzlemix", 2, "looks at each image with a network in training"),
        ("manifoldmix", 2, "looks at each image with a network in training"),
        ("vanilla", 2, "mixes nothing new"),
        ("mixupp", 2, "it is unknown"),
    ],
)
def test_what_cannot_mix_is_a_clear_error(
    automix: Automix, run: Path, method: str, code: int, words: str
) -> None:
    other = "samix" if run.name == "automix" else "automix"
    result = automix("eval", run, "--mixed-by", other if method == "learned" else method)
    assert result.exit_code == code
    assert words in " ".join(result.stderr.split())


def test_a_method_may_be_named_alone(automix: Automix, run: Path) -> None:
    assert list(mixed(automix, run, "--mixed-by", "fmix")) == ["fmix"]
