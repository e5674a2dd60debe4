"""The gated outer-product memory, against its recurrence written out, finite differences and published numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rllib_recattn.models.parts.gated_linear_attention import chunkwise, gated_linear_attention

BATCH, HEADS = 2, 3


def operands(steps, d_key=4, d_value=5, dtype=torch.float64, rows=BATCH, heads=HEADS):
    """Query, key, value, decay and the memory before the first step."""
    generator = torch.Generator().manual_seed(steps)

    def randn(*shape):
        return torch.randn(rows, *shape, generator=generator, dtype=dtype)

    query, key, gate = (randn(steps, heads, d_key) for _ in range(3))
    value, initial = randn(steps, heads, d_value), randn(heads, d_key, d_value)
    tensors = [query, key, value, torch.sigmoid(2 * gate), initial]
    return [tensor.requires_grad_() for tensor in tensors]


def firsts(steps, share):
    return torch.rand(BATCH, steps, generator=torch.Generator().manual_seed(1)) < share


def written_out(query, key, value, decay, memory, is_first=None):
    outputs = []
    for t in range(query.shape[1]):
        if is_first is not None:
            memory = torch.where(is_first[:, t, None, None, None], 0, memory)
        memory = decay[:, t, :, :, None] * memory + key[:, t, :, :, None] * value[:, t, :, None, :]
        outputs.append((query[:, t, :, :, None] * memory).sum(-2))
    return torch.stack(outputs, dim=1), memory


def results(form, tensors, *args):
    """Outputs, the final memory, and the gradients of a fixed random function of both."""
    output, memory = form(*tensors, *args)
    weights = torch.Generator().manual_seed(2)
    cotangents = [torch.randn(x.shape, generator=weights, dtype=torch.float64) for x in (output, memory)]
    loss = (output * cotangents[0]).sum() + (memory * cotangents[1]).sum()
    return [output.detach(), memory.detach(), *torch.autograd.grad(loss, tensors)]


def assert_all_close(actual, expected, **tolerances):
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, e, **tolerances)


@pytest.mark.parametrize("steps", [1, 2, 3, 31, 32, 33, 70])
@pytest.mark.parametrize("share", [None, 0.0, 0.15, 1.0])
def test_equals_the_recurrence_written_out(steps, share):
    tensors = operands(steps)
    is_first = None if share is None else firsts(steps, share)
    assert_all_close(
        results(gated_linear_attention, tensors, is_first), results(written_out, tensors, is_first), rtol=0, atol=1e-11
    )


@pytest.mark.parametrize("chunk_size", [1, 2, 4, 16, 64])
@pytest.mark.parametrize(("d_key", "d_value"), [(1, 1), (3, 2), (8, 3)])
def test_the_size_of_a_chunk_does_not_matter(chunk_size, d_key, d_value):
    tensors = operands(37, d_key, d_value)
    assert_all_close(results(chunkwise, tensors, chunk_size), results(written_out, tensors), rtol=0, atol=1e-11)


@pytest.mark.parametrize("steps", [1, 2, 16])
def test_a_single_row_and_head(steps):
    tensors = operands(steps, rows=1, heads=1)
    assert_all_close(results(gated_linear_attention, tensors), results(written_out, tensors), rtol=0, atol=1e-11)


@pytest.mark.parametrize("steps", [1, 5])
def test_gradients_equal_finite_differences(steps):
    assert torch.autograd.gradcheck(gated_linear_attention, operands(steps, 2, 2))


@pytest.mark.parametrize("decay", [0.0, 1e-300, 1e-30, 0.5, 1.0])
def test_any_decay_is_exact(decay):
    tensors = operands(37)
    with torch.no_grad():
        tensors[3].fill_(decay)
        tensors[3][:, ::7] = 0.9  # Among others.
    assert_all_close(results(gated_linear_attention, tensors), results(written_out, tensors), rtol=0, atol=1e-11)


def test_float32_bears_the_strongest_decays():
    tensors = operands(100)
    magnitudes = torch.tensor([0.0, 1e-38, 1e-20, 1e-4, 0.3, 1 - 2**-20, 1.0], dtype=torch.float64)
    choice = torch.randint(len(magnitudes), tensors[3].shape, generator=torch.Generator().manual_seed(0))
    tensors[3] = magnitudes[choice].requires_grad_()
    singles = [tensor.detach().float().requires_grad_() for tensor in tensors]

    single = results(gated_linear_attention, singles)

    assert all(torch.isfinite(x).all() for x in single)
    assert_all_close([x.double() for x in single], results(written_out, tensors), rtol=1e-4, atol=1e-4)


def test_steps_before_an_episode_leave_no_trace():
    tensors = operands(40)
    is_first = torch.zeros(BATCH, 40, dtype=torch.bool)
    is_first[:, 21] = True

    output, memory = gated_linear_attention(*tensors, is_first)
    *steps, initial = tensors
    fresh = gated_linear_attention(*(x[:, 21:] for x in steps), torch.zeros_like(initial))

    assert_all_close((output[:, 21:], memory), fresh, rtol=0, atol=1e-12)
    gradients = torch.autograd.grad(output[:, 21:].sum() + memory.sum(), tensors)
    assert all((gradient[:, :21] == 0).all() for gradient in gradients[:-1])
    assert (gradients[-1] == 0).all()


def test_the_memory_is_not_kept_for_every_step():
    steps, d_key, d_value = 128, 16, 48
    tensors = operands(steps, d_key, d_value)
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        gated_linear_attention(*tensors)

    every_memory = 8 * BATCH * steps * HEADS * d_key * d_value
    assert sum(kept.values()) < every_memory / 2


@pytest.mark.parametrize("steps", [1, 20])
def test_inputs_are_left_as_they_were(steps):
    tensors = operands(steps)
    before = [tensor.detach().clone() for tensor in tensors]
    results(gated_linear_attention, tensors, firsts(steps, 0.3))
    assert_all_close([tensor.detach() for tensor in tensors], before, rtol=0, atol=0)


def test_reads_tensors_that_are_not_contiguous():
    def form(*tensors):
        return gated_linear_attention(*(x.transpose(0, -1).contiguous().transpose(0, -1) for x in tensors))

    tensors = operands(37)
    assert_all_close(results(form, tensors), results(written_out, tensors), rtol=0, atol=1e-11)


def test_equals_the_published_recurrence():
    with np.load(Path(__file__).parent / "reference_vectors" / "gla_layer.npz") as arrays:
        vectors = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    query = vectors["q"] / vectors["q"].shape[-1] ** 0.5

    output, memory = gated_linear_attention(
        query, vectors["k"], vectors["v"], vectors["log_decay"].exp(), vectors["state_in"]
    )

    torch.testing.assert_close(output, vectors["o"], rtol=0, atol=1e-12)
    torch.testing.assert_close(memory, vectors["state_out"], rtol=0, atol=1e-12)
