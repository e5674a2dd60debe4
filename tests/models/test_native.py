"""The kernels in C++ against PyTorch's operations; test_step_kernels.py has those of acting steps."""

import copy
import functools
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.nn.utils import prune

from rllib_recattn.models.agalite import AGaLiTeSettings
from rllib_recattn.models.diagnostics import gru_gate_updates
from rllib_recattn.models.kernels import build, library
from rllib_recattn.models.kernels.attention import attend
from rllib_recattn.models.kernels.gate import gate
from rllib_recattn.models.parts.blocks import Block, GRUGate
from rllib_recattn.models.parts.short_convolution import ShortConvolution
from rllib_recattn.models.registry import build_model
from tests.models import test_memory_kernels, test_step_kernels
from tests.models.conftest import choose_kernels

PLAIN = AGaLiTeSettings.unstated
ROWS, STEPS, HEADS, D_HEAD = 2, 7, 2, 5


@pytest.fixture
def calls(monkeypatch):
    """Names of the kernels that are called, by a process with one thread."""
    choose_kernels(True, monkeypatch)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    names, ops = [], library.kernels()

    class Noting:
        def __getattr__(self, name):
            names.append(name)
            return getattr(ops, name)

    use(Noting, monkeypatch)
    return names


def use(operators, monkeypatch):
    """Have kernels be those that a function returns."""
    monkeypatch.setattr(library, "kernels", operators)
    for module in ("attention", "behind_mixer", "block", "convolution", "gate"):
        monkeypatch.setattr(f"rllib_recattn.models.kernels.{module}.loaded", operators)


def small_agalite(**settings):
    """One whose blocks have kernels of their own, if the settings leave it so."""
    torch.manual_seed(0)
    sizes = {"d_model": 6, "n_layers": 2, "n_heads": HEADS, "d_head": D_HEAD}
    return build_model("agalite", input_dim=3, **{**sizes, **PLAIN, **settings}).double()


def results(model, x, state, is_first):
    x, state = x.clone().requires_grad_(), state.clone().requires_grad_()
    y, state_out = model(x, state, is_first)
    loss = (y * y.detach().cos()).sum() + (state_out * state_out.detach().sin()).sum()
    return y, state_out, *torch.autograd.grad(loss, [x, state, *model.parameters()])


def a_life(model, generator, steps=STEPS, rows=ROWS):
    x = torch.randn(rows, steps, 3, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        _, state = model(torch.randn(rows, 4, 3, generator=generator, dtype=torch.float64), model.initial_state(rows))
    return x, state, torch.rand(rows, steps, generator=generator) < 0.3


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"eta": 1, "r": 1},
        {"eta": 3, "r": 4},
        {"d_head": 19},
        {"d_ff": 9},
        {"d_model": 70, "d_head": 38, "d_ff": 150, "n_layers": 1},  # larger than what a product does at a time
        {"residual": "sum"},
        {"feedforward": False},
        {"conv_size": 3},
        {"conv_size": 1, "eta": 1},
        {"frequencies": "dct2", "conv_size": 4, "head_norm": True, "output_gate": True},
    ],
    ids=str,
)
def test_sequences_and_gradients_are_the_same(calls, generator, monkeypatch, settings, resets):
    model = small_agalite(**settings)
    x, state, is_first = a_life(model, generator)
    ours = results(model, x, state, is_first if resets else None)
    parts = {"attention"} if {"residual", "feedforward", "conv_size"} & set(settings) else {"block"}
    if "conv_size" in settings:
        parts |= {"behind_mixer", "convolution"}
    assert (parts | {f"{part}_backward" for part in parts}) <= set(calls)
    assert ("block" in calls) == ("block" in parts)
    choose_kernels(False, monkeypatch)
    for tensor, expected in zip(ours, results(model, x, state, is_first if resets else None), strict=True):
        torch.testing.assert_close(tensor, expected, rtol=1e-10, atol=1e-10)


