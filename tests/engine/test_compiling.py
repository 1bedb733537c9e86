"""`train.compile`: the same training, of whole graphs that serve batches of every size."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from automix_cli.commands.training.last_good import refuse_changes
from automix_cli.engine import compiling
from automix_cli.engine.compiling import CompiledPass, require_compiler
from automix_cli.engine.loop import take_step
from automix_cli.engine.runtime import build_accelerator
from automix_cli.errors import SettingsError
from automix_cli.settings.layering import Layer, Overrides, load
from automix_cli.settings.toml import as_saved
from tests.engine.conftest import Prepare
from tests.engine.test_golden_run import assert_recorded, five_steps, prepared_run

# torch looks at `.grad` of images that are computed, as it traces; 2.11 warns of itself
pytestmark = [
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
    pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning"),
]
dynamo: Any = torch._dynamo
CPU = torch.device("cpu")
COMPILED = "train.compile=default"


@pytest.fixture
def graphs() -> Iterator[Callable[[], int]]:
    """How many graphs have been compiled since the test began."""
    dynamo.reset()
    dynamo.utils.counters.clear()
    yield lambda: dynamo.utils.counters["stats"]["unique_graphs"]
    dynamo.reset()


class Network(nn.Module):
    """A network of one line."""

    def __init__(self, run: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.run = run

    def embed(self, images: Tensor) -> Tensor:
        return self.run(images)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Callable[[Network], CompiledPass]:
    """Compile the pass of a network, up to the graph: no code is generated."""
    compile_graph = torch.compile

    def without_code(run: Callable[..., Any], *, fullgraph: bool, options: object) -> Any:
        del options
        return compile_graph(run, fullgraph=fullgraph, backend="eager")

    monkeypatch.setattr(compiling.torch, "compile", without_code)
    return lambda network: CompiledPass(network, "embed", {})


def test_batches_of_all_sizes_are_served_by_one_graph(
    compiled: Callable[[Network], CompiledPass], graphs: Callable[[], int]
) -> None:
    run = compiled(Network(lambda images: images * 2))
    for size in (64, 32, 17, 100, 18):
        assert run(torch.ones(size, 1, 2, 2)).sum() == 8 * size
    assert graphs() == 1


def test_few_images_and_evaluation_are_not_compiled(
    compiled: Callable[[Network], CompiledPass], graphs: Callable[[], int]
) -> None:
    network = Network(lambda images: images * 2)
    run = compiled(network)
    assert run(torch.ones(1, 1, 2, 2)).sum() == 8
    assert run(torch.ones(16, 1, 2, 2)).sum() == 8 * 16
    network.eval()
    assert run(torch.ones(32, 1, 2, 2)).sum() == 8 * 32
    assert graphs() == 0


def _breaks(images: Tensor) -> Tensor:
    dynamo.graph_break()
    return images


def _depends_on_the_size(images: Tensor) -> Tensor:
    return images if len(images) == 32 else -images


@pytest.mark.parametrize("run", [_breaks, _depends_on_the_size])
def test_what_is_no_whole_graph_for_all_sizes_is_refused(
    compiled: Callable[[Network], CompiledPass], run: Callable[[Tensor], Tensor]
) -> None:
    with pytest.raises(SettingsError, match=r"`train\.compile` does not work for this network"):
        compiled(Network(run))(torch.ones(32, 1, 2, 2))


def test_cuda_graphs_are_refused_on_a_cpu(prepare: Prepare) -> None:
    with pytest.raises(SettingsError, match="records CUDA graphs, but the device is `cpu`"):
        prepare("train.compile=reduce-overhead")


def test_a_missing_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))  # nothing is there from before
    inductor: Any = torch._inductor
    absent = inductor.config.patch({"cpp.cxx": (str(tmp_path / "no-compiler"),)})
    with absent, pytest.raises(SettingsError, match="found no working compiler") as raised:
        require_compiler(CPU)
    assert "apt install g++" in str(raised.value.hint)
    dynamo.reset()


def test_a_launcher_that_compiles_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR")
    with pytest.raises(SettingsError, match="`--dynamo_backend`"):
        build_accelerator(device="cpu", mixed_precision="no")


@pytest.mark.parametrize(
    "setting", ["mix.method=manifoldmix", "mix.method=transmix", "data.name=coco"]
)
def test_what_cannot_be_compiled_is_refused(setting: str) -> None:
    with pytest.raises(SettingsError, match=r"`train\.compile` must be `none` for"):
        load(Overrides(sets=(setting, COMPILED)), environment={})


def test_a_run_may_go_on_compiled_and_uncompiled() -> None:
    compiled, plain = (
        load(Overrides(preset="digits-tiny", sets=sets), environment={})[0]
        for sets in ((COMPILED,), ())
    )
    for before, after in ((compiled, plain), (plain, compiled)):
        refuse_changes(Layer(as_saved(before), "a checkpoint"), after)


@pytest.fixture
def _graphs_are_not_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes are graphs, with gradients by torch's compiler, but not translated to C++."""
    compile_graph = torch.compile

    def untranslated(run: Callable[..., Any], **given: Any) -> Any:
        return compile_graph(run, fullgraph=given.get("fullgraph", False), backend="aot_eager")

    monkeypatch.setattr(compiling.torch, "compile", untranslated)


@pytest.mark.slow
@pytest.mark.usefixtures("_graphs_are_not_translated")
def test_graphs_train_as_the_networks_do(graphs: Callable[[], int]) -> None:
    assert_compiled_training(graphs)


@pytest.mark.slow
def test_compiled_code_trains_as_the_networks_do(graphs: Callable[[], int]) -> None:
    try:
        require_compiler(CPU)
    except SettingsError as problem:
        pytest.skip(str(problem))
    assert_compiled_training(graphs)


def assert_compiled_training(graphs: Callable[[], int]) -> None:
    """Recorded losses, the same names and the same steps as a run that goes on uncompiled.

    Three graphs serve the whole epoch: momentum classifier on clean and on mixed images, and the
    classifier on both. Its last batch is smaller than the others.
    """
    ours, plain = prepared_run(COMPILED), prepared_run()
    before = graphs()  # the first is that of `require_compiler`
    assert_recorded(five_steps(ours), processes=1)
    training = ours.training
    plain.training.model.load_state_dict(training.model.state_dict())
    plain.training.optimizer.load_state_dict(deepcopy(training.optimizer.state_dict()))
    last = ours.plan.steps_per_epoch - 1
    sizes = [len(training.batches.at(step)[0].labels) for step in (0, last)]
    assert sizes[0] > sizes[1] > 16
    for step in (5, last):
        losses = [take_step(each.training, each.plan, step) for each in (ours, plain)]
        for got, expected in zip(*losses, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)
    assert graphs() - before == 3
    assert not dynamo.utils.counters["graph_break"]


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.skipif(not torch.accelerator.is_available(), reason="no GPU")
@pytest.mark.parametrize("method", ["automix", "cutmix"])
def test_cuda_graphs_train_as_the_networks_do(prepare: Prepare, method: str) -> None:
    """Steps of two sizes, again and again: what graphs give is used before it is written over."""
    sets = ("run.device=cuda", f"mix.method={method}")
    ours, plain = prepare(*sets, "train.compile=reduce-overhead"), prepare(*sets)
    last = ours.plan.steps_per_epoch - 1
    for step in (0, 1, 2, last, 3, last, 4):
        losses = [take_step(each.training, each.plan, step) for each in (ours, plain)]
        for got, expected in zip(*losses, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-2, atol=1e-3)
