"""``mcpward config``: checks the configuration, shows the values in force, explains settings."""

import asyncio
from typing import Annotated, Any, NoReturn

import typer

from mcpward.cli import ui
from mcpward.cli.help import examples
from mcpward.cli.site import CLOCK, ConfigOption, JsonOption, file_of, loaded
from mcpward.config.explain import Explained, explain, explain_all, markdown, suggestion
from mcpward.config.explain import schema as schema_of
from mcpward.config.load import Loaded
from mcpward.config.model import Settings
from mcpward.config.readers import readable_secrets
from mcpward.config.show import shown
from mcpward.config.sources import foreign_sources, missing_sources
from mcpward.core.errors import Finding, Misconfigured

app = typer.Typer(help="Configuration: check, show, explain, schema.", no_args_is_help=True, rich_markup_mode=None)


@app.command("check")
@examples(
    "mcpward config check --config /etc/mcpward/mcpward.toml",
    "mcpward config check --load",
)
def check(
    load: Annotated[
        bool, typer.Option("--load", help="Also run the sources of all servers, as serve does, and check their tools.")
    ] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Check the configuration like serve, and report every problem at once. Exit code 2 if there is one."""
    try:
        site = loaded(config)
        if wrong := [*missing_sources(site), *foreign_sources(site.settings), *_tls_findings(site)]:
            raise Misconfigured(wrong)
        tools = _tools(site.settings) if load else {}
    except Misconfigured as wrong:
        if json:
            findings: list[Any] = [{"where": one.where, "what": one.what, "hint": one.hint} for one in wrong.findings]
            ui.answer_json({"ok": False, "findings": findings})
            raise typer.Exit(ui.Exit.USAGE) from None
        raise
    for one in readable_secrets(site, file_of(config)):
        ui.remark(ui.safe(f"{one.where}: {one.what}: {one.hint}"))
    if json:
        ui.answer_json({"ok": True, "findings": [], **({"tools": tools} if load else {})})
    names = site.settings.servers
    servers = ", ".join(f"{name}: {_count(tools[name])}" if load else name for name in names) or "no servers"
    ui.remark(f"{ui.safe(file_of(config) or 'no file: the defaults')}: valid ({servers})")


def _tools(settings: Settings) -> dict[str, list[str]]:
    """Return the names of all tools by server; print what a start warns of, such as arguments without a bound."""
    from mcpward.operations.cross_checks import name_remarks, start_remarks
    from mcpward.operations.tool_sources import load_tool_sources

    registries = asyncio.run(load_tool_sources(settings, CLOCK, needs_secrets=True))
    for line in name_remarks(registries):
        ui.remark(ui.safe(line))
    for one in start_remarks(settings, registries):
        ui.remark(ui.safe(f"{one.where}: {one.what}: {one.hint}" if one.where else f"{one.what}: {one.hint}"))
    return {name: sorted(tool.name for tool in registry.declared) for name, registry in registries.items()}


def _count(tools: list[str]) -> str:
    return f"{len(tools)} tool{'' if len(tools) == 1 else 's'}"


@app.command("show")
@examples("mcpward config show", "mcpward config show servers.orders")
def show(
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="A setting or a table, such as site.")] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Print the settings in force, and where each one came from. Secrets are masked."""
    rows = [row for row in shown(loaded(config)) if key is None or row.key == key or row.key.startswith(f"{key}.")]
    if not rows:
        _unknown(key or "")
    if json:
        ui.answer_json(
            {row.key: {"value": row.value, "origin": row.origin.layer, "where": row.origin.where} for row in rows}
        )
        return
    origins = [f"{row.origin.layer} {row.origin.where}".strip() for row in rows]
    ui.table(
        ("setting", "value", "from"), [(row.key, row.text, origin) for row, origin in zip(rows, origins, strict=True)]
    )


@app.command("explain")
@examples("mcpward config explain site.listen")
def explain_key(
    key: Annotated[
        str | None, typer.Argument(metavar="[KEY]", help="A setting, such as site.listen. Default: all.")
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the page of all settings.")] = False,
    json: JsonOption = False,
) -> None:
    """Explain a setting: its type, default, an example, and its variable in the environment."""
    if as_markdown:
        ui.answer(markdown().rstrip("\n"))
        return
    found = [explain(key)] if key else list(explain_all())
    known = [one for one in found if one is not None]
    if not known:
        _unknown(key or "")
    shapes = [_shape(one) for one in known]
    if json:
        ui.answer_json(shapes[0] if key else shapes)
        return
    for position, shape in enumerate(shapes):
        if position:
            ui.answer()
        for line in ui.aligned(list(shape.items())):
            ui.answer(line)


@app.command("schema")
@examples("mcpward config schema > mcpward.schema.json")
def schema(json: JsonOption = True) -> None:  # noqa: ARG001  # --json is taken everywhere; a schema is nothing else
    """Print the JSON schema of mcpward.toml, for editors."""
    ui.answer_json(schema_of())


def _tls_findings(site: Loaded) -> list[Finding]:
    if site.settings.site.tls_cert is None:
        return []
    from mcpward.app.tls import tls_findings

    return tls_findings(site, CLOCK)


def _shape(one: Explained) -> dict[str, str]:
    return {
        "key": one.key,
        "what": one.help,
        "type": one.type,
        "default": one.default or "(required)",
        "example": f"{one.key.rpartition('.')[2]} = {one.example}",
        "environment": one.env,
    }


def _unknown(key: str) -> NoReturn:
    meant = suggestion(key)
    raise ui.CommandEnded(
        ui.Exit.NO,
        f"there is no setting {key!r}",
        f"did you mean {meant}?" if meant else "mcpward config explain lists all",
    )
