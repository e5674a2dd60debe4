"""Short convolutions against PyTorch's own, and in the models that have them; test_variants.py has more of these."""

import pytest
import torch
from torch import Tensor, nn

from rllib_recattn.errors import SettingsError
from rllib_recattn.models.agalite import AGaLiTeSettings
from rllib_recattn.models.diagnostics import convolution_taps, tracing
from rllib_recattn.models.kernels import library
from rllib_recattn.models.parts.short_convolution import ShortConvolution
from rllib_recattn.models.registry import build_model, recorded_settings, settings_of
from tests.models.conftest import INPUT_DIM, SMALL
from tests.models.test_contract import gradients, run_split

ROWS, STEPS, FEATURES = 3, 9, 5
# DeltaNet's is a part of its mixer, and on in the contract tests.
MODELS = ["agalite", "galite", "gla", "hgrn2"]
PLAIN = AGaLiTeSettings.unstated


@pytest.fixture(params=[1, 2, 4, 12])
def convolution(request) -> ShortConvolution:
    """A convolution whose taps are all of one size; the longest reaches beyond the rows."""
    torch.manual_seed(0)
    convolution = ShortConvolution(FEATURES, request.param).double()
    nn.init.normal_(convolution.weight)
    return convolution


@pytest.fixture
def row(convolution, generator) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, what was before them, and where episodes begin: nowhere, in the middle, at the ends, one by one."""
    x = torch.randn(ROWS, STEPS, FEATURES, generator=generator, dtype=torch.float64)
    recent = torch.randn(ROWS, *convolution.state_shape, generator=generator, dtype=torch.float64)
    starts = [(), (3,), (0, 4, 5, STEPS - 1)]
    return x, recent, torch.tensor([[t in row for t in range(STEPS)] for row in starts])


def pytorchs(convolution: ShortConvolution, steps: Tensor) -> Tensor:
    """The same by `conv1d`: as many outputs as there are steps [T, D] after W − 1 that are only read."""
    kernel = convolution.weight.flip(0).T.unsqueeze(1)
    return nn.functional.conv1d(steps.T.unsqueeze(0), kernel, groups=FEATURES)[0].T


def test_each_episode_is_what_pytorch_makes_of_it(convolution, row):
    x, recent, is_first = row
    y, new_recent = convolution(x, recent, is_first)
    for index in range(ROWS):
        starts = is_first[index].nonzero()[:, 0].tolist()
        before, outputs = recent[index].flip(0), []
        for begin, end in zip([0, *starts], [*starts, STEPS], strict=True):
            if begin in starts:
                before = torch.zeros_like(before)
            if end > begin:
                steps = torch.cat([before, x[index, begin:end]])
                outputs.append(pytorchs(convolution, steps))
                before = steps[end - begin :]
        torch.testing.assert_close(y[index], torch.cat(outputs), rtol=0, atol=1e-12)
        torch.testing.assert_close(new_recent[index], before.flip(0), rtol=0, atol=0)


def test_steps_and_chunks_are_the_same_as_one_pass(convolution, row):
    x, recent, is_first = row
    expected, expected_recent = convolution(x, recent, is_first)
    stepped, chunked = recent, recent
    for t in range(STEPS):
        stepped = stepped.masked_fill(is_first[:, t, None, None], 0)
        new = torch.empty_like(stepped)
        with torch.no_grad():
            y = convolution.step(x[:, t : t + 1], stepped, new)
        torch.testing.assert_close(y[:, 0], expected[:, t], rtol=0, atol=1e-12)
        stepped = new
    pieces = []
    for part, first in zip(x.split([1, 2, 6], dim=1), is_first.split([1, 2, 6], dim=1), strict=True):
        y, chunked = convolution(part, chunked, first)
        pieces.append(y)
    torch.testing.assert_close(torch.cat(pieces, dim=1), expected, rtol=0, atol=1e-12)
    for actual in (stepped, chunked):
        torch.testing.assert_close(actual, expected_recent, rtol=0, atol=0)


def test_gradients_equal_finite_differences_and_stop_where_an_episode_begins(convolution, row):
    x, recent, is_first = (part[1:2] for part in row)
    x, recent = x.requires_grad_(), recent.requires_grad_()
    assert torch.autograd.gradcheck(lambda *args: convolution(*args, is_first), (x, recent))
    y, new_recent = convolution(x, recent, is_first)
    grads = torch.autograd.grad(y[:, 3:].sum() + new_recent[:, : STEPS - 3].sum(), [x, recent], materialize_grads=True)
    assert (grads[0][:, :3] == 0).all()
    assert (grads[1] == 0).all()


def test_what_is_not_finite_is_forgotten_where_an_episode_begins(convolution, row):
    x, recent, _ = (part[1:2] for part in row)
    x[:, 2] = recent[:] = torch.nan
    is_first = torch.arange(STEPS).unsqueeze(0) == 3
    y, new_recent = convolution(x, recent, is_first)
    assert torch.isfinite(y[:, 3:]).all()
    assert torch.isfinite(new_recent).all()


def test_at_the_start_each_step_is_nearly_read_alone():
    torch.manual_seed(0)
    first, *others = ShortConvolution(4000, 4).weight
    for taps, centre in ((first, 1.0), *((each, 0.0) for each in others)):
        assert 0.24 < (taps - centre).abs().max() <= 0.25
        assert abs(taps.mean() - centre) < 0.02


def small(name: str, **settings) -> nn.Module:
    torch.manual_seed(0)
    sizes = {key: value for key, value in SMALL.items() if key in settings_of(name).model_fields}
    return build_model(name, input_dim=INPUT_DIM, **{**sizes, **settings})


@pytest.mark.parametrize("name", MODELS)
def test_a_block_reads_what_its_convolution_makes_of_the_normalised_inputs(name, generator):
    model, without = small(name, conv_size=3).double(), small(name, conv_size=0).double()
    for block in model.layers:
        nn.init.normal_(block.convolution.weight)
    weights = {key: value for key, value in model.state_dict().items() if "convolution" not in key}
    without.load_state_dict(weights)  # all else is as it was
    for block, plain in zip(model.layers, without.layers, strict=True):

        def convolved(_, given, h, convolution=block.convolution):
            past = nn.functional.pad(h, (0, 0, 2, 0))
            return sum(convolution.weight[i] * past[:, 2 - i : 2 - i + h.shape[1]] for i in range(3))

        plain.mixer_norm.register_forward_hook(convolved)
    x = torch.randn(2, 7, INPUT_DIM, generator=generator, dtype=torch.float64)
    y, _ = model(x, model.initial_state(2))
    torch.testing.assert_close(y, without(x, without.initial_state(2))[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_without_one_a_model_is_what_it_was(name):
    """A checkpoint of before states no `conv_size`: its weights, and what is remembered between its steps, fit."""
    plain, convolved = small(name, conv_size=0), small(name, conv_size=4)
    assert not any("convolution" in key for key in plain.state_dict())
    assert convolved.state_size == plain.state_size + SMALL["n_layers"] * 3 * SMALL["d_model"]
    assert [part for part in convolved.state_layout.parts if part not in plain.state_layout.parts] == [
        f"layers.{layer}.recent" for layer in range(SMALL["n_layers"])
    ]
    stated = {key: value for key, value in settings_of(name)().model_dump().items() if key != "conv_size"}
    assert recorded_settings(name, stated, where="a checkpoint").conv_size == 0


@pytest.mark.parametrize("name", MODELS)
def test_gates_are_those_of_the_convolved_inputs(name, generator):
    model, seen = small(name, conv_size=3), []
    model.layers[0].convolution.register_forward_hook(lambda _, given, out: seen.append(out[0]))
    x = torch.randn(2, 7, INPUT_DIM, generator=generator)
    with tracing(model) as trace, torch.no_grad():
        model(x, model.initial_state(2))
        context, _ = model.context(model.state_layout.unpack(model.initial_state(2)), 7, None)
        expected = model.layers[0].mixer.gates(seen[0], {}, None, context)
    for gate, values in expected.items():
        torch.testing.assert_close(trace.gates["layers.0.mixer", gate], values, rtol=0, atol=0)


def test_taps_are_named():
    model = small("gla", conv_size=3)
    taps = convolution_taps(model)
    assert list(taps) == ["layers.0.convolution", "layers.1.convolution"]
    torch.testing.assert_close(taps["layers.1.convolution"], model.layers[1].convolution.weight.abs().mean(1))
    assert convolution_taps(small("gla", conv_size=0)) == {}


def test_kernels_that_know_no_convolution_are_not_asked(generator, monkeypatch):
    """Whether or not they are built: those of whole blocks would read the inputs as they are."""

    class Refusing:
        def __getattr__(self, name):
            if name == "block":
                raise AssertionError(name)
            raise LookupError(name)

    model, plain = small("agalite", **{**PLAIN, "conv_size": 3}).double(), small("agalite", **PLAIN).double()
    x = torch.randn(2, STEPS, INPUT_DIM, generator=generator, dtype=torch.float64)
    for module in ("attention", "block", "gate"):
        monkeypatch.setattr(f"rllib_recattn.models.kernels.{module}.loaded", Refusing)
    monkeypatch.setattr(library, "kernels", Refusing)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    for each, error in ((plain, AssertionError), (model, LookupError)):
        with torch.no_grad(), pytest.raises(error):
            each(x, each.initial_state(2))


@pytest.mark.parametrize("steps", [1, STEPS])
def test_what_is_exported_holds_for_other_lives(steps, generator):
    model = small("gla", conv_size=3).double()

    def a_life():
        x = torch.randn(ROWS, steps, INPUT_DIM, generator=generator, dtype=torch.float64)
        state = torch.randn(ROWS, model.state_size, generator=generator, dtype=torch.float64)
        return x, state, torch.rand(ROWS, steps, generator=generator) < 0.4

    with torch.no_grad():
        program = torch.export.export(model, a_life()).module()
        for _ in range(2):
            life = a_life()
            for actual, expected in zip(program(*life), model(*life), strict=True):
                torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", MODELS)
def test_bfloat16_has_as_many_steps(name, generator):
    """Ages are counted in whole numbers, and not in the state's."""
    model = small(name, conv_size=4)
    x = torch.randn(1, 300, INPUT_DIM, generator=generator).bfloat16()
    is_first = torch.arange(300).unsqueeze(0) == 270
    model = model.bfloat16()
    y, _ = model(x, model.initial_state(1), is_first)
    fresh, _ = model(x[:, 270:], model.initial_state(1))
    torch.testing.assert_close(y[:, 270:], fresh, rtol=0.1, atol=0.1)


def test_a_size_below_none_is_refused():
    with pytest.raises(SettingsError, match=r"conv_size = -1: .*greater than or equal to 0"):
        build_model("gla", input_dim=3, conv_size=-1)


@pytest.mark.parametrize("lengths", [[1] * STEPS, [4, 5]])
@pytest.mark.parametrize("name", MODELS)
def test_a_state_carries_the_last_steps_on(name, lengths, generator):
    model = small(name, conv_size=4).double()
    x = torch.randn(ROWS, STEPS, INPUT_DIM, generator=generator, dtype=torch.float64)
    is_first = torch.rand(ROWS, STEPS, generator=generator) < 0.25
    state = model(x, model.initial_state(ROWS))[1].detach()
    for actual, expected in zip(
        (*run_split(model, x, state, lengths, is_first), *gradients(model, x, state, lengths, is_first)),
        (*run_split(model, x, state, [STEPS], is_first), *gradients(model, x, state, [STEPS], is_first)),
        strict=True,
    ):
        torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)
