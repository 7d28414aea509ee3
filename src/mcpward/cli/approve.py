"""``mcpward approve``: what waits for the operator's word."""

import typer

from mcpward.cli.approve_tools import approve_tools

app = typer.Typer(help="Approve what waits for you: tools.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def approve() -> None:
    """Approve what waits for you."""


app.command("tools")(approve_tools)
