"""Files of whole episodes, as RLlib's BC and MARWIL read them (``input_read_episodes``)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_recattn.errors import SettingsError

ENDING = ".parquet"
COLUMN = "item"  # Ray Data's name for what a row is, if it is no mapping


def require_packages(where: str) -> None:
    """Refuse to record without the packages that do it.

    Raises:
        SettingsError: If one is missing, with how to install it.
    """
    for module, package in (("msgpack_numpy", "msgpack-numpy"), ("pyarrow", "pyarrow")):
        if find_spec(module) is None:
            raise SettingsError(f"{where}: episodes are recorded with {package}: pip install it")


def packed(episode: SingleAgentEpisode) -> bytes:
    """Return an episode as RLlib writes one: its state, by msgpack.

    Args:
        episode: A whole one. What callbacks and connectors have noted in its ``custom_data`` is left out: recurrent
            states are among that, which other weights would not go on from.
    """
    import msgpack
    import msgpack_numpy

    assert episode.t_started == 0
    assert episode.is_done
    state = {**episode.get_state(), "custom_data": {}}
    data: bytes = msgpack.packb(state, default=msgpack_numpy.encode)
    return data


def unpacked(row: bytes) -> SingleAgentEpisode:
    """Undo :func:`packed`."""
    import msgpack
    import msgpack_numpy

    state: dict[str, Any] = msgpack.unpackb(row, object_hook=msgpack_numpy.decode)
    return SingleAgentEpisode.from_state(state)


def write_rows(rows: Sequence[bytes], file: Path) -> None:
    """Write packed episodes as a Parquet file, which is there as a whole or not at all.

    Args:
        rows: The episodes.
        file: The file; its directory is made.
    """
    import pyarrow
    import pyarrow.parquet

    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}")  # of which readers take no notice
    pyarrow.parquet.write_table(pyarrow.table({COLUMN: list(rows)}), unfinished)
    unfinished.replace(file)
