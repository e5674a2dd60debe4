"""GaLiTe against vectors that the authors' published implementation made; see reference_vectors/README.md."""

import pytest
import torch
from torch import Tensor

from rllib_recattn.models.galite import GaLiTe, GaLiTeAttention, GaLiTeSettings
from tests.models.reference import EXPANDED_ATTENTION, ReferenceVectors, files

VECTORS = files("galite")


class Reference(ReferenceVectors):
    def build(self) -> GaLiTe:
        sizes = self.sizes("d_model", "n_layers", "n_heads", "d_head", "d_ff", "eta")
        model = GaLiTeSettings(epsilon=float(self["cfg/attn_eps"]), **sizes).build(self["x"].shape[-1]).double()
        model.load_state_dict(self.block_weights("param", EXPANDED_ATTENTION))
        return model

    def key_order(self, memory: Tensor) -> Tensor:
        """This package's expand(a, p) is vec(p ⊗ a), theirs vec(a ⊗ p): the same numbers in another order."""
        eta = int(self["cfg/eta"])
        return memory.unflatten(-1, (eta, -1)).transpose(-1, -2).flatten(-2)


@pytest.fixture(params=VECTORS, ids=lambda path: path.stem)
def reference(request: pytest.FixtureRequest) -> Reference:
    return Reference(request.param)


def test_there_are_vectors():
    assert len(VECTORS) == 2


@pytest.mark.another_implementation("galite")
@pytest.mark.parametrize("chunk", [14, 5, 1])
def test_outputs_and_states(reference, chunk):
    model = reference.build()
    y, state = reference.run(model, chunk)

    torch.testing.assert_close(y, reference["y"], rtol=0, atol=1e-9)
    parts = model.state_layout.unpack(state)
    for layer in range(reference.n_layers):
        for name, theirs in (("memory", "c"), ("keys", "s")):
            ours = reference.key_order(parts[f"layers.{layer}.{name}"][0])
            torch.testing.assert_close(ours, reference[f"state_out/{layer}/{theirs}"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("chunk", [14, 5, 1])
def test_gradients(reference, chunk):
    model = reference.build()
    x = reference.arrays["x"] = reference["x"].requires_grad_()

    y, _ = reference.run(model, chunk)
    (y * reference["cotangent"]).sum().backward()

    torch.testing.assert_close(x.grad, reference["grad_x"], rtol=0, atol=1e-9)


def test_gradients_of_the_weights_are_those_of_the_equations_written_out():
    model = GaLiTeSettings(d_model=8, n_layers=1, n_heads=2, d_head=4, eta=3).build(5).double()
    attention = model.layers[0].mixer
    h = torch.randn(2, 9, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    state = {part: torch.zeros(2, *shape, dtype=torch.float64) for part, shape in attention.state_parts.items()}

    y, after = attention(h, state, None, None)
    expected, expected_memory = written_out(attention, h)

    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(after["memory"], expected_memory, rtol=0, atol=1e-12)
    weights = list(attention.parameters())
    for ours, theirs in zip(
        torch.autograd.grad(y.square().sum(), weights),
        torch.autograd.grad(expected.square().sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def written_out(attention: GaLiTeAttention, h: Tensor) -> tuple[Tensor, Tensor]:
    """The equations of the paper, a step at a time, from an empty memory."""
    gated_key, query, gamma, gated_value, beta = attention.features(h)
    memory, keys, steps = 0, 0, []
    for t in range(h.shape[1]):
        gate = torch.einsum("bhi,bhj->bhij", beta[:, t], gamma[:, t])
        memory = (1 - gate) * memory + torch.einsum("bhi,bhj->bhij", gated_value[:, t], gated_key[:, t])
        keys = (1 - gamma[:, t]) * keys + gated_key[:, t]
        numerator = torch.einsum("bhij,bhj->bhi", memory, query[:, t])
        steps.append(numerator / ((keys * query[:, t]).sum(-1, keepdim=True) + attention.epsilon))
    return attention.output(torch.stack(steps, dim=1).flatten(-2)), memory


def test_state_size():
    model = GaLiTeSettings().build(3)
    assert model.state_size == 4 * (4 * 64 * 256 + 4 * 256)


def test_no_relu_follows_the_dense_layer():
    model = GaLiTeSettings(d_model=8, n_layers=1, n_heads=1, d_head=4).build(3)
    inputs = []
    model.layers[0].register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    model(torch.randn(4, 5, 3), model.initial_state(4))
    assert (inputs[0] < 0).any()


def test_only_the_gates_of_the_keys_start_biased_and_none_as_published():
    def biases(**settings):
        return GaLiTeSettings(n_heads=2, d_head=8, d_model=16, **settings).build(3).layers[0].mixer.project.bias

    assert (biases(max_timescale=2.0) == 0).all()
    # W_k, W_q, W_p1, W_p2 stand before W_γ.
    before, gamma, after = biases(max_timescale=50.0).split([48, 16, 40])
    assert before.eq(0).all()
    assert after.eq(0).all()
    timescales = (1 / torch.sigmoid(gamma)).view(2, 8)
    torch.testing.assert_close(timescales[:, 0], torch.tensor([2.0, 2.0]))
    torch.testing.assert_close(timescales[:, -1], torch.tensor([50.0, 50.0]), rtol=1e-5, atol=0)
