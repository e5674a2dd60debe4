"""What PyTorch keeps to itself is still there.

A new version of PyTorch that breaks one of the functions fails here with the sentence that a user would read.
"""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from rllib_recattn import private_names
from rllib_recattn.models import torch_internals
from rllib_recattn.private_names import MissingNameError
from rllib_recattn.tested_versions import UntestedVersionWarning


def test_parameters_of():
    module = nn.Linear(2, 3)
    own = torch_internals.parameters_of(module)
    module.weight = nn.Parameter(torch.zeros(3, 2))
    assert own["weight"] is module.weight


def test_buffers_of():
    module = nn.BatchNorm1d(3)
    own = torch_internals.buffers_of(module)
    module.running_mean = torch.ones(3)
    assert own["running_mean"] is module.running_mean


def test_children_of():
    module = nn.Sequential(nn.Linear(2, 3))
    own = torch_internals.children_of(module)
    module[0] = nn.ReLU()
    assert own["0"] is module[0]


def test_hooks_of():
    module = nn.Linear(2, 3)
    hooks = torch_internals.hooks_of(module)
    assert not any(hooks)
    module.register_forward_hook(print)
    module.register_forward_pre_hook(print)
    module.register_full_backward_hook(print)
    module.register_full_backward_pre_hook(print)
    assert all(hooks)


def test_global_hook_check():
    is_any = torch_internals.global_hook_check()
    assert not is_any()
    handle = nn.modules.module.register_module_forward_hook(print)
    assert is_any()
    handle.remove()


def test_onednn_linear():
    if not torch.backends.mkldnn.is_available():
        pytest.skip("PyTorch without oneDNN")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        linear = torch_internals.onednn_linear()
    x, weight, bias = torch.randn(4, 5), torch.randn(3, 5), torch.randn(3)
    torch.testing.assert_close(linear(x, weight, bias), nn.functional.linear(x, weight, bias))


@pytest.mark.parametrize("override", torch_internals.OVERRIDES, ids=lambda override: override.name)
def test_methods_that_are_replaced_are_there(override):
    override.check()


def test_what_is_gone_is_named(monkeypatch):
    """As a new version of PyTorch would have it."""
    for function in (torch_internals.parameters_of, torch_internals.children_of, torch_internals.hooks_of):
        with pytest.raises(MissingNameError, match=r"SimpleNamespace has no _\w+, which rllib_recattn needs to "):
            function(SimpleNamespace())
    monkeypatch.setattr(private_names, "importlib", SimpleNamespace(import_module=lambda module: SimpleNamespace()))
    with pytest.raises(MissingNameError, match="has no _has_any_global_hook, which rllib_recattn needs to "):
        torch_internals.global_hook_check()


def test_models_do_without_onednn_and_say_so(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace())
    with pytest.warns(UntestedVersionWarning, match="has no _linear_pointwise, which .* it goes on without"):
        assert torch_internals.onednn_linear() is None
