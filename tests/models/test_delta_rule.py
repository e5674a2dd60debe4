"""The delta rule in chunks against its recurrence written out, and vectors of flash-linear-attention."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rllib_recattn.models.parts.delta_rule import chunkwise, delta_rule
from tests.models.test_gated_linear_attention import BATCH, HEADS, assert_all_close, firsts, results

VECTORS = Path(__file__).parent / "reference_vectors"


def operands(steps, shared, d_key=4, d_value=5, dtype=torch.float64):
    """Query, key, value, β, decay (one for all features, or one each) and the memory before the first step."""
    generator = torch.Generator().manual_seed(steps)

    def randn(*shape):
        return torch.randn(BATCH, *shape, generator=generator, dtype=dtype)

    query, key = (torch.nn.functional.normalize(randn(steps, HEADS, d_key), dim=-1) for _ in range(2))
    value, initial = randn(steps, HEADS, d_value), randn(HEADS, d_key, d_value)
    beta, decay = torch.sigmoid(randn(steps, HEADS)), torch.sigmoid(2 * randn(steps, HEADS, 1 if shared else d_key))
    return [x.requires_grad_() for x in (query, key, value, beta, decay, initial)]


def written_out(query, key, value, beta, decay, memory, is_first=None):
    outputs = []
    for t in range(query.shape[1]):
        if is_first is not None:
            memory = torch.where(is_first[:, t, None, None, None], 0, memory)
        memory = decay[:, t, :, :, None] * memory
        held = torch.einsum("bhkv,bhk->bhv", memory, key[:, t])
        update = beta[:, t, :, None] * (value[:, t] - held)
        memory = memory + torch.einsum("bhk,bhv->bhkv", key[:, t], update)
        outputs.append(torch.einsum("bhkv,bhk->bhv", memory, query[:, t]))
    return torch.stack(outputs, dim=1), memory


@pytest.mark.another_implementation("delta_net", "gated_delta_net", "kda")
@pytest.mark.parametrize("split", [17, 5, 1])
@pytest.mark.parametrize("name", ["delta_rule", "gated_delta_rule", "kda"])
def test_outputs_states_and_gradients_are_those_of_flash_linear_attention(name, split):
    with np.load(VECTORS / f"{name}.npz") as arrays:
        vectors = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    inputs = {key: vectors[key].requires_grad_() for key in ("q", "k", "v", "beta", "log_decay") if key in vectors}
    initial = vectors["state_in"].requires_grad_()
    decay = torch.exp(inputs["log_decay"]) if "log_decay" in inputs else torch.ones_like(inputs["beta"])
    if name != "kda":
        decay = decay.unsqueeze(-1)
    scaled = inputs["q"] * inputs["q"].shape[-1] ** -0.5

    memory, outputs = initial, []
    operands = (scaled, inputs["k"], inputs["v"], inputs["beta"], decay)
    for parts in zip(*(each.split(split, dim=1) for each in operands), strict=True):
        output, memory = delta_rule(*parts, memory)
        outputs.append(output)
    output = torch.cat(outputs, dim=1)

    torch.testing.assert_close(output, vectors["o"], rtol=0, atol=1e-12)
    torch.testing.assert_close(memory, vectors["state_out"], rtol=0, atol=1e-12)
    if "cotangent" not in vectors:
        return
    wanted = {**inputs, "state_in": initial}
    assert {f"grad/{key}" for key in wanted} == {key for key in vectors if key.startswith("grad/")}
    gradients = torch.autograd.grad((output * vectors["cotangent"]).sum(), list(wanted.values()))
    for key, gradient in zip(wanted, gradients, strict=True):
        torch.testing.assert_close(gradient, vectors[f"grad/{key}"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("steps", [1, 2, 3, 31, 33, 70])
@pytest.mark.parametrize("share", [None, 0.15, 1.0])
def test_equals_the_recurrence_written_out(steps, share, shared):
    tensors = operands(steps, shared)
    is_first = None if share is None else firsts(steps, share)
    ours, expected = results(delta_rule, tensors, is_first), results(written_out, tensors, is_first)
    assert_all_close(ours, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("chunk_size", [1, 4, 64])
@pytest.mark.parametrize(("d_key", "d_value", "shared"), [(1, 1, True), (3, 2, False), (8, 3, True)])
def test_the_size_of_a_chunk_does_not_matter(chunk_size, d_key, d_value, shared):
    tensors = operands(37, shared, d_key, d_value)
    assert_all_close(results(chunkwise, tensors, chunk_size), results(written_out, tensors), rtol=0, atol=1e-11)


@pytest.mark.parametrize("shared", [True, False])
def test_a_decay_of_zero_forgets(shared):
    *tensors, decay, initial = operands(20, shared)
    decay = decay.detach().clone()
    decay[:, 7] = 0
    _, memory = delta_rule(*tensors, decay, initial)
    _, expected = delta_rule(*(x[:, 7:] for x in (*tensors, decay)), torch.zeros_like(initial))
    torch.testing.assert_close(memory, expected, rtol=0, atol=1e-12)
    before = torch.autograd.grad(memory.sum(), [*tensors[1:], initial])
    assert all((gradient[:, :7] == 0).all() for gradient in before[:-1])
    assert (before[-1] == 0).all()


def test_a_key_is_written_anew():
    """The same key with two values, and another: each reads the newest of its own."""
    key = torch.eye(2)[[0, 1, 0]].view(1, 3, 1, 2)
    value = torch.tensor([1.0, 2.0, 5.0]).view(1, 3, 1, 1)
    ones = torch.ones(1, 3, 1)
    _, memory = delta_rule(key, key, value, ones, ones.unsqueeze(-1), torch.zeros(1, 1, 2, 1))
    torch.testing.assert_close(memory.flatten(), torch.tensor([5.0, 2.0]))


def test_float32_stays_close_where_a_key_comes_again_and_again():
    """The systems of such chunks are the worst conditioned ones."""
    tensors = [x.detach() for x in operands(256, shared=True)]
    tensors[1] = tensors[1][:, :1].expand_as(tensors[1])
    tensors[3], tensors[4] = torch.ones_like(tensors[3]), torch.ones_like(tensors[4])
    expected = written_out(*tensors)
    for actual, exact in zip(delta_rule(*(x.float() for x in tensors)), expected, strict=True):
        torch.testing.assert_close(actual.double(), exact, rtol=1e-4, atol=1e-4)


def test_half_precision_is_solved_in_single():
    tensors = [x.detach() for x in operands(40, shared=True, dtype=torch.float32)]
    halves = [x.bfloat16() for x in tensors]
    output, memory = delta_rule(*halves)
    assert output.dtype == memory.dtype == torch.bfloat16
    expected, _ = delta_rule(*(x.float() for x in halves))
    torch.testing.assert_close(output.float(), expected, rtol=0.1, atol=0.1)
