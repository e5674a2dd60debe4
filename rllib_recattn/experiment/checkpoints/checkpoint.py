"""Finding checkpoints and reading what they hold, without starting Ray."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rllib_recattn.checkpoint_files import MODULES, RLLIB_FILE, damage_text, reading
from rllib_recattn.checkpoint_pickles import CLASS_FILE, OLD_STACK_FILE, load_pickle
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.checkpoints.run_state import mend_run_state
from rllib_recattn.experiment.records.run_directory import experiment_folder, newest_checkpoint
from rllib_recattn.importing import make_importable, make_importable_too

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig


def find_checkpoint(path: Path) -> Path:
    """Find the checkpoint that a path means.

    Args:
        path: The directory of a checkpoint, as Tune and ``Algorithm.save_to_path`` write them, of a trial, or of a run
            of one trial; of the latter two the newest checkpoint is taken.

    Returns:
        The checkpoint's directory, as an absolute path.

    Raises:
        SettingsError: If there is no such checkpoint, or none of an algorithm, or several trials have one.
    """
    wanted = "should be a checkpoint's directory, such as .../checkpoint_000000, or a run's"
    if not path.exists():
        raise SettingsError(f"checkpoint {str(path)!r}: there is no such directory; {wanted}")
    if not path.is_dir():
        raise SettingsError(f"checkpoint {str(path)!r}: this is a file; {wanted}")
    trials = {checkpoint.parent.name for checkpoint in path.glob("*/checkpoint_*")}
    if len(trials) > 1:
        raise SettingsError(
            f"checkpoint {str(path)!r}: holds {len(trials)} trials; should be the directory of one, such as "
            f".../{min(trials)}; `rllib sweep-report` shows which is best"
        )
    checkpoint = path if _is_checkpoint(path) else newest_checkpoint(path)
    if checkpoint is None:
        raise SettingsError(f"checkpoint {str(path)!r}: there is no checkpoint in here; {wanted}")
    is_complete = (checkpoint / CLASS_FILE).is_file() and (checkpoint / "learner_group").is_dir()
    check_undamaged(checkpoint)
    if not is_complete and not is_of_old_stack(checkpoint):
        raise SettingsError(
            f"checkpoint {str(checkpoint)!r}: incomplete, or not from an algorithm of RLlib's: "
            f"{CLASS_FILE} or learner_group/ is missing"
        )
    return checkpoint.resolve()


def check_undamaged(checkpoint: Path) -> None:
    """Refuse a checkpoint whose files are not what was written, if that can be told.

    Raises:
        SettingsError: With what is wrong, and the checkpoint before it that is whole.
    """
    problem = damage_text(checkpoint)
    if problem is not None:
        raise SettingsError(problem)


def check_resumable(run_dir: Path) -> None:
    """Refuse to resume a run that cannot be, rather than to find out when everything has started.

    Of several trials each looks by itself whether its newest checkpoint is damaged, since one must not stop the others.

    Raises:
        SettingsError: With what is wrong, and the checkpoint with which a new run can begin.
    """
    mend_run_state(run_dir)
    trials = {path.parent for path in run_dir.glob("*/checkpoint_*")}
    checkpoint = newest_checkpoint(run_dir)
    if checkpoint is None or len(trials) > 1:
        return
    problem = damage_text(checkpoint)
    if problem is not None:
        raise SettingsError(f"--resume: {problem}, with `restore: …` in the experiment's file, which begins a new run")


def is_of_old_stack(checkpoint: Path) -> bool:
    """Tell whether a checkpoint is of an algorithm on RLlib's old API stack."""
    return (checkpoint / OLD_STACK_FILE).is_file() and (checkpoint / "policies").is_dir()


def module_directory(checkpoint: Path, is_multi_agent: bool = False) -> Path:
    """Return where a checkpoint keeps its RLModule; of several agents, the one that holds theirs."""
    return checkpoint / MODULES if is_multi_agent else checkpoint / MODULES / "default_policy"


def load_config(checkpoint: Path, beside: bool = False) -> AlgorithmConfig:
    """Read the config of the algorithm that was saved.

    Checkpoints are pickles, which can run any code: read none that you do not trust. What they import may also lie
    where the file lies that the run was trained with.

    Args:
        checkpoint: The checkpoint's directory, see `find_checkpoint`.
        beside: Whether an experiment of another file is what is to run.

    Returns:
        A config that can be changed.

    Raises:
        SettingsError: If it cannot be read, for example because it needs a package that is not installed.
    """
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

    folder = experiment_folder(checkpoint)
    if folder is not None:
        (make_importable_too if beside else make_importable)(folder)
    with reading(checkpoint), _saying_where_modules_lay(checkpoint, folder):
        if is_of_old_stack(checkpoint):
            state = load_pickle(checkpoint / OLD_STACK_FILE)
            return state["algorithm_class"].get_default_config().update_from_dict(state["config"])
        (config_state,), _ = load_pickle(checkpoint / CLASS_FILE)["ctor_args_and_kwargs"]
        return AlgorithmConfig.from_state(config_state).copy(copy_frozen=False)


@contextmanager
def _saying_where_modules_lay(checkpoint: Path, folder: Path | None) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        before = f"put back what lay in {folder} when it was trained" if folder else "install it"
        raise SettingsError(
            f"checkpoint {str(checkpoint)!r}: cannot be read: {error}; {before}, or begin the command with "
            "PYTHONPATH=DIR, the folder in which it lies"
        ) from error


def _is_checkpoint(path: Path) -> bool:
    return (path / RLLIB_FILE).is_file()
