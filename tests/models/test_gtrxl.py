"""GTrXL against reference vectors, its window, and its two ways to compute a step; see reference_vectors/README.md."""

import pytest
import torch

from rllib_recattn.models.gtrxl import GTrXL, GTrXLSettings
from rllib_recattn.models.parts import relative_attention
from rllib_recattn.models.parts.relative_attention import sinusoid_table
from tests.models.reference import ReferenceVectors, files

VECTORS = files("gtrxl")
M, ROWS, STEPS = 4, 3, 11


class Reference(ReferenceVectors):
    def build(self) -> GTrXL:
        sizes = self.sizes("d_model", "n_layers", "n_heads", "d_head", "d_ff", "memory_length")
        model = GTrXLSettings(**sizes).build(self["x"].shape[-1]).double()
        model.load_state_dict(self.weights())
        return model

    def weights(self) -> dict[str, torch.Tensor]:
        projections = {"query": ("query",), "project": ("position", "key", "value"), "output": ("out",)}
        named = self.block_weights("param", projections)
        for layer in range(self.n_layers):
            mixer = f"layers.{layer}.mixer."
            _, _, value_bias = named.pop(mixer + "project.bias").chunk(3)
            named[mixer + "output.bias"] = named[mixer + "output.bias"] + named[mixer + "output.weight"] @ value_bias
        return named | {"content_bias": self["param/u"], "position_bias": self["param/v"]}


def small(n_layers: int = 2, memory_length: int = M) -> GTrXL:
    torch.manual_seed(0)
    settings = GTrXLSettings(d_model=12, n_layers=n_layers, n_heads=2, d_head=4, memory_length=memory_length)
    model = settings.build(5).double()
    with torch.no_grad():
        for bias in (model.content_bias, model.position_bias):
            bias.normal_()
    return model


