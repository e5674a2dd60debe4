"""Acting steps of whole stacks by the kernels in C++, against PyTorch's operations."""

import copy
import math
import pickle
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from rllib_recattn.models.gla import GLAAttention, GLASettings
from rllib_recattn.models.kernels import library
from rllib_recattn.models.kernels.reuse import LARGE
from rllib_recattn.models.kernels.step import Step
from rllib_recattn.models.parts.stack import Stack
from rllib_recattn.models.registry import settings_of
from tests.models.conftest import choose_kernels
from tests.models.variants import INPUT_DIM, marked, shaken, variants_of

MIXERS = ["agalite", "gla", "hgrn2", "retnet", "linear_attention", "mamba2", "mlstm", "delta_net"]
NAMES = [*MIXERS, "gated_delta_net", "kda"]
SMALL = {"d_model": 6, "n_layers": 2, "n_heads": 2, "d_head": 4}
# More than a vector's numbers and no multiple of them, more rows than some products know another scheme for.
WIDE = {"d_model": 70, "n_layers": 1, "n_heads": 3, "d_head": 36, "d_ff": 150}


def supported_sets():
    try:
        return library.supported_sets()
    except OSError:
        return []


@pytest.fixture
def served(monkeypatch):
    """Whether the steps taken so far were the kernels', by a process with one thread."""
    choose_kernels(True, monkeypatch)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    step, found = Step.__call__, []

    def noting(self, *arguments):
        results = step(self, *arguments)
        found.append(results is not None)
        return results

    monkeypatch.setattr(Step, "__call__", noting)
    return found


