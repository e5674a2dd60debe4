"""The linear recurrence, against a recurrence written out and against finite differences."""

import pytest
import torch

from rllib_recattn.models.parts.scan import linear_recurrence, linear_recurrence_doubling

FORMS = [linear_recurrence, linear_recurrence_doubling]


def operands(steps: int, decay_shape: tuple[int, ...] = (1, 4), update_shape: tuple[int, ...] = (3, 4)):
    generator = torch.Generator().manual_seed(steps)
    decay = torch.rand(2, steps, *decay_shape, generator=generator, dtype=torch.float64)
    update = torch.randn(2, steps, *update_shape, generator=generator, dtype=torch.float64)
    initial = torch.randn(2, *update_shape, generator=generator, dtype=torch.float64)
    return [tensor.requires_grad_() for tensor in (decay, update, initial)]


def written_out(decay, update, initial):
    h, steps = initial, []
    for t in range(update.shape[1]):
        h = decay[:, t] * h + update[:, t]
        steps.append(h)
    return torch.stack(steps, dim=1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("steps", [1, 2, 3, 8, 13])
@pytest.mark.parametrize("decay_shape", [(1, 4), (3, 4)])
def test_equals_the_recurrence_written_out(form, steps, decay_shape):
    tensors = operands(steps, decay_shape)
    expected = written_out(*tensors)
    cotangent = torch.linspace(-1, 1, expected.numel(), dtype=torch.float64).view_as(expected)

    h = form(*tensors)

    torch.testing.assert_close(h, expected, rtol=0, atol=1e-12)
    expected_grads = torch.autograd.grad(expected, tensors, cotangent)
    for grad, expected_grad in zip(torch.autograd.grad(h, tensors, cotangent), expected_grads, strict=True):
        torch.testing.assert_close(grad, expected_grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("steps", [1, 6])
def test_gradients_equal_finite_differences(form, steps):
    assert torch.autograd.gradcheck(form, operands(steps))


def test_reads_tensors_that_are_not_contiguous():
    decay, update, initial = operands(7, (3, 4))
    transposed = [tensor.transpose(-1, -2) for tensor in (decay, update, initial)]
    torch.testing.assert_close(
        linear_recurrence(*transposed), linear_recurrence(decay, update, initial).transpose(-1, -2), rtol=0, atol=0
    )


def test_inputs_are_left_as_they_were():
    tensors = operands(5)
    before = [tensor.detach().clone() for tensor in tensors]
    linear_recurrence(*tensors).sum().backward()
    for tensor, copy in zip(tensors, before, strict=True):
        torch.testing.assert_close(tensor.detach(), copy, rtol=0, atol=0)
