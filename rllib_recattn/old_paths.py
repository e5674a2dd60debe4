"""Where modules of this package were before: imports, commands and pickles find them there as well.

A run that an earlier version began is resumed from pickles that name its callbacks; a model that :func:`torch.save` has
written as a whole names the class of each of its modules.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_loader
from types import CodeType, ModuleType
from typing import Any

_MODELS, _EXPERIMENT, _MIGRATION = (f"{__package__}.{part}" for part in ("models", "experiment", "migration"))
_TO_PARTS = (
    *("blocks", "containment", "counters", "expanded_attention", "gated_linear_attention", "graphs", "key_memory"),
    *("linear", "mixed_precision", "oscillation", "outer_product_memory", "relative_attention", "scan"),
    *("segment_attention", "segments", "stack", "timescales"),
)
_KERNELS = ("attention", "block", "build", "gate", "library", "step", "weights")

_PACKAGES = {  # old path → new path, and the modules in them, of which some have another name now
    f"{_MODELS}.native": (f"{_MODELS}.kernels", {name: name for name in _KERNELS}),
    f"{_EXPERIMENT}.model_dict": (
        f"{_MIGRATION}.model_dict",
        {name: name for name in ("checks", "encoders", "losses", "networks", "old_defaults")},
    ),
    f"{_EXPERIMENT}.conversion": (
        f"{_MIGRATION}.conversion",
        {"convert": "convert_file", "searches": "carried_settings", "settings": "carried_settings"},
    ),
    f"{__package__}.checkpoints": (
        f"{_MIGRATION}.checkpoints",
        {name: name for name in ("agent", "configs", "convert", "names", "reading", "target")},
    ),
}
_MODULES = {  # likewise, below this package
    "cli.old_forms": "migration.command_line",
    "experiment.checkpoints.restore": "experiment.checkpoints.restore_checks",
    "experiment.cluster.tryout": "experiment.cluster.nodes",
    "experiment.definition.api_stack": "migration.old_files.api_stack",
    "experiment.definition.blocks": "experiment.definition.experiment_file",
    "experiment.definition.env_trial": "experiment.definition.env_probe",
    "experiment.definition.gone_names": "migration.old_files.gone_names",
    "experiment.definition.old_model": "migration.old_files.old_model",
    "experiment.definition.old_names": "migration.old_files.old_names",
    "experiment.definition.restore": "experiment.definition.paths",
    "experiment.definition.rllib_settings": "migration.old_files.present_settings",
    "experiment.definition.suggestions": "errors",
    "experiment.definition.sweep_checks": "experiment.definition.tune_block",
    "experiment.records.settings": "experiment.records.trial_settings",
    "experiment.reports.console": "experiment.reports.text",
    "experiment.training.loggers.make": "experiment.training.loggers.trial_loggers",
    "experiment.training.loggers.mlflow_names": "experiment.training.loggers.mlflow_logger",
    "experiment.training.progress.fault_report": "experiment.training.progress.report",
    "experiment.training.time_budget": "experiment.training.interrupt",
    "inputs.settings": "inputs.input_settings",
    "inputs.success": "success",
    "rl_module.action_distribution": "rl_module.fixes.action_distribution",
    "rl_module.free_log_std": "rl_module.fixes.free_log_std",
}

# A module's old path → where its content is now.
MOVED: dict[str, tuple[str, ...]] = {
    **{f"{_MODELS}.{name}": (f"{_MODELS}.parts.{name}",) for name in _TO_PARTS},
    f"{_MODELS}.rnn": (f"{_MODELS}.parts.recurrent", f"{_MODELS}.lstm", f"{_MODELS}.gru"),
    f"{_MODELS}.fla_kernels": (f"{_MODELS}.kernels.fla",),
    **{old: (new,) for old, (new, _) in _PACKAGES.items()},
    **{f"{old}.{was}": (f"{new}.{now}",) for old, (new, names) in _PACKAGES.items() for was, now in names.items()},
    **{f"{__package__}.{old}": (f"{__package__}.{new}",) for old, new in _MODULES.items()},
}

_RENAMED = {f"{_MODELS}.stack": {"StackSettings": "MultiHeadSettings"}}  # when all stacked models had heads


class OldPaths(MetaPathFinder, InspectLoader):
    """Makes a module with an old path of what has moved from it."""

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find a module, if it has moved."""
        if fullname not in MOVED:
            return None
        now = find_spec(MOVED[fullname][0])
        # What ``python -m`` runs is told by it where its file is.
        return spec_from_loader(fullname, self, origin=None if now is None else now.origin)

    def is_package(self, fullname: str) -> bool:
        """Say whether modules were below it."""
        return fullname in _PACKAGES

    def exec_module(self, module: ModuleType) -> None:
        """Fill a module with the names that it had."""
        for path in MOVED[module.__name__]:
            content = vars(import_module(path))
            names = {name for name in content if not name.startswith("__")} | {"__getattr__"} & content.keys()
            vars(module).update({name: content[name] for name in names})
        for old, new in _RENAMED.get(module.__name__, {}).items():
            setattr(module, old, getattr(module, new))

    def get_source(self, fullname: str) -> str | None:
        """Return None: it has none."""
        return None

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the code that ``python -m`` is to run."""
        spec = find_spec(MOVED[fullname][0])
        assert spec is not None
        return spec.loader.get_code(spec.name)  # type: ignore[union-attr]


def find_moved_modules() -> None:
    """Let modules be found by their old paths, too."""
    sys.meta_path.append(OldPaths())