def test_who_listens_to_a_module_hears_of_each_call(calls, generator):
    model = small_agalite()
    x, state, is_first = a_life(model, generator)
    expected = results(model, x, state, is_first)
    updates, heard = gru_gate_updates(model), []
    calls.clear()
    handle = model.layers[0].mixer.output.register_forward_hook(lambda *_: heard.append(True))
    ours = results(model, x, state, is_first)
    assert heard == [True]
    assert {"attention", "behind_mixer", "block"} <= set(calls)  # the other block has no listener
    for tensor, value in zip((*ours, *gru_gate_updates(model).values()), (*expected, *updates.values()), strict=True):
        torch.testing.assert_close(tensor, value, rtol=1e-10, atol=1e-10)
    handle.remove()
    calls.clear()
    model(x, state, is_first)
    assert set(calls) == {"block"}


def test_large_products_are_left_to_pytorch_where_it_has_more_threads(calls, generator, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    model = small_agalite()
    lives = [a_life(model, generator, steps) for steps in (library.FEW_ROWS, library.FEW_ROWS // ROWS)]
    for life, part in zip(lives, ("attention", "block"), strict=True):
        calls.clear()
        results(model, *life)
        assert set(calls) == {part, f"{part}_backward"}


def test_weights_that_are_no_parameters_any_more_are_read_all_the_same(calls, generator, monkeypatch):
    model = small_agalite()
    life = a_life(model, generator)
    torch.nn.utils.parametrizations.weight_norm(model.layers[0].mixer_gate.from_skip)

    def sequence_and_step():
        with torch.inference_mode():
            step = model(life[0][:, :1], life[1])
        return *results(model, *life), *step

    ours = sequence_and_step()
    choose_kernels(False, monkeypatch)
    for actual, expected in zip(ours, sequence_and_step(), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-10)


class Halved(torch.nn.Linear):
    def forward(self, x):
        return 0.5 * super().forward(x)


def replaced(parent, name):
    linear = getattr(parent, name)
    halved = Halved(linear.in_features, linear.out_features, bias=linear.bias is not None).double()
    halved.load_state_dict(linear.state_dict())
    setattr(parent, name, halved)


def given_a_forward(parent, name):
    linear = getattr(parent, name)
    linear.forward = lambda x: 0.5 * torch.nn.functional.linear(x, linear.weight, linear.bias)


def listened_to(parent, name):
    getattr(parent, name).register_forward_hook(lambda module, inputs, output: 0.5 * output)


def pruned(parent, name):
    prune.ln_structured(getattr(parent, name), "weight", amount=0.5, n=2, dim=0)


def normalised(parent, name):
    torch.nn.utils.spectral_norm(getattr(parent, name), n_power_iterations=1).eval()


@pytest.mark.parametrize(
    "change", [replaced, given_a_forward, listened_to, pruned, normalised], ids=lambda f: f.__name__
)
@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("agalite", "mixer_gate.from_sublayer"),
        ("agalite", "mixer.output"),
        ("gtrxl", "feedforward_gate.from_reset_skip"),
        ("gla", "mixer_gate.from_skip"),
        ("gla", "feedforward.1"),
    ],
)
def test_modules_that_are_no_longer_those_that_were_made_are_called(name, place, change, calls, generator, monkeypatch):
    """By pruning and the like, adapters, and whoever changes what a module returns."""
    torch.manual_seed(0)
    plain = PLAIN if name == "agalite" else {}
    model = build_model(name, input_dim=3, d_model=6, n_layers=2, n_heads=HEADS, d_head=D_HEAD, **plain).double()
    life = a_life(model, generator)
    results(model, *life)
    assert {"behind_mixer", "block"} & set(calls)
    model = copy.deepcopy(model)  # which sees to its own modules
    within, own_name = place.split(".")
    change(getattr(model.layers[1], within), own_name)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        model(*life)[0].sum().backward()
        optimizer.step()

    def sequence_and_step():
        with torch.no_grad():
            return *model(*life), *model(life[0][:, :1], life[1])

    ours = sequence_and_step()
    choose_kernels(False, monkeypatch)
    for actual, expected in zip(ours, sequence_and_step(), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-10)


def test_a_feedforward_part_that_is_replaced_is_called(calls, generator):
    model = small_agalite(conv_size=3)
    life = a_life(model, generator)
    expected = model(*life)[0]
    calls.clear()
    model.layers[0].feedforward = torch.nn.Identity()
    assert not torch.allclose(model(*life)[0], expected)
    assert "gate" in calls


def test_gradients_that_nobody_asked_for(calls, generator, monkeypatch):
    model = small_agalite()
    x, state, _ = a_life(model, generator)
    for parameter in model.layers[1].parameters():
        parameter.requires_grad_(False)
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def gradients(output):
        return torch.autograd.grad(model(x, state)[output].square().sum(), wanted, allow_unused=True)

    ours = gradients(0), gradients(1)
    assert "block_backward" in calls
    choose_kernels(False, monkeypatch)
    for output, tensors in enumerate(ours):
        for tensor, expected in zip(tensors, gradients(output), strict=True):
            expected = torch.zeros_like(tensor) if expected is None else expected  # behind the last memory
            torch.testing.assert_close(tensor, expected, rtol=1e-10, atol=1e-10)


def test_gradients_of_the_attention_equal_finite_differences(calls, generator):
    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()

    eta, r = 2, 2
    projected = draw(ROWS, 3, 5 * HEADS * D_HEAD + 3 * HEADS * eta)
    channels = draw(ROWS, 3, r + 1).detach()
    is_first = torch.tensor([[False, False, True], [True, False, False]])
    # All overlaps well away from the pole of the quotient.
    keys = draw(ROWS, HEADS, r + 1, eta * D_HEAD).detach().abs().add_(3).requires_grad_()
    arguments = projected, channels, is_first, keys, draw(ROWS, HEADS, r, D_HEAD)
    assert torch.autograd.gradcheck(attend, arguments, atol=1e-4)


def test_the_gate_and_its_gradients(calls, generator, monkeypatch):
    module = GRUGate(4, bias=0.5).double()
    tensors = [torch.randn(3, 2, 4, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2)]
    weights = [module.bias, module.from_sublayer.weight, module.from_skip.weight, module.from_reset_skip.weight]
    assert torch.autograd.gradcheck(lambda *args: gate(*args)[0], (*tensors, *weights))
    output, update = module(*tensors), module.last_update
    assert "gate" in calls
    choose_kernels(False, monkeypatch)
    torch.testing.assert_close(output, module(*tensors), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(update, module.last_update, rtol=1e-12, atol=1e-12)


def test_what_stands_behind_a_mixer_and_its_gradients(calls, generator, monkeypatch):
    torch.manual_seed(0)
    block = Block(torch.nn.Identity(), d_model=4, d_ff=6, residual="gated", gate_bias=0.5).double()
    weights = [*block.mixer_gate.parameters(), *block.feedforward.parameters(), *block.feedforward_gate.parameters()]
    tensors = [torch.randn(3, 2, 4, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2)]
    assert torch.autograd.gradcheck(lambda *args: block.behind_mixer(*args[:2]), (*tensors, *weights))
    z, updates = block.behind_mixer(*tensors), [block.mixer_gate.last_update, block.feedforward_gate.last_update]
    assert set(calls) == {"behind_mixer", "behind_mixer_backward"}
    choose_kernels(False, monkeypatch)
    torch.testing.assert_close(z, block.behind_mixer(*tensors), rtol=1e-12, atol=1e-12)
    for gate_of_block, update in zip((block.mixer_gate, block.feedforward_gate), updates, strict=True):
        torch.testing.assert_close(gate_of_block.last_update, update, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("rows", [0, 3])
@pytest.mark.parametrize("steps", [1, 2, 9])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_convolution_and_its_gradients(calls, generator, monkeypatch, size, steps, rows, threads):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    module = ShortConvolution(40, size).double()
    h = torch.randn(rows, steps, 40, generator=generator, dtype=torch.float64)
    recent = torch.randn(rows, size - 1, 40, generator=generator, dtype=torch.float64)

    def found(is_first):
        h_, recent_ = h.clone().requires_grad_(), recent.clone().requires_grad_()
        y, after = module(h_, recent_, is_first)
        loss = (y * y.detach().cos()).sum() + (after * after.detach().sin()).sum()
        return y, after, *torch.autograd.grad(loss, [h_, recent_, module.weight])

    starts = None, torch.rand(rows, steps, generator=generator) < 0.3
    ours = [found(is_first) for is_first in starts]
    assert set(calls) == {"convolution", "convolution_backward"}
    choose_kernels(False, monkeypatch)
    for is_first, results_of_kernels in zip(starts, ours, strict=True):
        for actual, expected in zip(results_of_kernels, found(is_first), strict=True):
            torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


def test_float32_with_large_products_is_close_to_float64(calls, generator):
    model = build_model("agalite", input_dim=3, d_model=64, n_layers=1, n_heads=2, d_head=32)
    x = torch.randn(70, 6, 3, generator=generator)
    y, state = model(x, model.initial_state(70))
    with torch.no_grad():
        acting, _ = model(x[:, :1], model.initial_state(70))
    precise = copy.deepcopy(model).double()
    expected, expected_state = precise(x.double(), precise.initial_state(70))
    torch.testing.assert_close(y.double(), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state.double(), expected_state, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(acting.double(), expected[:, :1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 3])
def test_nan_is_not_hidden(calls, steps):
    model = small_agalite()
    with torch.no_grad():
        model.layers[0].mixer.project.weight[0, 0] = torch.nan
        y, _ = model(torch.ones(1, steps, 3, dtype=torch.float64), model.initial_state(1))
    assert y.isnan().any()


def test_mixed_precision_and_export_are_pytorchs(calls):
    model = build_model("agalite", input_dim=3, d_model=6, n_layers=1, n_heads=1, d_head=4)
    arguments = torch.ones(2, 4, 3), model.initial_state(2)
    assert library.serve(*arguments)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not library.serve(*arguments)
    calls.clear()
    program = torch.export.export(model, arguments)
    assert calls == []
    targets = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert not any("rllib_recattn" in target for target in targets)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", test_step_kernels.supported_sets())
def test_every_instruction_set_computes_the_same(name, dtype, threads, generator, monkeypatch):
    operators = library.operators_of(name)
    use(lambda: operators, monkeypatch)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    near = {"rtol": 1e-9, "atol": 1e-10} if dtype == torch.float64 else {"rtol": 1e-3, "atol": 1e-4}
    for settings in (
        {"residual": "sum", "conv_size": 4},
        {"head_norm": True},
        {},
        {"eta": 3, "r": 4, "d_head": 19},
        {"d_model": 70, "n_layers": 1},
    ):
        model = small_agalite(**settings)
        life = a_life(model, generator, steps=9, rows=4)
        model.to(dtype)
        life = [x if x.dtype == torch.bool else x.to(dtype) for x in life]
        found = []
        for kernels in (lambda: operators, lambda: None):
            monkeypatch.setattr(library, "kernels", kernels)
            found.append(results(model, *life))
        for ours, pytorchs in zip(*found, strict=True):
            torch.testing.assert_close(ours, pytorchs, **near)


def test_threads_of_python_may_call_at_the_same_time(calls, generator, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    model = small_agalite()
    lives = [a_life(model, generator, steps=11, rows=5) for _ in range(6)]
    expected = [results(model, *life) for life in lives]
    with ThreadPoolExecutor(6) as pool:
        for found, wanted in zip(pool.map(lambda life: results(model, *life), lives * 5), expected * 5, strict=True):
            for actual, value in zip(found, wanted, strict=True):
                torch.testing.assert_close(actual, value, rtol=0, atol=0)


def test_a_forked_process_has_threads_of_its_own(calls, generator, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    model = small_agalite()
    life = a_life(model, generator, rows=5)
    with torch.no_grad():
        expected = model(*life)
        child = os.fork()
        if child == 0:
            same = all(torch.equal(*pair) for pair in zip(model(*life), expected, strict=True))
            os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_what_does_not_fit_is_refused_and_not_read(calls):
    empty = torch.zeros(2, 3, 0)
    keys, values = torch.zeros(2, HEADS, 3, 2 * D_HEAD), torch.zeros(2, HEADS, 2, D_HEAD)
    with pytest.raises(ValueError, match="projections: size 0: should be 62"):
        library.kernels().attention(empty, torch.zeros(2, 3, 3), None, keys, values)
    with pytest.raises(ValueError, match="channels: size 2: should be 3"):
        library.kernels().attention(torch.zeros(2, 3, 62), torch.zeros(2, 3, 2), None, keys, values)
    with pytest.raises(ValueError, match="recent steps: size 0: should be 24"):
        library.kernels().convolution(torch.zeros(2, 3, 4), torch.zeros(2, 0, 4), None, torch.zeros(4, 4))
    with pytest.raises(TypeError, match="float64 among others of"):
        library.kernels().attention(torch.zeros(2, 3, 62), torch.zeros(2, 3, 3), None, keys.double(), values)


@pytest.fixture
def fresh():
    """The library is looked for again, before and behind the test."""
    library._found.cache_clear()
    yield
    library._found.cache_clear()


def test_with_the_switch_there_are_none_and_it_can_choose(fresh, monkeypatch):
    sets = library.supported_sets()
    assert sets, "the kernels are not built: make kernels"
    monkeypatch.setenv(library.SWITCH, "0")
    assert library.kernels() is library.instruction_set() is None
    assert library.why_none() == "RLLIB_RECATTN_NATIVE=0 switches them off"
    monkeypatch.setenv(library.SWITCH, sets[-1])
    library._found.cache_clear()
    assert (library.instruction_set(), library.why_none()) == (sets[-1], None)


def test_without_the_library_it_says_how_to_build_one(fresh, monkeypatch, tmp_path):
    monkeypatch.setattr(library, "HERE", tmp_path)
    monkeypatch.setattr(library, "supported_sets", functools.partial(library.supported_sets, tmp_path))
    monkeypatch.delenv(library.SWITCH, raising=False)
    assert library.kernels() is None
    assert "they were not built: python -m rllib_recattn.models.kernels.build" in library.why_none()
    for name in library.instruction_sets():
        (tmp_path / library.file_name(name)).write_text("no library")
    library._found.cache_clear()
    with pytest.warns(UserWarning, match="the kernels are not used: .* builds them again"):
        assert library.kernels() is None


def test_a_library_of_other_sources_is_not_used(fresh, monkeypatch):
    monkeypatch.delenv(library.SWITCH, raising=False)
    monkeypatch.setattr(library, "stamp", lambda: "another")
    with pytest.warns(UserWarning, match="was built of other sources; python -m .* builds them again"):
        assert library.kernels() is None


def test_no_compiler_is_one_clear_error(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(RuntimeError, match=r"there is no C\+\+ compiler .* apt install g\+\+"):
        build.build(tmp_path / "into")
    assert not (tmp_path / "into").exists()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="no compiler that has sanitizers")
def test_nothing_is_read_or_written_beside_its_place(tmp_path):
    """The address and undefined-behaviour sanitizers see each set compute, on one thread and on several.

    What they find they write to the process's own output, which pytest must leave alone.
    """
    build.build(tmp_path, ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"))
    asan = subprocess.run(["g++", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    environment = {**os.environ, "LD_PRELOAD": asan.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0"}
    code = f"""
import pathlib, sys, pytest
from rllib_recattn.models.kernels import build, library
library.HERE = pathlib.Path({str(tmp_path)!r})
library.supported_sets.__defaults__ = library.operators_of.__defaults__ = (library.HERE,)
names = "every_instruction_set or sequences_and_gradients or acting_steps or the_gate or all_settings or any_sizes"
files = [{__file__!r}, {test_step_kernels.__file__!r}, {test_memory_kernels.__file__!r}]
sys.exit(pytest.main(["-q", "-s", "-p", "no:xdist", "-m", "not slow", "-k", names, *files]))
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
