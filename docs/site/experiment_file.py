"""The reference of experiment files, from the schema that editors use and the classes that check files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from docs.site.markdown import attributes, code, plain, table
from rllib_recattn.experiment.definition.logging_block import LoggingBlock, MlflowBlock, WandbBlock
from rllib_recattn.experiment.definition.schedulers import SCHEDULERS
from rllib_recattn.experiment.definition.searchers import SEARCHERS
from rllib_recattn.experiment.definition.spec import CheckpointBlock, MultiAgentBlock
from rllib_recattn.experiment.definition.top_level import ExperimentFile
from rllib_recattn.experiment.definition.tune_block import TuneBlock
from rllib_recattn.rl_module.q_learning.settings import QLearningSettings
from rllib_recattn.rl_module.recurrence import RecurrenceSettings, RLlibFixes

SCHEMA = Path(__file__).parents[2] / "schema" / "experiment.schema.json"
Schema = dict[str, Any]
Settings = type[BaseModel]


class ExperimentReference:
    """The page, piece by piece.

    Args:
        schema: The JSON Schema of experiment files.
    """

    def __init__(self, schema: Schema):
        self._definitions = schema["$defs"]

    def page(self) -> str:
        """Return the page's Markdown."""
        return "\n".join(
            [
                self._section("The top level", "experiment", ExperimentFile, leave_out=TuneBlock.model_fields),
                "What `tune` takes may stand at the top level as well.\n",
                self._section(
                    "`stop`", "stop", None, "Training ends as soon as one of these metrics reaches its value."
                ),
                "Of several policies and agents there is a metric for each, with its name in the place of "
                "`default_policy` or `default_agent`.\n",
                self._section(
                    "`model`",
                    "recurrence",
                    RecurrenceSettings,
                    "Beside `name` and [the model's own settings](models.md):",
                ),
                self._section("`model.q_learning`", "QLearningSettings", QLearningSettings, level=3),
                self._section("`model.rllib_fixes`", "RLlibFixes", RLlibFixes, level=3),
                self._section("`tune`", "tune", TuneBlock),
                self._named("`tune.scheduler`", SCHEDULERS),
                self._named("`tune.search_alg`", SEARCHERS),
                self._search(),
                self._section("`checkpoint`", "checkpoint", CheckpointBlock),
                self._section("`logging`", "logging", LoggingBlock),
                self._section("`logging.wandb`", "WandbBlock", WandbBlock, level=3),
                self._section("`logging.mlflow`", "MlflowBlock", MlflowBlock, level=3),
                self._section("`multi_agent`", "multi_agent", MultiAgentBlock),
                self._config(),
                self._old_names(),
            ]
        )

    def _section(
        self,
        title: str,
        name: str,
        settings: Settings | None,
        said: str | None = None,
        *,
        level: int = 2,
        leave_out: Mapping[str, Any] | tuple[str, ...] = (),
    ) -> str:
        definition = self._definitions[name]
        if said is None:
            said = plain(definition.get("description") or (settings.__doc__ if settings else "") or "")
        meanings = attributes(settings.__doc__) if settings else {}
        rows = []
        for key, schema in definition["properties"].items():
            if schema.get("deprecated") or key in leave_out:
                continue
            field = settings.model_fields.get(key) if settings else None
            required = key in definition.get("required", ())
            default = "required" if required else _default(field)
            meaning = meanings.get(key) or plain(_description(schema))
            rows.append(
                [code(key), self.values(schema), default, meaning] if settings else [code(key), self.values(schema)]
            )
        headings = ["key", "values", "default", "meaning"] if settings else ["metric", "values"]
        return f"{'#' * level} {title}\n\n{said.partition('Attributes:')[0].strip()}\n\n{table(headings, rows)}"

    def _named(self, title: str, kinds: Mapping[str, Settings]) -> str:
        rows = []
        for name, settings in kinds.items():
            meanings = attributes(settings.__doc__)
            rows.append([f"**`{name}`**", "", plain((settings.__doc__ or "").strip().partition("\n")[0])])
            for key, field in settings.model_fields.items():
                if key != "name":
                    rows.append([code(key), _default(field), meanings.get(key, "")])
        said = "A name, or a name with arguments: `{name: {argument: value}}`."
        return f"### {title}\n\n{said}\n\n{table(['name, arguments', 'default', 'meaning'], rows)}"

    def _search(self) -> str:
        domains = self._definitions["search"]["properties"]
        rows = [[code(name), self.values(schema)] for name, schema in domains.items()]
        return (
            "## Search domains\n\nIn the place of a value anywhere in `model` and `config`, of whole models, and of "
            "`env`: a mapping of one of these names. `rllib train file FILE --dry-run` shows what becomes of them.\n\n"
            + table(["domain", "takes"], rows)
        )

    def _config(self) -> str:
        refused: dict[str, list[str]] = {}
        for rule in self._definitions["experiment"]["allOf"]:
            for key in rule["then"]["properties"]["config"]["properties"]:
                refused.setdefault(key, []).append(rule["if"]["properties"]["run"]["const"])
        every = self._definitions["experiment"]["properties"]["run"]["enum"]
        rows = []
        for key, schema in self._definitions["config"]["properties"].items():
            if not schema.get("deprecated"):
                of = ", ".join(run for run in every if run not in refused[key]) if key in refused else "all"
                rows.append([code(key), self.values(schema), of])
        return (
            "## `config`\n\nRLlib's own settings, by the names of the arguments of `AlgorithmConfig`'s methods. "
            "RLlib's documentation says what they mean; values of a wrong type, and settings of another algorithm, are "
            "refused.\n\n" + table(["key", "values", "algorithms"], rows)
        )

    def _old_names(self) -> str:
        rows = []
        for block in ("experiment", "checkpoint", "stop", "config"):
            for key, schema in self._definitions[block]["properties"].items():
                if schema.get("deprecated") and schema.get("description", "").startswith("is called"):
                    rows.append([code(key), block, code(schema["description"].split()[2])])
        return (
            "## Old names\n\nFiles that RLlib's own command line took may have these; they are translated, and a note "
            "says so.\n\n" + table(["name", "in", "is called now"], rows)
        )

    def values(self, schema: Schema) -> str:
        """Say in words which values a schema allows."""
        if "$ref" in schema:
            return self._of_reference(schema["$ref"])
        if "anyOf" in schema:
            words = [self.values(member) for member in schema["anyOf"]]
            return " or ".join(dict.fromkeys(word for word in words if word))
        if "enum" in schema:
            return ", ".join(code(value) for value in schema["enum"])
        if "const" in schema:
            return code(schema["const"])
        kind = schema.get("type")
        if kind in ("integer", "number"):
            return _number(schema)
        if kind == "array":
            count = schema.get("minItems")
            items = self.values(schema.get("items", {}))
            return f"a list of {count} {items}s" if count == schema.get("maxItems") and count else "a list"
        if kind == "object" and schema.get("properties"):
            return "a mapping of " + ", ".join(code(key) for key in schema["properties"])
        if kind == "string" and "pattern" in schema:
            return "`package.module:name`"
        return {"boolean": "true or false", "string": "a string", "object": "a mapping", "null": "null"}.get(kind, "")

    def _of_reference(self, reference: str) -> str:
        path = reference.removeprefix("#/$defs/").split("/")
        if path == ["search"]:
            return ""
        if len(path) == 1:
            return "a mapping"
        target = self._definitions
        for part in path:
            target = target[part]
        return self.values(target)


def experiment_file() -> str:
    """Return the page's Markdown."""
    return ExperimentReference(json.loads(SCHEMA.read_text(encoding="utf-8"))).page()


def _number(schema: Schema) -> str:
    word = "whole number" if schema["type"] == "integer" else "number"
    relations = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
    bounds = [f"{relation} {schema[key]:g}" for key, relation in relations.items() if key in schema]
    return f"{word} {' and '.join(bounds)}".strip()


def _description(schema: Schema) -> str:
    if "description" in schema:
        return schema["description"]
    return next((found for member in schema.get("anyOf", ()) if (found := _description(member))), "")


def _default(field: Any) -> str:
    if field is None:
        return ""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return ""
    return code(json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False, default=str))
