"""Large products by oneDNN against PyTorch's own, in float64."""

import pytest
import torch

from rllib_recattn.models.parts import linear as linear_module
from rllib_recattn.models.parts.linear import LARGE, Linear, linear

ROWS, INPUTS, OUTPUTS = 300, 64, 96
needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch without oneDNN")


@pytest.fixture
def products(monkeypatch):
    """The shapes of all products that oneDNN makes."""
    shapes, onednn = [], linear_module._onednn

    def note(a, b, bias=None):
        shapes.append((*a.shape, b.shape[0]))
        return onednn(a, b, bias)

    monkeypatch.setattr(linear_module, "_onednn", note)
    return shapes


def operands(bias: bool, generator: torch.Generator) -> list[torch.Tensor]:
    shapes = [(ROWS // 3, 3, INPUTS), (OUTPUTS, INPUTS), (OUTPUTS,)][: 3 if bias else 2]
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


def strided(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(0, 1)


def part(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x, x], dim=-1)[..., 1 : 1 + INPUTS]


@needs_onednn
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("view", [torch.clone, strided, part])
@pytest.mark.parametrize("loss", [lambda y: (y * y.detach().cos()).sum(), torch.sum])
def test_outputs_and_gradients_are_pytorchs(products, generator, bias, view, loss):
    tensors = operands(bias, generator)
    y = linear(view(tensors[0]), *tensors[1:])
    grads = torch.autograd.grad(loss(y), tensors)

    doubles = [x.detach().double().requires_grad_() for x in tensors]
    expected = torch.nn.functional.linear(view(doubles[0]), *doubles[1:])
    expected_grads = torch.autograd.grad(loss(expected), doubles)

    assert products == [(ROWS, INPUTS, OUTPUTS), (ROWS, OUTPUTS, INPUTS), (OUTPUTS, ROWS, INPUTS)]
    torch.testing.assert_close(y.double(), expected, rtol=1e-4, atol=1e-4)
    for grad, other in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(grad.double(), other, rtol=1e-4, atol=1e-3)


@needs_onednn
@pytest.mark.parametrize(("index", "n_products"), [(0, 2), (1, 2), (2, 1)])
def test_only_what_is_asked_for_is_multiplied(products, generator, index, n_products):
    tensors = [x.requires_grad_(i == index) for i, x in enumerate(operands(True, generator))]
    linear(*tensors).sum().backward()
    assert len(products) == n_products


def test_small_and_float64_products_are_left_to_pytorch(products, generator):
    rows = LARGE // (INPUTS * OUTPUTS) - 1
    layer = Linear(INPUTS, OUTPUTS)
    layer(torch.randn(rows, INPUTS, generator=generator)).sum().backward()
    layer.double()(torch.randn(ROWS, INPUTS, generator=generator, dtype=torch.float64)).sum().backward()
    assert products == []


def test_mixed_precision_is_pytorchs_but_for_the_dtype_of_what_comes_out(products, generator):
    layer, x = Linear(INPUTS, OUTPUTS), torch.randn(ROWS, INPUTS, generator=generator)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = torch.nn.functional.linear(x, layer.weight, layer.bias)
        assert expected.dtype == torch.bfloat16
        torch.testing.assert_close(layer(x), expected.float(), rtol=0, atol=0)
    assert products == []


def test_an_exported_graph_has_public_operations_only(generator):
    x = torch.randn(ROWS, INPUTS, generator=generator)
    layer = Linear(INPUTS, OUTPUTS)
    program = torch.export.export(layer, (x,))
    assert {str(node.target) for node in program.graph.nodes if node.op == "call_function"} == {"aten.linear.default"}
    torch.testing.assert_close(program.module()(x), layer(x), rtol=1e-4, atol=1e-4)
