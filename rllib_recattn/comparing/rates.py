"""The learning rates that are searched, alike for all models, on seeds that are not used again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rllib_recattn.comparing import RATES
from rllib_recattn.errors import SettingsError, is_number

OFF = "off"
FIRST_SEED = 1_000
"""The seed of the first run of a search; the compared runs have 0, 1, …"""

MOST_SEEDS = FIRST_SEED

# A number, or a schedule [[step, rate], …].
Rate = float | list[list[float]]

_SPACING = 10**0.5


def rates_to_try(search: str | int | Sequence[float], rate: Rate) -> list[Rate]:
    """Return the learning rates that are searched; one if there is no search.

    Args:
        search: ``off``; how many, an odd number, of which the experiment's is the one in the middle and each is √10
            times the one before; or the rates themselves, as numbers or separated by commas.
        rate: The experiment's.

    Raises:
        SettingsError: If it is none of these.

    Examples:
        >>> rates_to_try(3, 6e-4)
        [0.00019, 0.0006, 0.0019]
    """
    right = f"should be off, an odd number of rates such as {RATES}, or rates such as 3e-4,1e-3"
    if isinstance(search, str) and search != OFF:
        try:
            numbers = [float(part) for part in search.split(",")]
        except ValueError:
            raise SettingsError(f"lr_search = {search!r}: {right}") from None
        search = int(numbers[0]) if len(numbers) == 1 and numbers[0].is_integer() else numbers
    if search == OFF:
        return [rate]
    if isinstance(search, int) and not isinstance(search, bool):
        if search < 1 or search % 2 == 0:
            raise SettingsError(f"lr_search = {search!r}: {right}")
        return [_scaled(rate, _SPACING**power) for power in range(-(search // 2), search // 2 + 1)]
    listed: list[Any] = list(search) if isinstance(search, list | tuple) else []
    if not listed or not all(is_number(each) and 0 < each < 1 for each in listed) or len(set(listed)) < len(listed):
        raise SettingsError(f"lr_search = {search!r}: {right}, each once, between 0 and 1")
    return [float(each) for each in listed]


def rate_text(rate: Rate) -> str:
    """Write a learning rate: ``0.0006``; of a schedule its values: ``0.0006→0``."""
    if isinstance(rate, list):
        return "→".join(f"{value:.4g}" for _, value in rate)
    return f"{rate:.4g}"


def _scaled(rate: Rate, factor: float) -> Rate:
    if factor == 1:
        return rate
    if isinstance(rate, list):
        return [[step, float(f"{value * factor:.2g}")] for step, value in rate]
    return float(f"{rate * factor:.2g}")
