"""Masked logits beside a distribution that knows the allowed actions alone, and spaces that are refused."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from ray.rllib.core.distribution.torch.torch_distribution import TorchCategorical, TorchMultiCategorical

from rllib_recattn.errors import SettingsError, validate
from rllib_recattn.inputs.input_settings import InputSettings
from rllib_recattn.inputs.masks import ActionMask, read_space

MASK = InputSettings(action_mask="mask")
SIZES = [[5], [4, 3, 2]]


def observations(n: int, **others: gym.Space) -> gym.spaces.Dict:
    return gym.spaces.Dict({"mask": gym.spaces.MultiBinary(n), "x": gym.spaces.Discrete(2), **others})


def actions(sizes: list[int]) -> gym.Space:
    return gym.spaces.Discrete(sizes[0]) if len(sizes) == 1 else gym.spaces.MultiDiscrete(sizes)


def distribution(logits: torch.Tensor, sizes: list[int]) -> Any:
    if len(sizes) == 1:
        return TorchCategorical.from_logits(logits)
    return TorchMultiCategorical.from_logits(logits, input_lens=sizes)


def draw_masks(sizes: list[int], *shape: int) -> torch.Tensor:
    parts = []
    for size in sizes:
        part = torch.rand(*shape, size) < 0.5
        part.scatter_(-1, torch.randint(size, (*shape, 1)), True)
        parts.append(part)
    return torch.cat(parts, -1)


def by_hand(logits: torch.Tensor, others: torch.Tensor, masks: torch.Tensor, taken: torch.Tensor, sizes: list[int]):
    """Log-probability, entropy and divergence of one step, sums over the allowed values only."""
    logp = entropy = kl = torch.zeros((), dtype=logits.dtype)
    begin = 0
    for component, size in enumerate(sizes):
        part = slice(begin, begin + size)
        allowed = masks[part].nonzero()[:, 0]
        p, q = (x[part][allowed] - torch.log(x[part][allowed].exp().sum()) for x in (logits, others))
        logp = logp + p[(allowed == taken[component]).nonzero()[0, 0]]
        entropy = entropy - (p.exp() * p).sum()
        kl = kl + (p.exp() * (p - q)).sum()
        begin += size
    return logp, entropy, kl


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("scale", [1.0, 65536.0])
def test_numbers_and_gradients_are_those_of_the_allowed_actions(sizes: list[int], scale: float) -> None:
    torch.manual_seed(0)
    n = sum(sizes)
    mask = ActionMask.of(observations(n), actions(sizes), MASK)
    assert mask is not None
    masks = draw_masks(sizes, 3, 7)
    logits = torch.randn(3, 7, n, requires_grad=True)
    others = torch.randn(3, 7, n, requires_grad=True)
    p, q = (distribution(mask.apply(x, {"mask": masks}), sizes) for x in (logits, others))
    taken = p.sample()
    results = [p.logp(taken), p.entropy(), p.kl(q)]
    flat = taken.reshape(21, -1)
    expected = [
        torch.stack(column).reshape(3, 7)
        for column in zip(
            *(
                by_hand(*rows, sizes)
                for rows in zip(logits.reshape(21, n), others.reshape(21, n), masks.reshape(21, n), flat, strict=True)
            ),
            strict=True,
        )
    ]
    for result, right in zip(results, expected, strict=True):
        torch.testing.assert_close(result, right)
        for leaf in (logits, others):
            gradients = [
                torch.autograd.grad(scale * x.sum(), leaf, retain_graph=True, allow_unused=True)[0]
                for x in (result, right)
            ]
            if gradients[1] is not None:
                torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=scale * 1e-6)
                assert (gradients[0][~masks] == 0).all()


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_forbidden_action_has_probability_0(sizes: list[int], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    mask = ActionMask.of(observations(sum(sizes)), actions(sizes), MASK)
    assert mask is not None
    masks = draw_masks(sizes, 50)
    logits = mask.apply(100 * torch.randn(50, sum(sizes)).to(dtype), {"mask": masks})
    for part, allowed in zip(logits.split(sizes, -1), masks.split(sizes, -1), strict=True):
        probabilities = torch.softmax(part.float(), -1)
        assert (probabilities[~allowed] == 0).all()
        torch.testing.assert_close(probabilities.sum(-1), torch.ones(50))


def test_a_choice_without_an_allowed_value_is_left_as_it_is() -> None:
    mask = ActionMask.of(observations(5), gym.spaces.MultiDiscrete([3, 2]), MASK)
    assert mask is not None
    logits = torch.randn(2, 5)
    masks = torch.tensor([[0, 0, 0, 1, 0], [0, 0, 0, 0, 0]])
    masked = mask.apply(logits, {"mask": masks})
    assert torch.equal(masked[0, :4], logits[0, :4])
    assert masked[0, 4] == -1e20
    assert torch.equal(masked[1], logits[1])
    assert mask.dead_ends({"mask": np.array([[0, 0, 0, 1, 0], [1, 0, 0, 1, 0]])}).tolist() == [True, False]


@pytest.mark.parametrize(
    ("observed", "acted", "key", "problem"),
    [
        (observations(3), gym.spaces.Box(-1, 1, (3,)), "mask", "cannot be masked"),
        (observations(3), gym.spaces.Tuple([gym.spaces.Discrete(3)]), "mask", "cannot be masked"),
        (gym.spaces.MultiBinary(3), gym.spaces.Discrete(3), "mask", "has no keys"),
        (observations(3), gym.spaces.Discrete(3), "maks", "did you mean 'mask'"),
        (observations(4), gym.spaces.Discrete(3), "mask", r"of shape \(3,\)"),
        (observations(4), gym.spaces.MultiDiscrete([3, 2]), "mask", r"shape \(5,\), 3 \+ 2,"),
        (observations(2), gym.spaces.Discrete(2), "x", "should be a MultiBinary, or a Box from 0 to 1"),
        (gym.spaces.Dict({"m": gym.spaces.Box(-1, 1, (2,))}), gym.spaces.Discrete(2), "m", "from 0 to 1"),
        (gym.spaces.Dict({"m": gym.spaces.MultiBinary(2)}), gym.spaces.Discrete(2), "m", "nothing else to observe"),
    ],
)
def test_wrong_masks_are_refused(observed: gym.Space, acted: gym.Space, key: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        ActionMask.of(observed, acted, InputSettings(action_mask=key))


def test_the_mask_is_read_where_that_is_asked_for() -> None:
    space = observations(3)
    assert list(read_space(space, MASK)) == ["x"]
    assert read_space(space, InputSettings(action_mask="mask", action_mask_as_input=True)) is space
    assert read_space(space, InputSettings()) is space
    with pytest.raises(SettingsError, match="there is no action_mask"):
        validate(InputSettings, {"action_mask_as_input": True}, "use_model")
