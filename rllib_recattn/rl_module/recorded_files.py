"""What files of recorded episodes hold, found out without Ray: their columns, lengths and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.recorded_episodes import COLUMN, ENDING, unpacked

# Lengths are read from whole files. Where there is more, the learner's own check has to find what is longer.
_MOST_BYTES = 2**30


@dataclass(frozen=True)
class Recorded:
    """What is known of some recorded episodes.

    Attributes:
        longest: The steps of the longest.
        longest_id: Its id.
        cut: The id of one that does not begin at its first step, if any.
        first_id: The id of the first one.
        first_observation: What it begins with.
        first_actions: Its actions.
    """

    longest: int
    longest_id: str
    cut: str | None
    first_id: str
    first_observation: Any
    first_actions: list[Any]


def recorded_in(
    path: str, filesystem: Any, filesystem_kwargs: Mapping[str, Any], where: str, *, as_episodes: bool = True
) -> list[Recorded]:
    """Read what the files below a path hold, one after the other.

    Args:
        path: A file or a directory, local or ``scheme://…``.
        filesystem: RLlib's ``input_filesystem``: None, ``gcs``, ``s3``, ``abs``, or one of PyArrow's.
        filesystem_kwargs: What those are made with.
        where: What named the path, for error messages.
        as_episodes: Whether the rows should be whole episodes.

    Raises:
        SettingsError: If there is no file, or one cannot be read or holds no recorded episodes.
    """
    try:
        system, root = _filesystem(path, filesystem, filesystem_kwargs)
        files = _files(system, root)
    except Exception as error:  # whatever others' file systems raise
        raise SettingsError(f"{where}: cannot be read: {error}") from error
    if not files:
        raise SettingsError(
            f"{where}: there is no file in it; should hold recorded episodes: `rllib record RUN -o DIRECTORY` "
            "writes some of a trained agent, and config.output some while training"
        )
    found, left = [], _MOST_BYTES
    for file in files if as_episodes else []:
        left -= file.size or 0
        key = (file.path, file.size, file.mtime_ns, left > 0)
        if key not in _KNOWN:
            _KNOWN[key] = _read(system, file.path, left > 0, f"{where}: {file.path!r}")
        one = _KNOWN[key]
        found += [one] if one is not None else []
    return found


# An experiment is built again for each of its variants. By path, size and time of the last change.
_KNOWN: dict[tuple[str, int | None, int | None, bool], Recorded | None] = {}


def _filesystem(path: str, filesystem: Any, kwargs: Mapping[str, Any]) -> tuple[Any, str]:
    """Return a file system of PyArrow's and the path in it, as RLlib's ``OfflineData`` chooses them."""
    from pyarrow import fs

    if filesystem == "gcs":
        gcs = import_module("gcsfs").GCSFileSystem(**kwargs)
        return fs.PyFileSystem(fs.FSSpecHandler(gcs)), path.removeprefix("gs://")
    if filesystem == "abs":
        azure = import_module("adlfs").AzureBlobFileSystem(**kwargs)
        return fs.PyFileSystem(fs.FSSpecHandler(azure)), path.partition("://")[2] or path
    if filesystem == "s3":
        return fs.S3FileSystem(**kwargs), path.removeprefix("s3://")
    if filesystem is not None:
        return filesystem, path.partition("://")[2] or path
    if path.startswith("local://"):  # Ray's scheme for a path of this node
        path = path.removeprefix("local://")
    if "://" in path:
        system, in_it = fs.FileSystem.from_uri(path)
        return system, in_it
    return fs.LocalFileSystem(), path


def _files(system: Any, root: str) -> list[Any]:
    """Return the files that Ray Data reads: those named as Parquet files, or all where none is; no hidden ones."""
    from pyarrow import fs

    info = system.get_file_info(root)
    if info.type == fs.FileType.NotFound:
        raise FileNotFoundError("there is no such file or directory")
    if info.type == fs.FileType.File:
        return [info]
    below = system.get_file_info(fs.FileSelector(root, recursive=True))
    files = [
        each
        for each in sorted(below, key=lambda each: str(each.path))
        if each.type == fs.FileType.File
        and not any(part.startswith((".", "_")) for part in each.path.removeprefix(root).split("/"))
    ]
    return [each for each in files if each.path.endswith(ENDING)] or files


def _read(system: Any, path: str, all_rows: bool, where: str) -> Recorded | None:
    """Read a file; None if it has no rows."""
    import pyarrow
    from pyarrow import parquet

    try:
        with system.open_input_file(path) as stream:
            file = parquet.ParquetFile(stream)
            columns = file.schema_arrow.names
            if COLUMN not in columns:
                raise SettingsError(
                    f"{where}: has the columns {columns}; should have {COLUMN!r}, of RLlib's episodes packed by "
                    "msgpack, as `rllib record` and config.output write them"
                )
            rows = _rows(file) if all_rows else _rows(file, limit=1)
            return _summary(rows, where)
    except (pyarrow.ArrowException, OSError) as error:
        raise SettingsError(f"{where}: is no Parquet file that can be read: {error}") from error


def _rows(file: Any, limit: int | None = None) -> Iterator[bytes]:
    batch_size = 64 if limit is None else limit
    for batch in file.iter_batches(batch_size=batch_size, columns=[COLUMN]):
        yield from batch.column(0).to_pylist()
        if limit is not None:
            return


def _summary(rows: Iterator[bytes], where: str) -> Recorded | None:
    import msgpack

    longest, longest_id, cut = -1, "", None
    first: tuple[str, Any, list[Any]] | None = None
    for row in rows:
        try:
            if first is None:
                episode = unpacked(row)
                actions = [episode.get_actions(index) for index in range(len(episode))]
                first = str(episode.id_), episode.get_observations(0), actions
            header = _header(row)
            length = header["t"] - header["t_started"]
        except (KeyError, TypeError, ValueError, AttributeError, AssertionError, msgpack.UnpackException) as error:
            raise SettingsError(
                f"{where}: the column {COLUMN!r} holds no episodes of RLlib's packed by msgpack; should be written by "
                "`rllib record` or config.output"
            ) from error
        if length > longest:
            longest, longest_id = length, str(header["id_"])
        if header["t_started"]:
            cut = str(header["id_"])
    return None if first is None else Recorded(longest, longest_id, cut, *first)


def _header(row: bytes) -> dict[str, Any]:
    """Return the numbers of a packed episode, without the arrays beside them."""
    import msgpack

    reader = msgpack.Unpacker(max_buffer_size=0, strict_map_key=False)
    reader.feed(row)
    header = {}
    for _ in range(reader.read_map_header()):
        name = reader.unpack()
        if name in ("id_", "t", "t_started"):
            header[name] = reader.unpack()
        else:
            reader.skip()
    return header
