"""RLlib makes empty minibatches where ``minibatch_size`` is smaller than a row."""

from __future__ import annotations

from rllib_recattn.errors import SettingsError


def check_minibatch_size(minibatch_size: int | None, max_seq_len: int, where: str) -> None:
    """Refuse minibatches that cannot hold a single row of `max_seq_len` steps.

    ``MiniBatchCyclicIterator`` (utils/minibatch_utils.py) makes minibatches of whole rows: those that fit, which are
    none here. The learner then stops with ``KeyError: 'obs'``.

    Raises:
        SettingsError: If they cannot.
    """
    if minibatch_size is not None and minibatch_size < max_seq_len:
        raise SettingsError(
            f"{where}: minibatch_size = {minibatch_size}: should be at least max_seq_len = {max_seq_len}, since RLlib "
            "makes minibatches of whole rows"
        )
