"""Every setting, explained from its declaration; and the page ``docs/configuration.md``, made of the same."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from msgspec import Struct

from mcpward.config.environ import variable_of
from mcpward.config.fields import KINDS
from mcpward.config.model import Settings
from mcpward.config.names import nearest
from mcpward.config.policy import POLICY_KINDS
from mcpward.config.schema_paths import ANY_NAME, Key, every_key, general, section_at, section_of, table_of
from mcpward.config.section import Section
from mcpward.core import renamed

_KINDS: Final = {**KINDS, **POLICY_KINDS}
_HEAD: Final = """# Configuration

<!-- made by `mcpward config explain --markdown`; a test compares it with the code -->

mcpward reads `mcpward.toml` of the current folder, or the file that `--config` names. Later layers win: default, file,
environment, flag. An unknown key is an error at every depth; `mcpward config check` reports all errors at once.
`mcpward config show` prints the effective settings and where each one came from; `mcpward config schema` prints the
JSON schema for editors.

* **Environment:** `MCPWARD_SITE__LISTEN` is `site.listen`: capitals, two underscores between the parts. Lists are
  separated by commas. `MCPWARD_STORE__URL_FILE` names a file that holds the value. A variable that begins with
  `MCPWARD_` and is not a setting is an error too. The exceptions are `MCPWARD_MASTER_KEY`, `MCPWARD_MASTER_KEY_FILE`,
  `MCPWARD_CONFIG`, `MCPWARD_KEY`, `MCPWARD_KEY_<SERVER>` (for `mcpward connect`), and what Kubernetes sets for
  services.
* **Tables** from the environment: `MCPWARD_BUDGETS__STRIPE__RATE` is `rate` in `[budgets.stripe]`; a table that is a
  value, such as `{ stripe = 2 }`, is written as JSON. If the file spells a name with `-`, `.` or capitals, the variable
  means that name.
* **Several workers** with counters in memory divide `total`, budgets and slots between them. Each worker counts limits
  per caller and per address separately, so a caller may reach up to `site.workers` times each. With counters in Redis
  every limit holds for all workers and hosts of the site.
* **Rates** are written `120/minute burst 20` (second, minute, hour, day); without a burst, the burst is the count.
  **Quotas** are written `5000/day` (hour, day, month; in UTC).
* **A table in place of a rate or a quota** also sets how it is enforced:
  `{ rate = "10/minute", enforce = false, on_store_failure = "closed" }`. [limits.md](limits.md) explains them.
* **Spans of time** are written `30m`, `24h`, `90d` or `2w`.
* **Sizes** are written `4 MiB`, `32 KiB` or as a number of bytes. **Seconds** may have a fraction.
* **URLs:** every server always answers at `/<name>/mcp`. The only server, or the one in `site.default_server`, answers
  at `/mcp` too, and each server at `/mcp` of its `hosts`. `mcpward connect` prints the first of these. If a start
  removes a URL of the last start, it prints the line that keeps it. The proxy may forward a path in `public_url`
  (`https://x.example/ai`) or strip it; `/healthz` and `/readyz` answer below it too.
