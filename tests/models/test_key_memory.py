"""AGaLiTe's key memory against the recurrence written out, its chunkwise form and finite differences."""

import pytest
import torch

from rllib_recattn.models.parts.gated_linear_attention import chunkwise
from rllib_recattn.models.parts.key_memory import read_key_memory

ROWS, HEADS, CHANNELS, KEYS = 2, 3, 2, 5


def operands(steps: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(steps)
    decay = torch.rand(ROWS, steps, HEADS, KEYS, generator=generator, dtype=torch.float64)
    decay[0, steps // 2] = 0  # a step that forgets
    write, query = torch.randn(2, ROWS, steps, HEADS, KEYS, generator=generator, dtype=torch.float64)
    channels = torch.randn(ROWS, steps, CHANNELS, generator=generator, dtype=torch.float64)
    initial = torch.randn(ROWS, HEADS, CHANNELS, KEYS, generator=generator, dtype=torch.float64)
    return [x.requires_grad_(x is not channels) for x in (decay, write, query, channels, initial)]


def written_out(decay, write, query, channels, initial):
    memory, outputs = initial, []
    for t in range(write.shape[1]):
        memory = decay[:, t, :, None] * memory + torch.einsum("bj,bhk->bhjk", channels[:, t], write[:, t])
        outputs.append(torch.einsum("bhjk,bhk->bhj", memory, query[:, t]))
    return torch.stack(outputs, dim=1), memory


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_equals_the_recurrence_written_out(steps):
    tensors = operands(steps)
    differentiable = [x for x in tensors if x.requires_grad]
    results = {}
    for form in (written_out, read_key_memory):
        output, memory = form(*tensors)
        loss = (output * torch.arange(output.numel()).view_as(output)).sum() + memory.square().sum()
        results[form] = [output, memory, *torch.autograd.grad(loss, differentiable)]
    for ours, expected in zip(results[read_key_memory], results[written_out], strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 4])
def test_gradients_equal_finite_differences(steps):
    assert torch.autograd.gradcheck(read_key_memory, operands(steps))


def test_the_chunkwise_form_computes_the_same():
    decay, write, query, channels, initial = operands(11)
    values = channels.unsqueeze(2).expand(-1, -1, HEADS, -1)
    output, memory = chunkwise(query, write, values, decay, initial.mT, chunk_size=4)
    torch.testing.assert_close((output, memory.mT), read_key_memory(decay, write, query, channels, initial))


def test_without_gradients_nothing_is_kept_and_the_initial_memory_is_left_alone():
    tensors = operands(6)
    expected = read_key_memory(*tensors)
    before = tensors[-1].detach().clone()
    with torch.no_grad():
        torch.testing.assert_close(read_key_memory(*[x.detach() for x in tensors]), expected, rtol=0, atol=0)
    torch.testing.assert_close(tensors[-1].detach(), before, rtol=0, atol=0)
