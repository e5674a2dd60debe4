"""How many examples a test tries, and that they are the same ones every time.

FUZZ_EXAMPLES in the environment is how many the slow tests try.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_SAME = settings(
    derandomize=True,
    database=None,
    deadline=None,  # a machine may be busy
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example, HealthCheck.data_too_large],
)
FEW = settings(_SAME, max_examples=150)
MANY = settings(_SAME, max_examples=int(os.environ.get("FUZZ_EXAMPLES", "500")))
DRY_RUNS = settings(_SAME, max_examples=40)
