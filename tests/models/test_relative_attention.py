"""Attention over a window: the form for CPUs, the one for accelerators, and the equations written out."""

import pytest
import torch

from rllib_recattn.models.parts import relative_attention
from rllib_recattn.models.parts.relative_attention import (
    sinusoid_table,
    steps_in_reach,
    window_attention,
    window_attention_dense,
    window_masks,
)

B, H, D_HEAD = 2, 2, 3


def operands(n_steps: int, memory_length: int):
    generator = torch.Generator().manual_seed(n_steps)
    shapes = ((2, B, n_steps, H, D_HEAD), (B, memory_length + n_steps, 2, H, D_HEAD), (memory_length + 1, H, D_HEAD))
    tensors = [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]
    return tensors, torch.randint(0, memory_length + 1, (B, n_steps), generator=generator).double()


def written_out(queries, keys_values, positions, reach):
    """Softmax over the window of each step and head, one at a time."""
    n_steps, memory_length = reach.shape[1], len(positions) - 1
    rows = []
    for b in range(B):
        for t in range(n_steps):
            for h in range(H):
                q_position, q_content = queries[:, b, t, h]
                ages = range(int(reach[b, t]) + 1)
                scores = torch.stack(
                    [
                        q_content @ keys_values[b, memory_length + t - age, 0, h]
                        + q_position @ positions[memory_length - age, h]
                        for age in ages
                    ]
                )
                values = torch.stack([keys_values[b, memory_length + t - age, 1, h] for age in ages])
                rows.append(torch.softmax(scores, dim=0) @ values)
    return torch.stack(rows).view(B, n_steps, H, D_HEAD)


def blockwise(queries, keys_values, positions, reach):
    return window_attention(queries, keys_values, positions, window_masks(reach, len(positions) - 1))


def dense(queries, keys_values, positions, reach):
    (mask,) = window_masks(reach, len(positions) - 1)
    return window_attention_dense(queries, keys_values, positions, mask)


@pytest.mark.parametrize(("form", "block_steps"), [(blockwise, 64), (blockwise, 2), (blockwise, 1), (dense, 64)])
@pytest.mark.parametrize(("n_steps", "memory_length"), [(1, 3), (5, 1), (4, 7), (7, 3)])
def test_equals_the_equations_written_out(form, block_steps, n_steps, memory_length, monkeypatch):
    monkeypatch.setattr(relative_attention, "BLOCK_STEPS", block_steps)
    tensors, reach = operands(n_steps, memory_length)
    expected = written_out(*tensors, reach)
    cotangent = torch.linspace(-1, 1, expected.numel(), dtype=torch.float64).view_as(expected)

    attended = form(*tensors, reach)

    torch.testing.assert_close(attended, expected, rtol=0, atol=1e-12)
    expected_grads = torch.autograd.grad(expected, tensors, cotangent)
    for grad, expected_grad in zip(torch.autograd.grad(attended, tensors, cotangent), expected_grads, strict=True):
        torch.testing.assert_close(grad, expected_grad, rtol=0, atol=1e-12)


def test_gradients_equal_finite_differences(monkeypatch):
    monkeypatch.setattr(relative_attention, "BLOCK_STEPS", 2)
    tensors, reach = operands(5, 3)
    assert torch.autograd.gradcheck(lambda *inputs: blockwise(*inputs, reach), tensors)


def test_reads_tensors_that_are_not_contiguous():
    tensors, reach = operands(5, 3)
    strided = [tensor.transpose(-1, -2).contiguous().transpose(-1, -2) for tensor in tensors]
    torch.testing.assert_close(blockwise(*strided, reach), blockwise(*tensors, reach), rtol=0, atol=1e-14)


def test_reach_counts_back_to_the_episode_s_first_step():
    count = torch.tensor([[0.0], [2.0]])
    assert steps_in_reach(count, 4, None, 3).tolist() == [[0, 1, 2, 3], [2, 3, 3, 3]]
    is_first = torch.tensor([[False, True, False, False], [False, False, False, True]])
    assert steps_in_reach(count, 4, is_first, 3).tolist() == [[0, 0, 1, 2], [2, 3, 3, 0]]


@pytest.mark.parametrize("n_features", [6, 7])
def test_sinusoids(n_features):
    table = sinusoid_table(5, n_features)
    half = (n_features + 1) // 2
    for p in range(5):
        for i in range(n_features):
            angle = torch.tensor(p * 10000.0 ** (-2 * (i % half) / n_features), dtype=torch.float64)
            expected = torch.sin(angle) if i < half else torch.cos(angle)
            torch.testing.assert_close(table[p, i], expected, rtol=0, atol=1e-12)