* **Files from Windows** may have a byte order mark and CRLF line ends.
* **Relative paths** in the file start from the folder of the file; in environment and flags, from the current folder.
"""


class Explained(Struct, frozen=True):
    """One setting in words. ``default`` and ``example`` are TOML; ``default`` is empty if a value is required."""

    key: str
    type: str
    default: str
    help: str
    example: str
    env: str


def explain_all() -> list[Explained]:
    """Explain every setting, in the order of the model."""
    return [_explained(key) for key in every_key()]


def explain(dotted: str) -> Explained | None:
    """Explain one setting; ``servers.orders.mode`` and ``servers.<name>.mode`` are the same one. None if unknown."""
    meant = _general(dotted)
    return next((one for one in explain_all() if one.key == meant), None)


def suggestion(dotted: str) -> str | None:
    """Find the setting that an unknown name was before, or whose name looks most like it."""
    now = renamed.SETTINGS.get(tuple(dotted.strip().split(".")))
    if now:
        return ".".join(now)
    return nearest(_general(dotted), [key.dotted for key in every_key()])


def _general(dotted: str) -> str:
    return ".".join(general(tuple(dotted.strip().split("."))))


def _explained(key: Key) -> Explained:
    field = key.field
    example = str(field.examples[0]) if field.examples else ""
    default = "" if field.is_required() else toml_text(_default(key.path))
    return Explained(key.dotted, _kind(key), default, field.description or "", example, variable_of(key))


def _kind(key: Key) -> str:
    for mark in key.field.metadata:
        word = _KINDS.get(getattr(mark, "func", None))
        if word:
            return word
    schema = _schema_of(key)
    if schema.get("type") == "object":
        values = schema.get("additionalProperties", {})
        if values is True:
            return "table of values"
        return "table of whole numbers" if values.get("type") == "integer" else "table of texts"
    for choice in (schema, *schema.get("anyOf", ())):
        if "enum" in choice:
            return " or ".join(f'"{word}"' for word in choice["enum"])
    said = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(said) == 1:  # or not set
        schema = said[0]
    if "const" in schema:
        return f'"{schema["const"]}"'
    word = {"boolean": "true or false", "integer": "whole number", "number": "seconds"}.get(
        schema.get("type", ""), "text"
    )
    low, high = schema.get("minimum"), schema.get("maximum")
    return f"{word} from {low} to {high}" if low is not None and high is not None else word


def _schema_of(key: Key) -> Mapping[str, Any]:
    section = section_at(key.path[:-1])
    if section is None:
        return {}
    schema: Mapping[str, Any] = _section_schema(section)["properties"][key.path[-1]]
    return schema


@cache
def _section_schema(section: type[Section]) -> dict[str, Any]:
    return section.model_json_schema()


@cache
def _defaults() -> dict[str, Any]:
    return _filled(Settings)


def _filled(section: type[Section]) -> dict[str, Any]:
    """Return the defaults of a section, with one entry in each table of named ones; required ones as their example."""
    required = {
        name: tomllib.loads(f"value = {field.examples[0]}")["value"]
        for name, field in section.model_fields.items()
        if field.is_required() and field.examples
    }
    tree = section.model_validate(required).model_dump(mode="json")
    for name, field in section.model_fields.items():
        if table := table_of(field):
            tree[name] = {ANY_NAME: _filled(table)}
        elif inner := section_of(field):
            tree[name] = _filled(inner)
    return tree


def _default(path: tuple[str, ...]) -> Any:
    value: Any = _defaults()
    for name in path:
        value = value[name]
    return value


def toml_text(value: Any) -> str:
    """Write a plain value as TOML; None, which TOML cannot express, as ``(not set)``."""
    if value is None:
        return "(not set)"
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml_text(one) for one in value)}]"
    if isinstance(value, dict):
        pairs = [f"{toml_text(name)} = {toml_text(one)}" for name, one in value.items()]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    # A JSON text is a TOML basic string too, apart from DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of the file, for editors and reviewers."""
    body = Settings.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body, "title": "mcpward.toml"}


def markdown() -> str:
    """Write the page of all settings."""
    tables: dict[str, list[Explained]] = {}
    for one in explain_all():
        tables.setdefault(one.key.rpartition(".")[0], []).append(one)
    return "\n".join([_HEAD, *(line for table, rows in tables.items() for line in _table(table, rows))])


def _table(table: str, rows: list[Explained]) -> Iterator[str]:
    section = section_at(tuple(table.split(".")))
    about = (section.__doc__ or "").partition(": ")[2] if section else ""
    yield f"## [{table}]\n\n{about[:1].upper()}{about[1:]}\n"
    yield "| key | type | default | what it does | example |\n|---|---|---|---|---|"
    for one in rows:
        default = f"`{one.default}`" if one.default else "required"
        yield f"| `{one.key.rpartition('.')[2]}` | {one.type} | {default} | {one.help} | `{one.example}` |"
    yield ""
