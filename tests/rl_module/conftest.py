"""The cases that every test of the RLlib modules runs over."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["discrete", "box"])
def action_space(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=[True, False], ids=["shared", "separate"])
def vf_share_layers(request: pytest.FixtureRequest) -> bool:
    return request.param
