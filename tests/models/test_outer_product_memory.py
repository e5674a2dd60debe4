"""The walk through the outer-product memory against the recurrence written out, and how much it keeps."""

import math

import pytest
import torch

from rllib_recattn.models.parts.outer_product_memory import outer_product_memory

ROWS, HEADS, D_VALUE, D_KEY = 2, 2, 3, 5


def operands(steps, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    values, keys = (ROWS, steps, HEADS, D_VALUE), (ROWS, steps, HEADS, D_KEY)
    gates = [torch.rand(shape, generator=generator, dtype=dtype) for shape in (values, keys)]
    shapes = (values, keys, keys, (ROWS, HEADS, D_VALUE, D_KEY))
    others = [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]
    return [tensor.requires_grad_() for tensor in (*gates, *others)]


def firsts(steps, with_resets):
    return torch.rand(ROWS, steps, generator=torch.Generator().manual_seed(4)) < 0.3 if with_resets else None


def written_out(value_gate, key_gate, value, key, query, memory, is_first):
    reads = []
    for t in range(value.shape[1]):
        if is_first is not None:
            memory = memory * ~is_first[:, t, None, None, None]
        gate = torch.einsum("bhi,bhj->bhij", value_gate[:, t], key_gate[:, t])
        memory = (1 - gate) * memory + torch.einsum("bhi,bhj->bhij", value[:, t], key[:, t])
        reads.append(torch.einsum("bhij,bhj->bhi", memory, query[:, t]))
    return torch.stack(reads, dim=1), memory


# 1: the one-step form; 2: chunks of 2, 1 of them; 9: 3 full chunks; 11: the last chunk is not full.
@pytest.mark.parametrize("steps", [1, 2, 9, 11])
@pytest.mark.parametrize("with_resets", [False, True])
def test_equals_the_recurrence_written_out(steps, with_resets):
    tensors, is_first = operands(steps), firsts(steps, with_resets)
    results = outer_product_memory(*tensors, is_first)
    expected = written_out(*tensors, is_first)
    cotangents = [torch.linspace(-1, 1, r.numel(), dtype=torch.float64).view_as(r) for r in expected]

    for ours, theirs in zip(results, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    expected_grads = torch.autograd.grad(expected, tensors, cotangents)
    for ours, theirs in zip(torch.autograd.grad(results, tensors, cotangents), expected_grads, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("with_resets", [False, True])
def test_gradients_equal_finite_differences(steps, with_resets):
    is_first = firsts(steps, with_resets)
    assert torch.autograd.gradcheck(lambda *tensors: outer_product_memory(*tensors, is_first), operands(steps))


def test_a_second_backward_pass_gives_the_same_gradients():
    tensors, is_first = operands(7), firsts(7, True)
    reads, memory = outer_product_memory(*tensors, is_first)
    loss = reads.square().sum() + memory.square().sum()
    once = torch.autograd.grad(loss, tensors, retain_graph=True)
    twice = torch.autograd.grad(loss, tensors)
    for first, second in zip(once, twice, strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_reads_tensors_that_are_not_contiguous_and_leaves_them_as_they_were():
    tensors = [tensor.detach() for tensor in operands(6)]
    flipped = [tensor.transpose(-1, -2).contiguous().transpose(-1, -2).requires_grad_() for tensor in tensors]
    before = [tensor.detach().clone() for tensor in flipped]

    results = outer_product_memory(*flipped)
    sum(result.sum() for result in results).backward()

    for ours, theirs in zip(results, outer_product_memory(*tensors), strict=True):
        torch.testing.assert_close(ours.detach(), theirs, rtol=0, atol=0)
    for tensor, copy in zip(flipped, before, strict=True):
        torch.testing.assert_close(tensor.detach(), copy, rtol=0, atol=0)


@pytest.mark.parametrize("steps", [16, 64])
def test_a_memory_is_kept_for_the_backward_pass_only_every_root_t_steps(steps):
    tensors = operands(steps)
    size = ROWS * HEADS * D_VALUE * D_KEY
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        outer_product_memory(*tensors)
    inputs = sum(tensor.numel() for tensor in tensors[:-1])
    assert sum(kept) == inputs + math.isqrt(steps) * size


def test_nothing_is_kept_where_no_gradient_is_wanted():
    tensors = [tensor.detach() for tensor in operands(16)]
    reads, memory = outer_product_memory(*tensors)
    assert reads.grad_fn is None
    assert memory.grad_fn is None
