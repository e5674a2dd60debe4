"""What is right in each task, worked out step by step from what is shown: a second form of the tasks."""

from __future__ import annotations

from collections.abc import Sequence


def answers_by_hand(task: str, shown: Sequence[Sequence[int]]) -> list[int | None]:
    """Return what is right at each step; None where nothing is asked.

    Args:
        task: Its name.
        shown: The symbols of each step of one row.
    """
    answers: list[int | None] = []
    values: dict[int, int] = {}
    newest, count = None, 0
    for step, symbols in enumerate(shown):
        symbol, answer = symbols[0], None
        if task.startswith("recall") or task == "beyond":
            answer = shown[0][0] if symbol == 6 else None
        elif task.startswith("repeat"):
            lag = int(task.partition("-")[2])
            answer = shown[step - lag][0] if step >= lag else None
        elif task == "first":
            answer = shown[0][0] - 4 if step else None
        elif task == "pairs":
            if len(symbols) == 2:
                values[symbol] = symbols[1] - 16
            else:
                answer = values[symbol]
        elif task == "count":
            count += symbol == 0
            answer = count if symbol == 5 else None
        elif task == "rewrite":
            newest = symbol if symbol < 4 else newest
            answer = newest if symbol == 8 else None
        answers.append(answer)
    return answers
