"""AGaLiTe as it was by default when most figures were measured: without what it has from GLA today."""

from __future__ import annotations

from typing import Any

PLAIN: dict[str, Any] = {"frequencies": "distinct", "conv_size": 0, "head_norm": False, "output_gate": False}
