"""Observations of every space as vectors: what they become, and that steps never see each other."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
import tree
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from ray.rllib.utils.spaces.space_utils import batch
from ray.rllib.utils.torch_utils import convert_to_torch_tensor

from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.input_settings import WITHOUT_MLP, encoder_settings
from rllib_recattn.inputs.tokenizer import Tokenizer
from tests.rl_module.inputs.random_env import MORE_OBSERVATIONS, OBSERVATIONS

SPACES = OBSERVATIONS | MORE_OBSERVATIONS
IMAGES = [name for name in SPACES if "image" in name] + ["Dict"]
ROWS, STEPS = 2, 3


def samples(space, seed=0):
    """Observations [B, T, …] as RLlib hands them to a module, and as a list of lists."""
    space.seed(seed)
    single = [[space.sample() for _ in range(STEPS)] for _ in range(ROWS)]
    return convert_to_torch_tensor(batch([batch(row) for row in single])), single


def tokenizer(space, encoder="auto"):
    torch.manual_seed(0)
    return Tokenizer(space, encoder_settings(encoder))


@pytest.mark.parametrize("name", [name for name in SPACES if name not in IMAGES])
def test_what_is_no_image_becomes_what_gymnasium_makes_of_it(name):
    space = SPACES[name]
    observations, single = samples(space)
    tokens = tokenizer(space, WITHOUT_MLP)(observations)
    expected = np.stack([[gym.spaces.flatten(space, observation) for observation in row] for row in single])
    expected = expected / (255 if name == "bytes" else 1)
    assert tokens.dtype == torch.float32
    np.testing.assert_allclose(tokens.numpy(), expected.reshape(ROWS, STEPS, -1), rtol=1e-6)


@pytest.mark.parametrize("encoder", ["auto", "mlp", "cnn", "impala_cnn"])
@pytest.mark.parametrize("name", SPACES)
def test_steps_are_encoded_each_for_itself(name, encoder):
    if encoder.endswith("cnn") and name not in IMAGES:
        with pytest.raises(SettingsError, match="has no image"):
            tokenizer(SPACES[name], encoder)
        return
    module = tokenizer(SPACES[name], encoder)
    observations, _ = samples(SPACES[name])
    tokens = module(observations)
    assert tokens.shape == (ROWS, STEPS, module.output_dim)
    one = module(tree.map_structure(lambda x: x[1:, 2:], observations))
    torch.testing.assert_close(one[0, 0], tokens[1, 2])
    other = module(samples(SPACES[name], seed=1)[0])
    assert not torch.equal(other, tokens)
    for parameter in module.parameters():
        (gradient,) = torch.autograd.grad(module(observations).square().sum(), parameter)
        assert gradient.isfinite().all()


@pytest.mark.parametrize("name", IMAGES)
def test_images_of_bytes_are_read_as_numbers_from_0_to_1(name):
    space = SPACES[name]
    observations, _ = samples(space)
    seen = []
    module = tokenizer(space)
    convolution = next(m for m in module.modules() if isinstance(m, torch.nn.Conv2d))
    convolution.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    module(observations)
    (image,) = seen
    original = observations["image"] if name == "Dict" else observations
    expected = original.reshape(ROWS * STEPS, *original.shape[2:]).numpy().astype(np.float64)
    expected = expected / (1 if name == "float image" else 255)
    if expected.ndim == 3:
        expected = expected[..., None]
    np.testing.assert_allclose(image.permute(0, 2, 3, 1).numpy(), expected, rtol=1e-6)
    assert 0.5 < image.max() <= 1


def test_bounds_say_what_1_is():
    high = np.full((3, 3, 2), 10, np.uint8)
    high[..., 1] = 5
    space = Box(np.zeros_like(high), high, dtype=np.uint8)
    module = tokenizer(space)
    seen = []
    next(m for m in module.modules() if isinstance(m, torch.nn.Conv2d)).register_forward_hook(
        lambda module, inputs, output: seen.append(inputs[0])
    )
    module(torch.as_tensor(high)[None, None])
    torch.testing.assert_close(seen[0], torch.ones(1, 2, 3, 3))


@pytest.mark.parametrize(
    ("side", "kernels", "strides"),
    [(84, [8, 4, 3], [4, 2, 1]), (7, [3, 3, 3], [1, 1, 1]), (56, [8, 4, 3], [4, 2, 1]), (2, [2, 1, 1], [1, 1, 1])],
)
def test_kernels_fit_the_size_of_an_image(side, kernels, strides):
    module = tokenizer(Box(0, 255, (side, side + 1, 3), np.uint8))
    convolutions = [m for m in module.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [c.kernel_size[0] for c in convolutions] == kernels
    assert [c.stride[0] for c in convolutions] == strides


def test_impala_is_the_published_network():
    # 15 convolutions in 3 sections of 16, 32, 32 channels and a linear layer of 256; IMPALA, figure 3.
    module = tokenizer(Box(0, 255, (72, 96, 3), np.uint8), "impala_cnn")
    convolutions = [m for m in module.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [16] * 5 + [32] * 10
    (linear,) = (m for m in module.modules() if isinstance(m, torch.nn.Linear))
    assert (linear.in_features, linear.out_features) == (9 * 12 * 32, 256)


def test_settings_shape_the_encoders():
    module = tokenizer(SPACES["Dict"], {"type": "cnn", "widths": [3, 5], "output_dim": 6, "activation": "tanh"})
    assert [m.out_channels for m in module.modules() if isinstance(m, torch.nn.Conv2d)] == [3, 5]
    assert module.output_dim == 6 + 2 + 3 + 4 + 4
    assert not [m for m in module.modules() if isinstance(m, torch.nn.ReLU)]
    module = tokenizer(SPACES["Dict"], {"type": "mlp", "widths": [7, 9], "activation": "elu"})
    linear = [(m.in_features, m.out_features) for m in module.modules() if isinstance(m, torch.nn.Linear)]
    assert linear == [(60 + 2 + 3 + 4 + 4, 7), (7, 9)]
    assert module.output_dim == 9


def test_a_padded_step_outside_the_space_does_no_harm():
    module = tokenizer(Discrete(3, start=5))
    assert module(torch.tensor([[5, 7, 0]])).tolist() == [[[1, 0, 0], [0, 0, 1], [0, 0, 0]]]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (gym.spaces.Text(5), "it should be Box, Discrete, MultiDiscrete or MultiBinary"),
        (Dict({"a": Discrete(2), "b": Tuple((gym.spaces.Sequence(Discrete(2)),))}), r"Sequence\(.*\) at 'b.0' should"),
        (gym.spaces.Graph(Box(-1, 1, (2,)), None), "it should be Box"),
        (gym.spaces.OneOf((Discrete(2), MultiBinary(2))), "it should be Box"),
        (Dict({"empty": Box(0, 1, (0, 3))}), "at 'empty' should have at least one number"),
        (Dict({}), "should have something to observe"),
    ],
)
def test_other_spaces_are_refused(space, message):
    with pytest.raises(SettingsError, match=f"observation space .*: .*{message}"):
        tokenizer(space)


def test_a_multidiscrete_space_of_several_dimensions_is_flattened():
    space = MultiDiscrete(np.array([[2, 3], [4, 2]]), start=np.array([[0, 1], [2, 3]]))
    observations, single = samples(space)
    expected = [[gym.spaces.flatten(space, observation) for observation in row] for row in single]
    np.testing.assert_array_equal(tokenizer(space)(observations).numpy(), expected)


def test_an_mlp_takes_all_but_images():
    space = Dict({"image": Box(0, 255, (12, 12, 3), np.uint8), "numbers": Box(-1, 1, (5,)), "kind": Discrete(4)})
    module = tokenizer(space, {"type": "auto", "widths": [7, 6], "activation": "tanh"})
    observations, _ = samples(space)
    tokens = module(observations)
    assert [layer.in_features for layer in module.encoder.mlp[::2]] == [5 + 4, 7]
    assert tokens.shape == (ROWS, STEPS, module.output_dim)
    assert module.output_dim == 6 + tokenizer(space["image"]).output_dim
    numbers, image = tokens.split([6, module.output_dim - 6], dim=-1)
    changed = module({**observations, "image": observations["image"] ^ 255})
    torch.testing.assert_close(changed[..., :6], numbers)
    assert not torch.allclose(changed[..., 6:], image)
    changed = module({**observations, "numbers": observations["numbers"] + 1})
    torch.testing.assert_close(changed[..., 6:], image)


@pytest.mark.parametrize(
    ("space", "size"),
    [
        (Box(-1, 1, (5,)), 64),
        (MultiBinary(5), 64),
        (Dict({"numbers": Box(-1, 1, (5,)), "kind": Discrete(4)}), 64),
        (Discrete(4), 4),
        (Tuple([Discrete(4), MultiDiscrete([2, 3])]), 9),
    ],
)
def test_an_mlp_stands_behind_numbers_and_not_behind_what_is_discrete_alone(space, size):
    module = tokenizer(space)
    assert module.output_dim == size
    assert bool(module.encoder.mlp) == (size == 64)


def test_an_mlp_for_all_but_images_leaves_a_lone_image_alone():
    space = Box(0, 255, (12, 12, 3), np.uint8)
    observations, _ = samples(space)
    plain, with_widths = tokenizer(space), tokenizer(space, {"type": "auto", "widths": [7]})
    torch.testing.assert_close(with_widths(observations), plain(observations))