def act(model, x, state, is_first=None):
    """Take one step after the other, without gradients."""
    outputs = []
    with torch.no_grad():
        for t in range(x.shape[1]):
            y, state = model(x[:, t : t + 1], state, None if is_first is None else is_first[:, t : t + 1])
            outputs.append(y)
    return torch.cat(outputs, dim=1), state


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(ROWS, STEPS, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture(params=VECTORS, ids=lambda path: path.stem)
def reference(request: pytest.FixtureRequest) -> Reference:
    return Reference(request.param)


def test_there_are_vectors():
    assert len(VECTORS) == 3


@pytest.mark.another_implementation("gtrxl")
@pytest.mark.parametrize("with_gradients", [True, False])
@pytest.mark.parametrize("chunk", [14, 5, 1])
def test_outputs(reference, chunk, with_gradients):
    with torch.set_grad_enabled(with_gradients):
        y, _ = reference.run(reference.build(), chunk)
    torch.testing.assert_close(y, reference["y"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("memory_length", [1, 4, 20])
def test_acting_equals_reading_a_sequence(x, memory_length, resets):
    model = small(memory_length=memory_length)
    is_first = torch.rand(ROWS, STEPS, generator=torch.Generator().manual_seed(2)) < 0.25 if resets else None

    _, state = model(x[:, :3], model.initial_state(ROWS))
    y, state_out = model(x, state, is_first)
    y_acting, state_acting = act(model, x, state.detach(), is_first)

    torch.testing.assert_close(y_acting, y.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(state_acting, state_out.detach(), rtol=0, atol=1e-12)


def test_acting_leaves_the_state_that_it_is_given_as_it_was(x):
    model = small()
    _, state = act(model, x[:, :6], model.initial_state(ROWS))
    before = state.clone()
    _, after = act(model, x[:, 6:7], state)
    torch.testing.assert_close(state, before, rtol=0, atol=0)
    assert not torch.equal(after, before)


@pytest.mark.parametrize("lengths", [[STEPS], [3, 8], [1] * STEPS])
def test_a_step_attends_to_itself_and_the_m_steps_before_it(x, lengths):
    model = small(n_layers=1)
    x.requires_grad_()
    state, outputs = model.initial_state(ROWS), []
    for piece in x.split(lengths, dim=1):
        y, state = model(piece, state)
        outputs.append(y)

    # The gradient of output t by input j: a block that is full within the window and 0 outside.
    for t, y in enumerate(torch.cat(outputs, dim=1).unbind(1)):
        (grad,) = torch.autograd.grad(y.square().sum(), x, retain_graph=True)
        seen = grad.abs().amax(dim=(0, 2)) > 0
        assert seen.tolist() == [t - M <= j <= t for j in range(STEPS)]


@pytest.mark.parametrize("read", [act, GTrXL.__call__])
def test_the_window_is_as_long_in_acting_as_in_training(x, read):
    model = small(n_layers=1)
    changed = x.clone()
    changed[:, 2] += 1

    y, _ = read(model, x, model.initial_state(ROWS))
    y_changed, _ = read(model, changed, model.initial_state(ROWS))

    differs = ((y - y_changed).abs() > 1e-9).any(dim=-1).all(dim=0)
    assert differs.tolist() == [2 <= t <= 2 + M for t in range(STEPS)]


@pytest.mark.parametrize("read", [act, GTrXL.__call__])
def test_empty_places_of_the_memory_are_never_attended(x, read):
    model = small(n_layers=1, memory_length=6)
    empty = model.initial_state(ROWS)
    garbage = torch.cat([empty[:, :1], 100 + empty[:, 1:]], dim=1)

    y, _ = read(model, x[:, :1], empty)
    y_garbage, _ = read(model, x[:, :1], garbage)

    torch.testing.assert_close(y_garbage, y, rtol=0, atol=1e-12)


def test_chunks_of_many_blocks(x, monkeypatch):
    model = small()
    is_first = torch.rand(ROWS, STEPS, generator=torch.Generator().manual_seed(2)) < 0.25
    y, state = model(x, model.initial_state(ROWS), is_first)
    monkeypatch.setattr(relative_attention, "BLOCK_STEPS", 3)
    y_blocks, state_blocks = model(x, model.initial_state(ROWS), is_first)

    torch.testing.assert_close(y_blocks, y, rtol=0, atol=1e-12)
    torch.testing.assert_close(state_blocks, state, rtol=0, atol=1e-12)


def test_the_state_holds_the_newest_steps_first_and_their_number(x):
    model = small(memory_length=6)
    _, state = model(x[:, :4], model.initial_state(ROWS))
    parts = model.state_layout.unpack(state)
    inputs = torch.relu(model.embedding(x[:, :4]))
    normalised = model.layers[0].mixer_norm(inputs)

    assert (parts["count"] == 4).all()
    torch.testing.assert_close(parts["layers.0.memory"][:, :4], normalised.flip(1), rtol=0, atol=0)
    assert (parts["layers.0.memory"][:, 4:] == 0).all()


def test_the_default_state_has_256_kib():
    model = GTrXLSettings().build(3)
    assert model.state_size == 4 * 128 * 128 + 1


def test_embeddings_are_exact_in_the_dtype_of_the_model():
    model = small()
    exact = sinusoid_table(M + 1, 12)
    torch.testing.assert_close(model.float().double().sinusoids, exact, rtol=0, atol=0)
    torch.testing.assert_close(model.float().sinusoids, exact.float(), rtol=0, atol=0)
    assert "sinusoids" not in model.state_dict()


def test_a_long_life_in_float32_depends_on_the_window_alone():
    model = small(n_layers=2).float()
    x = torch.randn(1, 3000, 5, generator=torch.Generator().manual_seed(3))
    y, state = act(model, x, model.initial_state(1))
    # Two layers see 2 M steps back, so that what came before makes no difference.
    y_short, state_short = act(model, x[:, -3 * M :], model.initial_state(1))
    torch.testing.assert_close(y[:, -M:], y_short[:, -M:], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(state, state_short, rtol=1e-5, atol=1e-5)
