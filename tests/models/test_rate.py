"""RATE's properties: what sees what, when the memory changes, and by which formula."""

import pytest
import torch
from torch import Tensor

from rllib_recattn.models.rate import RATE, MemoryRetentionValve, RATESettings

K, N = 4, 2


def model(**settings) -> RATE:
    torch.manual_seed(0)
    sizes = {"d_model": 8, "n_layers": 2, "n_heads": 2, "d_head": 4, "segment_length": K, "n_memory_tokens": N}
    return RATESettings(**(sizes | settings)).build(5).double()


def inputs(rows: int, steps: int) -> Tensor:
    return torch.randn(rows, steps, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def lives(rate: RATE, x: Tensor) -> list[dict[str, Tensor]]:
    """The state after each step of x [B, T, D_in], read one at a time."""
    state, states = rate.initial_state(x.shape[0]), []
    for step in x.split(1, dim=1):
        _, state = rate(step, state)
        states.append(rate.state_layout.unpack(state))
    return states


@pytest.mark.parametrize("residual", ["gated", "sum"])
def test_a_step_sees_all_steps_before_it_and_none_after_it(residual):
    rate, x = model(residual=residual), inputs(1, 3 * K).requires_grad_()
    y, _ = rate(x, rate.initial_state(1))
    cotangent = torch.linspace(-1, 2, 8, dtype=torch.float64)
    for t in range(3 * K):
        (grad,) = torch.autograd.grad(y[0, t] @ cotangent, x, retain_graph=True)
        seen = grad[0].abs().sum(-1) > 0
        assert seen.tolist() == [s <= t for s in range(3 * K)]


def test_the_memory_changes_only_when_a_segment_ends():
    rate = model()
    states = lives(rate, inputs(2, 3 * K))
    before = rate.initial_state(2)[:, : N * 8].view(2, N, 8)
    for t, state in enumerate(states):
        changed = (state["memory"] != before).any(dim=-1)
        assert (changed == ((t + 1) % K == 0)).all()
        before = state["memory"]
    assert [state["position"][0].item() for state in states[: K + 1]] == [1, 2, 3, 0, 1]
    assert [state["written"][0].item() for state in states[: K + 1]] == [0, 0, 0, 1, 1]


def test_the_slots_hold_the_current_segment_and_are_empty_at_its_start():
    for t, state in enumerate(lives(model(), inputs(2, 2 * K))):
        taken = (state["layers.1.slots"] != 0).any(dim=-1)
        begun = (t + 1) % K
        expected = [begun > 0] * N + [slot < begun for slot in range(K)]
        assert taken.tolist() == [expected] * 2


def test_the_size_of_the_state():
    rate = model()
    assert rate.state_size == N * 8 + 1 + 1 + 2 * (N + K) * 8


def test_the_valve_is_attention_of_the_old_memory_to_what_was_written():
    valve = MemoryRetentionValve(d_model=2, n_heads=1, d_head=2)
    weights = {
        "query": [[1.0, 0.0], [0.0, 1.0]],
        "key": [[0.0, 1.0], [1.0, 0.0]],
        "value": [[1.0, 0.0], [0.0, 3.0]],
        "output": [[1.0, 0.0], [0.0, 0.5]],
    }
    with torch.no_grad():
        for name, weight in weights.items():
            getattr(valve.attention, name).weight.copy_(torch.tensor(weight))
        valve.attention.output.bias.copy_(torch.tensor([0.25, 0.0]))
    memory = torch.tensor([[[2.0, 0.0], [0.0, 0.0]]])
    # LayerNorm makes (1, −1) and (−1, 1) of these, relu (1, 0) and (0, 1): the keys are (0, 1) and (1, 0), the values
    # (1, 0) and (0, 3). The first query, (2, 0), scores 0 and 2 / √2; the second is indifferent.
    written = torch.tensor([[[5.0, 1.0], [2.0, 6.0]]])

    new = valve(memory, written)

    p = torch.softmax(torch.tensor([0.0, 2.0**0.5]), dim=0)
    expected = torch.stack([torch.stack([p[0] + 0.25, 1.5 * p[1]]), torch.tensor([0.75, 0.75])])
    torch.testing.assert_close(new[0], expected, rtol=0, atol=1e-5)


def test_information_reaches_later_segments_through_the_memory_alone():
    rate, x = model(), inputs(1, 5 * K)
    _, state = rate(x[:, :K], rate.initial_state(1))
    state = state.detach().requires_grad_()
    y, _ = rate(x[:, K:], state)

    (grad,) = torch.autograd.grad(y[:, -K:].sum(), state)

    parts = rate.state_layout.unpack(grad)
    assert (parts["memory"].abs() > 0).all()
    assert all((part == 0).all() for name, part in parts.items() if name != "memory")


def test_nothing_reaches_later_segments_without_the_memory():
    rate, x = model(), inputs(1, 5 * K)
    _, state = rate(x[:, :K], rate.initial_state(1))
    parts = rate.state_layout.unpack(state)
    cut = rate.state_layout.pack(
        parts | {"memory": torch.zeros_like(parts["memory"]), "written": torch.zeros_like(parts["written"])}
    )
    y, _ = rate(x[:, K:], cut)
    fresh, _ = rate(x[:, K:], rate.initial_state(1))
    torch.testing.assert_close(y, fresh, rtol=0, atol=0)
    remembering, _ = rate(x[:, K:], state)
    assert (remembering[:, -K:] - fresh[:, -K:]).abs().max() > 1e-4


@pytest.mark.parametrize("steps", [1, 3, K, 2 * K + 3])
def test_rows_may_stand_at_different_positions(steps):
    rate, x = model(), inputs(2 * K, steps)
    states = [rate(inputs(1, row), rate.initial_state(1))[1] if row else rate.initial_state(1) for row in range(2 * K)]
    y, after = rate(x, torch.cat(states))
    for row, state in enumerate(states):
        y_row, after_row = rate(x[row : row + 1], state)
        torch.testing.assert_close(y[row : row + 1], y_row, rtol=0, atol=1e-12)
        torch.testing.assert_close(after[row : row + 1], after_row, rtol=0, atol=1e-12)


def test_an_unfinished_segment_of_an_episode_leaves_nothing_in_the_next():
    rate, x = model(), inputs(1, 3 * K)
    is_first = torch.zeros(1, 3 * K)
    is_first[0, [K + 1, K + 2, 2 * K - 1]] = 1
    y, state = rate(x, rate.initial_state(1), is_first)
    fresh, fresh_state = rate(x[:, 2 * K - 1 :], rate.initial_state(1))
    torch.testing.assert_close(y[:, 2 * K - 1 :], fresh, rtol=0, atol=1e-12)
    torch.testing.assert_close(state, fresh_state, rtol=0, atol=1e-12)


def written_out(rate: RATE, x: Tensor) -> Tensor:
    """One row's life, a segment at a time over [m ; segment ; m'], with attention as textbooks have it."""

    def attend(attention, h, slots, hidden):
        split = lambda y: y.unflatten(-1, (attention.n_heads, -1)).transpose(0, 1)  # noqa: E731
        query, key, value = split(attention.query(h)), split(attention.key(slots)), split(attention.value(slots))
        scores = (query @ key.mT / query.shape[-1] ** 0.5).masked_fill(hidden, -torch.inf)
        return attention.output((scores.softmax(-1) @ value).transpose(0, 1).flatten(1))

    read, step, write = range(N), range(N, N + K), range(N + K, N + K + N)
    hidden = torch.ones(N + K + N, N + K + N, dtype=torch.bool)
    for token in (*read, *step, *write):
        for slot in (*read, *step, *write):
            hidden[token, slot] = not (slot in read or token in write or (token in step and slot <= token))
    memory, outputs = rate.first_memory, []
    for segment in torch.relu(rate.embedding(x)).split(K):
        h = torch.cat([memory, segment, memory]) + rate.slot_embedding
        for block in rate.layers:
            normed = block.mixer_norm(h)
            h = block.mixer_gate(h, torch.relu(attend(block.mixer.attention, normed, normed, hidden)))
            h = block.feedforward_gate(h, torch.relu(block.feedforward(h)))
        outputs.append(h[N : N + K])
        slots = torch.relu(rate.valve.norm(h[N + K :]))
        memory = attend(rate.valve.attention, memory, slots, torch.zeros(N, N, dtype=torch.bool))
    return torch.cat(outputs)


@pytest.mark.another_implementation("rate")
def test_equals_the_transformer_over_whole_segments_written_out():
    rate, x = model(residual="gated"), inputs(1, 4 * K)
    expected = written_out(rate, x[0])
    torch.testing.assert_close(rate(x, rate.initial_state(1))[0][0], expected, rtol=0, atol=1e-12)


def test_the_valve_starts_by_keeping_what_was_written():
    torch.manual_seed(0)
    valve = MemoryRetentionValve(d_model=64, n_heads=2, d_head=32)
    written = torch.randn(1, 5, 64)
    slots = torch.relu(valve.norm(written))[0]
    new = valve(written, written)[0]
    similarity = torch.cosine_similarity(new[:, None], slots[None], dim=-1)
    assert (similarity.argmax(dim=-1) == torch.arange(5)).all()
    assert (similarity.diagonal() > 0.95).all()