def a_step(model, generator, rows=3, resets=True):
    """Inputs, the state of agents that have lived for some steps, and which of them start an episode."""
    dtype = model.embedding.weight.dtype
    history, x = torch.randn(2, rows, 4, INPUT_DIM, generator=generator, dtype=torch.float64).to(dtype)
    with torch.no_grad():
        _, state = model(history, model.initial_state(rows))
    is_first = torch.rand(rows, 1, generator=generator) < 0.3
    is_first[rows // 2] = True
    return x[:, :1], state, is_first if resets else None


def by_pytorch(model, *arguments):
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        choose_kernels(False, patch)
        return model(*arguments)


def assert_same(model, arguments, served, rtol=1e-9, atol=1e-10):
    served.clear()
    with torch.inference_mode():
        ours = model(*arguments)
    assert served == [True]
    for actual, expected in zip(ours, by_pytorch(model, *arguments), strict=True):
        torch.testing.assert_close(actual, expected, rtol=rtol, atol=atol)
    return ours


VARIANTS = [
    pytest.param(variant, marks=marks, id=f"{name} {index}")
    for name in MIXERS
    for index, (variant, marks) in enumerate(marked(variants_of(name)))
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_all_settings_are_served_and_compute_the_same(variant, served, generator):
    print(variant)  # which pytest shows when a test fails
    model = shaken(variant)
    arguments = a_step(model, generator)
    if variant[1].get("frequencies") == "paper":  # whose channels are one more than r
        with torch.no_grad():
            model(*arguments)
        assert served == []
        return
    assert_same(model, arguments, served)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows", [1, 3, 8, 64])
def test_acting_steps_are_the_same(name, rows, served, generator):
    for sizes in (SMALL, WIDE):
        model = shaken((name, sizes))
        for resets in (False, True):
            arguments = a_step(model, generator, rows, resets)
            before = [None if x is None else x.clone() for x in arguments]
            assert_same(model, arguments, served)
            for actual, expected in zip(arguments, before, strict=True):
                torch.testing.assert_close(actual, expected, rtol=0, atol=0)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("instruction_set", supported_sets())
def test_every_instruction_set_takes_the_same_steps(instruction_set, dtype, threads, served, generator, monkeypatch):
    operators = library.operators_of(instruction_set)
    monkeypatch.setattr("rllib_recattn.models.kernels.step.loaded", lambda: operators)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    near = {"rtol": 1e-9, "atol": 1e-10} if dtype == torch.float64 else {"rtol": 1e-3, "atol": 1e-4}
    for name in NAMES:
        for sizes, rows in ((SMALL, 9), (WIDE, 20)):
            model = shaken((name, sizes)).to(dtype)
            assert_same(model, a_step(model, generator, rows), served, **near)


def a_draw(seed):
    """Draw a model, of any sizes, and a number of rows."""
    draw = random.Random(seed)
    name = draw.choice(NAMES)
    sizes = {"d_model": 90, "n_layers": 3, "n_heads": 5, "d_head": 40, "d_ff": 90, "d_key": 40, "conv_size": 6}
    sizes |= {"eta": 5, "r": 5, "gate_rank": 20}
    fields = settings_of(name).model_fields
    settings = {key: draw.randint(1, most) for key, most in sizes.items() if key in fields and draw.random() < 0.8}
    settings |= {"residual": draw.choice(["gated", "sum"]), "feedforward": draw.random() < 0.7}
    if "rotary" in fields:
        settings["rotary"] = draw.random() < 0.5
        settings["d_key"] = 2 * draw.randint(1, 20)
    return (name, settings), draw.randint(1, 70)


@pytest.mark.parametrize("seed", [*range(8), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(8, 400))])
def test_any_sizes(seed, served, generator, monkeypatch):
    variant, rows = a_draw(seed)
    print(variant, rows)
    model = shaken(variant)
    for name in supported_sets():
        operators = library.operators_of(name)
        monkeypatch.setattr("rllib_recattn.models.kernels.step.loaded", lambda operators=operators: operators)
        each = copy.deepcopy(model)
        arguments = a_step(each, generator, rows)
        assert_same(each, arguments, served, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_finite_stays_in_its_row_and_is_forgotten(name, served, generator):
    model = shaken((name, SMALL))
    x, state, _ = a_step(model, generator, rows=6)
    is_first = torch.tensor([[False], [False], [True], [False], [True], [False]])
    spoilt_x, spoilt_state = x.clone(), state.clone()
    spoilt_x[1], spoilt_x[4], spoilt_state[2], spoilt_state[3] = math.nan, math.inf, math.nan, math.nan
    expected = assert_same(model, (x, state, is_first), served)
    with torch.inference_mode():
        y, new_state = model(spoilt_x, spoilt_state, is_first)
    assert y[[1, 3, 4]].isnan().any(dim=-1).all()
    for actual, clean in zip((y, new_state), expected, strict=True):
        torch.testing.assert_close(actual[[0, 2, 5]], clean[[0, 2, 5]], rtol=0, atol=0)


def test_large_states_that_somebody_keeps_stay_as_they_are(served, generator):
    model = shaken(("gla", {**SMALL, "n_heads": 4, "d_head": 64, "d_key": 64}))
    x, state, _ = a_step(model, generator, rows=6)
    assert state.nbytes > LARGE
    states, copies = [state], [state.clone()]
    with torch.inference_mode():
        for _ in range(5):
            states.append(model(x, states[-1])[1])
            copies.append(states[-1].clone())
            model(x, states[-1])  # whose new state nobody keeps
    assert set(served) == {True}
    for kept, expected in zip(states, copies, strict=True):
        torch.testing.assert_close(kept, expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["agalite", "gla", "mamba2"])
def test_inputs_that_are_not_dense(name, served, generator):
    model = shaken((name, SMALL))
    x, state, is_first = a_step(model, generator, rows=4)
    expected = assert_same(model, (x, state, is_first), served)
    wide_x, wide_state = torch.randn(4, 2, 1, INPUT_DIM).double(), torch.randn(4, state.shape[1] + 3)
    wide_x, wide_state = wide_x[:, 1], wide_state.double()[:, 2:-1]
    firsts = torch.zeros(4, 2, dtype=torch.bool)[:, 1:]
    wide_x.copy_(x), wide_state.copy_(state), firsts.copy_(is_first)
    assert not any(x.is_contiguous() for x in (wide_x, wide_state, firsts))
    for actual, clean in zip(assert_same(model, (wide_x, wide_state, firsts), served), expected, strict=True):
        torch.testing.assert_close(actual, clean, rtol=0, atol=0)


def test_a_step_of_nobody(served):
    model = shaken(("gated_delta_net", SMALL))
    with torch.no_grad():
        y, state = model(torch.empty(0, 1, INPUT_DIM).double(), model.initial_state(0), torch.zeros(0, 1))
    assert served == [True]
    assert (y.shape, state.shape) == ((0, 1, SMALL["d_model"]), (0, model.state_size))


def replaced(model):
    model.embedding.weight = torch.nn.Parameter(-model.embedding.weight)


def changed_in_place(model):
    with torch.no_grad():
        model.layers[1].mixer.project.weight.mul_(-0.5)


def moved(model):
    for parameter in model.parameters():
        parameter.data = -0.7 * parameter.data


def loaded(model):
    model.load_state_dict({key: 0.6 * value for key, value in model.state_dict().items()})


def loaded_in_place_of_its_own(model):
    model.load_state_dict({key: 0.6 * value for key, value in model.state_dict().items()}, assign=True)


def no_longer_dense(model):
    weight = model.layers[0].mixer_gate.from_skip.weight
    weight.data = torch.randn(weight.shape[1], weight.shape[0], dtype=weight.dtype).T


def dense_at_the_same_place(model):
    weight = model.layers[0].mixer_gate.from_reset_skip.weight  # as wide as high
    weight.data = weight.data.T


CHANGES = [replaced, changed_in_place, moved, loaded, loaded_in_place_of_its_own, no_longer_dense]


@pytest.mark.parametrize("change", [*CHANGES, dense_at_the_same_place], ids=lambda change: change.__name__)
@pytest.mark.parametrize("name", ["agalite", "retnet", "gated_delta_net"])
def test_steps_read_the_weights_that_there_are(name, change, served, generator):
    model = shaken((name, SMALL))
    arguments = a_step(model, generator)
    clone, thawed = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    before = assert_same(model, arguments, served)
    change(model)
    after = assert_same(model, arguments, served)
    assert (after[0] - before[0]).abs().max() > 1e-3
    changed = copy.deepcopy(model)
    for each, expected in ((clone, before), (thawed, before), (changed, after)):
        for actual, value in zip(assert_same(each, arguments, served), expected, strict=True):
            torch.testing.assert_close(actual, value, rtol=0, atol=0)
    single = [x.float() if x.is_floating_point() else x for x in arguments]
    assert_same(model.float(), single, served, rtol=1e-3, atol=1e-4)
    assert_same(model.double(), arguments, served)


@pytest.mark.parametrize("name", ["agalite", "gla"])
def test_a_model_that_was_pickled_before_there_were_such_steps_acts_by_pytorch(name, served, generator):
    model = shaken((name, SMALL))
    arguments = a_step(model, generator)
    expected = assert_same(model, arguments, served)
    served.clear()
    del model._step_sizes
    model._native_step = None if name == "gla" else Step.__new__(Step)
    thawed = pickle.loads(pickle.dumps(model))
    with torch.inference_mode():
        for actual, value in zip(thawed(*arguments), expected, strict=True):
            torch.testing.assert_close(actual, value, rtol=1e-9, atol=1e-10)
    assert served == []


def test_a_buffer_is_read_as_it_is(served, generator):
    model = shaken(("retnet", SMALL))
    arguments = a_step(model, generator)
    before = assert_same(model, arguments, served)
    model.layers[0].mixer.decay = 0.5 * model.layers[0].mixer.decay
    assert (assert_same(model, arguments, served)[0] - before[0]).abs().max() > 1e-3


def test_weights_that_do_not_fit_are_pytorchs_to_refuse(served, generator):
    model = shaken(("gla", SMALL))
    arguments = a_step(model, generator)
    model.layers[0].mixer.norm.weight = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    with torch.no_grad(), pytest.raises(RuntimeError):
        model(*arguments)
    assert served == [False]
    model = shaken(("gla", SMALL))
    model.layers[0].mixer.project.float()
    with torch.no_grad(), pytest.raises(RuntimeError, match="dtype"):
        model(*arguments)
    assert served == [False, False]


def test_weights_that_are_no_parameters_any_more_are_read_all_the_same(served, generator):
    model = shaken(("gla", SMALL))
    arguments = a_step(model, generator)
    torch.nn.utils.parametrizations.weight_norm(model.layers[0].mixer_gate.from_skip)
    expected = by_pytorch(model, *arguments)
    with torch.inference_mode():
        for actual, value in zip(model(*arguments), expected, strict=True):
            torch.testing.assert_close(actual, value, rtol=1e-9, atol=1e-10)
    assert served == [False]


def test_who_listens_to_a_module_hears_of_a_step(served, generator):
    model = shaken(("gla", SMALL))
    arguments, heard = a_step(model, generator), []
    expected = assert_same(model, arguments, served)
    for register in (
        model.layers[1].mixer.project.register_forward_hook,
        torch.nn.modules.module.register_module_forward_hook,
    ):
        handle = register(lambda module, *_: heard.append(module))
        served.clear()
        with torch.inference_mode():
            ours = model(*arguments)
        handle.remove()
        assert model.layers[1].mixer.project in heard
        assert served == [False]
        heard.clear()
        for actual, value in zip(ours, expected, strict=True):
            torch.testing.assert_close(actual, value, rtol=1e-9, atol=1e-10)
    assert_same(model, arguments, served)


def test_gradients_mixed_precision_exports_and_many_rows_on_several_threads_are_pytorchs(
    served, generator, monkeypatch
):
    model = shaken(("gla", SMALL)).float()
    x, state, _ = a_step(model, generator, rows=library.FEW_ROWS + 1)
    model(x, state)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        model(x, state)
    with torch.no_grad():
        torch.export.export(model, (x, state))
        monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
        model(x, state)
        assert served == []
        model(x[1:], state[1:])
    assert served == [True]


def test_a_mixer_that_computes_something_else_is_pytorchs(served, generator):
    class Doubled(GLAAttention):
        def forward(self, *arguments):
            y, state = super().forward(*arguments)
            return 2 * y, state

    class Model(Stack):
        def __init__(self, settings, kinds):
            super().__init__(INPUT_DIM, settings, [kind(settings) for kind in kinds])
            self.act_by_kernels()

    for kinds in ((Doubled, Doubled), (GLAAttention, Doubled)):
        model = Model(GLASettings(**SMALL), kinds).double()
        with torch.no_grad():
            model(*a_step(model, generator))
    assert served == []
    model = Model(GLASettings(**SMALL), (GLAAttention, GLAAttention)).double()
    assert_same(model, a_step(model, generator), served)


def test_threads_of_python_may_step_at_the_same_time(served, generator, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    model = shaken(("gated_delta_net", SMALL))
    steps = [a_step(model, generator, rows=20) for _ in range(6)]
    expected = [by_pytorch(model, *each) for each in steps]

    def act(arguments):
        with torch.inference_mode():
            return model(*arguments)

    with ThreadPoolExecutor(6) as pool:
        for found, wanted in zip(pool.map(act, steps * 5), expected * 5, strict=True):
            for actual, value in zip(found, wanted, strict=True):
                torch.testing.assert_close(actual, value, rtol=1e-9, atol=1e-10)
