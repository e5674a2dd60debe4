"""When a run has solved its task: at the first window of episodes at the goal that the next window confirms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rllib_recattn.comparing.result import Point


def first_confirmed(curve: Sequence[Point], goals: Mapping[str, float], window: int) -> Point | None:
    """Return the iteration at which a run had solved its task.

    What training reports is the mean over the last `window` episodes. One such mean is at the goal by chance now and
    then, all the more if many are looked at. So the next window that shares no episode with it has to be there as well.

    Args:
        curve: The run's iterations.
        goals: Metric → the value from which on the task is solved; one of them is enough.
        window: Episodes over which the metrics are means.

    Returns:
        The first iteration at the goal that was confirmed; None if there is none yet.
    """
    candidate: Point | None = None
    for point in curve:
        if not point.goals:
            continue
        reached = any(point.goals.get(metric, float("-inf")) >= value for metric, value in goals.items())
        if candidate is None:
            candidate = point if reached else None
        elif point.episodes >= candidate.episodes + window:
            if reached:
                return candidate
            candidate = None
    return None
