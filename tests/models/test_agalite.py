"""AGaLiTe against vectors that the authors' published implementation made; see reference_vectors/README.md."""

import math
from itertools import pairwise

import pytest
import torch

from rllib_recattn.errors import SettingsError
from rllib_recattn.models.agalite import AGaLiTe, AGaLiTeSettings
from rllib_recattn.models.registry import build_model, recorded_settings
from tests.models.conftest import choose_kernels
from tests.models.reference import EXPANDED_ATTENTION, ReferenceVectors, files

VECTORS = files("agalite")
PLAIN = dict(AGaLiTeSettings.unstated)  # without what the published model has not
PUBLISHED = {**PLAIN, "frequencies": "published"}


class Reference(ReferenceVectors):
    def build(self) -> AGaLiTe:
        sizes = self.sizes("d_model", "n_layers", "n_heads", "d_head", "d_ff", "eta", "r")
        model = build_model("agalite", input_dim=self["x"].shape[-1], **PUBLISHED, **sizes).double()
        model.load_state_dict(self.weights("param"))
        return model

    def weights(self, kind: str) -> dict[str, torch.Tensor]:
        return self.block_weights(kind, EXPANDED_ATTENTION)

    def run(self, model: AGaLiTe, chunk: int, x: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Read the sequence in chunks of so many steps, as ReferenceVectors.run does.

        The authors' clock runs on through resets and the package's does not, so a reset here is the initial state with
        the clock of the state before.
        """
        x, state, outputs = self["x"][None] if x is None else x, model.initial_state(1), []
        starts = {0, *self["is_first"].nonzero().flatten().tolist()}
        for begin, end in pairwise(sorted({*starts, *range(0, x.shape[1], chunk), x.shape[1]})):
            if begin in starts:
                clock = model.state_layout.unpack(state)["clock"]
                fresh = model.state_layout.unpack(model.initial_state(1))
                state = model.state_layout.pack({**fresh, "clock": clock})
            y, state = model(x[:, begin:end], state)
            outputs.append(y[0])
        return torch.cat(outputs), state


@pytest.fixture(params=VECTORS, ids=lambda path: path.stem)
def vectors(request: pytest.FixtureRequest) -> Reference:
    return Reference(request.param)


@pytest.fixture(params=[False, True], ids=["PyTorch", "kernels"])
def reference(vectors: Reference, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Reference:
    choose_kernels(request.param, monkeypatch)
    return vectors


def test_there_are_vectors():
    assert len(VECTORS) == 3


@pytest.mark.another_implementation("agalite")
@pytest.mark.parametrize("chunk", [14, 5, 1])
def test_outputs_and_states(reference, chunk):
    model = reference.build()
    y, state = reference.run(model, chunk)

    torch.testing.assert_close(y, reference["y"], rtol=0, atol=1e-9)
    parts = model.state_layout.unpack(state)
    for layer in range(reference.n_layers):
        keys, values = parts[f"layers.{layer}.keys"][0], parts[f"layers.{layer}.values"][0]
        theirs = {name: reference[f"state_out/{layer}/{name}"] for name in ("tilde_k", "tilde_v", "s", "tick")}
        torch.testing.assert_close(keys[:, :-1].transpose(0, 1), theirs["tilde_k"], rtol=0, atol=1e-9)
        torch.testing.assert_close(keys[:, -1], theirs["s"], rtol=0, atol=1e-9)
        torch.testing.assert_close(values.transpose(0, 1), theirs["tilde_v"], rtol=0, atol=1e-9)
        # The published clock starts at 1 and never wraps around.
        assert parts["clock"].item() == (theirs["tick"].item() - 1) % model.oscillation.period


def test_gradients(reference):
    model = reference.build()
    x = reference["x"][None].requires_grad_()

    y, _ = reference.run(model, 14, x)
    (y * reference["cotangent"]).sum().backward()

    torch.testing.assert_close(x.grad[0], reference["grad_x"], rtol=0, atol=1e-9)
    expected = reference.weights("grad")
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected.pop(name), rtol=0, atol=1e-9)
    assert not expected


def test_frequencies_are_the_published_ones(reference):
    ours = torch.tensor(reference.build().oscillation.frequencies, dtype=torch.float64)
    # One channel alone: linspace(−π, π, 1) is −π.
    torch.testing.assert_close(ours, reference["omegas"], rtol=0, atol=1e-12)


def cosines_of(choice, r, step):
    """cos(ω_j t) of an episode's step, as they are defined."""
    if choice == "paper":
        return [math.cos(2 * math.pi * j / r * (step + 1)) for j in range(r + 1)]
    return [(math.sqrt(0.5) if j == 0 else 1) * math.cos(math.pi * j / r * (step + 0.5)) for j in range(r)]


@pytest.mark.parametrize("further", [{}, {"head_norm": True}, {"output_gate": True}], ids=str)
@pytest.mark.parametrize("choice", ["paper", "dct2"])
@pytest.mark.parametrize("r", [1, 3])
def test_frequencies_and_outputs_are_their_equations_written_out(r, choice, further, generator):
    sizes = {"d_model": 6, "n_layers": 1, "n_heads": 2, "d_head": 2}
    model = build_model("agalite", input_dim=3, r=r, **sizes, **{**PLAIN, "frequencies": choice, **further}).double()
    mixer = model.layers[0].mixer
    n_channels = len(cosines_of(choice, r, 0))
    assert model.state_layout.parts["layers.0.keys"] == (2, n_channels + 1, 8)
    x = torch.randn(1, 7, 3, generator=generator, dtype=torch.float64)
    seen = []
    hook = mixer.register_forward_hook(lambda _, given, out: seen.append((given[0], out[0])))
    model(x, model.initial_state(1), torch.tensor([[0, 0, 0, 0, 1, 0, 0]]))
    hook.remove()
    ((h, output),) = seen
    gated_key, query, gamma, gated_value, beta = (part[0] for part in mixer.features(h))
    for t in range(7):
        if t in (0, 4):
            first, keys, values, total = t, [0] * n_channels, [0] * n_channels, 0
        total = (1 - gamma[t]) * total + gated_key[t]
        for j, cosine in enumerate(cosines_of(choice, r, t - first)):
            keys[j] = (1 - gamma[t]) * keys[j] + cosine * gated_key[t]
            values[j] = (1 - beta[t]) * values[j] + cosine * gated_value[t]
        read = sum(values[j] * (keys[j] * query[t]).sum(-1, keepdim=True) for j in range(n_channels))
        attended = read / (2 * r * (total * query[t]).sum(-1, keepdim=True) + 1e-5)
        if further.get("head_norm"):
            attended = attended / torch.sqrt(attended.square().mean(-1, keepdim=True) + 1e-5)
        attended = attended.flatten()
        if further.get("output_gate"):
            gate = mixer.gate.weight @ h[0, t] + mixer.gate.bias
            attended = attended * gate / (1 + torch.exp(-gate))
        torch.testing.assert_close(output[0, t], mixer.output(attended), rtol=0, atol=1e-12)


def test_the_size_that_the_paper_uses_has_a_state_of_56_kib():
    model = build_model("agalite", input_dim=3, **PUBLISHED)
    per_layer = 4 * 64 * ((2 + 1) * 4 + 2)
    assert model.state_size == 4 * per_layer + 1
    assert round(4 * model.state_size / 1024) == 56


def test_a_default_state_holds_the_last_inputs_of_its_convolutions_besides():
    model = build_model("agalite", input_dim=3, d_model=16)
    assert model.state_size == build_model("agalite", input_dim=3, d_model=16, **PLAIN).state_size + 4 * 3 * 16


@pytest.mark.parametrize("stated", [{}, {"frequencies": "paper"}, {"conv_size": 3, "head_norm": True}], ids=str)
def test_what_a_checkpoint_does_not_state_is_what_it_was_when_it_was_written(stated):
    settings = recorded_settings("agalite", {"d_model": 16, **stated}, where="a checkpoint")
    assert settings == AGaLiTeSettings(d_model=16, **{**PLAIN, **stated})
    assert recorded_settings("agalite", AGaLiTeSettings().model_dump(), where="a checkpoint") == AGaLiTeSettings()


def attention(**settings):
    model = build_model("agalite", input_dim=3, d_model=16, n_layers=1, n_heads=2, d_head=8, eta=4, **settings)
    return model.layers[0].mixer


def test_projections_start_orthogonal_each_for_itself():
    key = attention().project.weight[:16]
    torch.testing.assert_close(key @ key.T, 2 * torch.eye(16), rtol=0, atol=1e-5)


def test_gates_start_with_time_scales_from_2_to_the_longest():
    _, _, _, _, gamma, beta, _, _ = torch.sigmoid(attention(max_timescale=50).project.bias).split(
        [16, 16, 8, 8, 16, 16, 8, 16]
    )
    for gate in (gamma, beta):
        timescales = 1 / gate.view(2, 8)
        torch.testing.assert_close(timescales[0], timescales[1])
        torch.testing.assert_close(timescales[0, [0, -1]], torch.tensor([2.0, 50.0]), rtol=1e-5, atol=0)
        ratios = timescales[0, 1:] / timescales[0, :-1]
        assert (ratios > 1.3).all()


def test_only_the_memory_gates_start_biased_and_none_as_published():
    zero = attention(max_timescale=2.0).project.bias
    assert (zero == 0).all()
    spread = attention().project.bias
    assert spread[:48].eq(0).all()
    assert spread[80:].eq(0).all()


def test_a_time_scale_below_2_is_refused():
    with pytest.raises(SettingsError, match=r"max_timescale = 1: .*greater than or equal to 2"):
        build_model("agalite", input_dim=3, max_timescale=1)


def test_the_attention_can_start_louder_than_published():
    def started(gain):
        torch.manual_seed(0)
        return attention(output_gain=gain)

    published, louder = started(1), started(4)
    torch.testing.assert_close(louder.output.weight, 4 * published.output.weight)
    torch.testing.assert_close(louder.project.weight, published.project.weight)
    assert not louder.output.bias.any()
    # Orthogonal with gain √2, as all weights.
    torch.testing.assert_close(published.output.weight @ published.output.weight.T, 2 * torch.eye(16))
    torch.manual_seed(0)
    assert torch.equal(attention().output.weight, published.output.weight)
