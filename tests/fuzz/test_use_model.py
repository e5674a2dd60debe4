"""``use_model`` and ``build_model`` with any keyword and any value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ray.rllib.algorithms.ppo import PPOConfig

import rllib_recattn as ra
from rllib_recattn.models.registry import model_names, settings_of
from rllib_recattn.rl_module.recurrence import RecurrenceSettings
from tests.fuzz.mutations import UNKNOWN_KEY, values
from tests.fuzz.outcome import is_refused, taken_or_refused
from tests.fuzz.profiles import FEW, MANY

# Sizes that a machine can build are few; whether larger ones are refused is no question of settings.
_SIZES = ("d_model", "n_layers", "n_heads", "d_head", "d_ffc", "memory_len", "eta", "r", "input_dim", "max_seq_len")


@st.composite
def _keywords(draw: st.DrawFn, others: tuple[str, ...]) -> tuple[Any, dict[str, Any]]:
    """Draw a model's name, sometimes something else, and keywords, most of them its own."""
    model = draw(st.one_of(*[st.sampled_from(model_names())] * 4, values))
    own = tuple(settings_of(model).model_fields) if isinstance(model, str) and model in model_names() else ()
    names = st.sampled_from(sorted({*own, *others, UNKNOWN_KEY}))
    return model, draw(st.dictionaries(names, values, max_size=3))


def _use(model: Any, keywords: dict[str, Any]) -> None:
    def use() -> PPOConfig:
        return ra.use_model(PPOConfig().environment("CartPole-v1"), model, **keywords)

    outcome = taken_or_refused(use, "")
    if UNKNOWN_KEY in keywords:
        assert is_refused(outcome)
        assert UNKNOWN_KEY in outcome or "model" in outcome


use_model_keywords = _keywords((*RecurrenceSettings.model_fields, "policies"))


@given(use_model_keywords)
@example(("lstm", {"encoder": {"type": "os:system"}}))
@example(("lstm", {"encoder": "torch:os.system"}))
@example(("antigravity:lstm", {}))
@example(("lstm", {"d_model": 10**400}))
@example(("k" * 3000, {}))
@FEW
def test_use_model_takes_or_refuses_any_keyword(case: tuple[Any, dict[str, Any]]) -> None:
    _use(*case)


@given(use_model_keywords)
@MANY
@pytest.mark.slow
def test_use_model_takes_or_refuses_many(case: tuple[Any, dict[str, Any]]) -> None:
    _use(*case)


@given(_keywords(()), values)
@FEW
def test_build_model_takes_or_refuses_any_keyword(case: tuple[Any, dict[str, Any]], input_dim: Any) -> None:
    model, keywords = case
    small = {key: value for key, value in keywords.items() if not (type(value) is int and value > 64)}

    def build() -> Any:
        return ra.build_model(model, input_dim=4 if type(input_dim) is int and input_dim > 64 else input_dim, **small)

    outcome = taken_or_refused(build, "")
    if UNKNOWN_KEY in small:
        assert is_refused(outcome)
