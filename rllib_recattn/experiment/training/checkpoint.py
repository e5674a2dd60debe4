"""Finding checkpoints and reading what they hold, without starting Ray."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.training.run_directory import newest_checkpoint

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

_ALGORITHM_FILE = "class_and_ctor_args.pkl"
_OLD_STACK_FILE = "algorithm_state.pkl"
_MODULE_DIRECTORY = Path("learner_group", "learner", "rl_module", "default_policy")


def find_checkpoint(path: Path) -> Path:
    """Find the checkpoint that a path means.

    Args:
        path: The directory of a checkpoint, as Tune and ``Algorithm.save_to_path`` write them, of a trial or of a run;
            of the latter two the newest checkpoint is taken.

    Returns:
        The checkpoint's directory, as an absolute path.

    Raises:
        SettingsError: If there is no such checkpoint, or none of an algorithm.
    """
    wanted = "should be a checkpoint's directory, such as .../checkpoint_000000, or a run's"
    if not path.exists():
        raise SettingsError(f"checkpoint {str(path)!r}: there is no such directory; {wanted}")
    if not path.is_dir():
        raise SettingsError(f"checkpoint {str(path)!r}: this is a file; {wanted}")
    checkpoint = path if _is_checkpoint(path) else newest_checkpoint(path)
    if checkpoint is None:
        raise SettingsError(f"checkpoint {str(path)!r}: there is no checkpoint in here; {wanted}")
    is_complete = (checkpoint / _ALGORITHM_FILE).is_file() and (checkpoint / "learner_group").is_dir()
    if not is_complete and not is_of_old_stack(checkpoint):
        raise SettingsError(
            f"checkpoint {str(checkpoint)!r}: incomplete, or not from an algorithm of RLlib's: "
            f"{_ALGORITHM_FILE} or learner_group/ is missing"
        )
    return checkpoint.resolve()


def is_of_old_stack(checkpoint: Path) -> bool:
    """Tell whether a checkpoint is of an algorithm on RLlib's old API stack."""
    return (checkpoint / _OLD_STACK_FILE).is_file() and (checkpoint / "policies").is_dir()


def module_directory(checkpoint: Path) -> Path:
    """Return where a single-agent checkpoint keeps its RLModule."""
    return checkpoint / _MODULE_DIRECTORY


def load_config(checkpoint: Path) -> AlgorithmConfig:
    """Read the config of the algorithm that was saved.

    Checkpoints are pickles, which can run any code: read none that you do not trust.

    Args:
        checkpoint: The checkpoint's directory, see `find_checkpoint`.

    Returns:
        A config that can be changed.

    Raises:
        SettingsError: If it cannot be read, for example because it needs a package that is not installed.
    """
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

    try:
        if is_of_old_stack(checkpoint):
            with (checkpoint / _OLD_STACK_FILE).open("rb") as file:
                state = pickle.load(file)
            return state["algorithm_class"].get_default_config().update_from_dict(state["config"])
        with (checkpoint / _ALGORITHM_FILE).open("rb") as file:
            (config_state,), _ = pickle.load(file)["ctor_args_and_kwargs"]
        return AlgorithmConfig.from_state(config_state).copy(copy_frozen=False)
    except (ImportError, AttributeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise SettingsError(
            f"checkpoint {str(checkpoint)!r}: cannot be read: {type(error).__name__}: {error}"
        ) from error


def _is_checkpoint(path: Path) -> bool:
    return (path / "rllib_checkpoint.json").is_file()
