"""What is set for Ray while an experiment runs."""

from __future__ import annotations

import json

from ray.tune.utils.serialization import TuneFunctionEncoder
from ray.util import debug

from rllib_recattn.experiment.cluster import ray_session as sessions


class Encoded:
    """Something that JSON knows nothing of."""


def remembered(encoded):
    before = len(debug._logged)
    json.dumps({"x": encoded}, cls=TuneFunctionEncoder)
    return len(debug._logged) - before


def test_tune_does_not_remember_what_it_has_encoded(ray_session):
    with sessions.ray_session():
        assert remembered(Encoded()) == 0
    assert remembered(Encoded()) == 1, "Ray has mended it: take ours away"
