"""The tools that tests of the running process call: they leave notes, fail in every way, and give secrets away."""

TOOLS = '''
import asyncio
import datetime
import sqlite3
from typing import Annotated
from mcpward import Caller, Context, DateRange, EmbeddedResource, Limit, Server, ToolError, ToolResult, env

server = Server("bench", version="1.0")


def note(text):
    with open("notes.txt", "a") as file:
        file.write(text + "\\n")


@server.tool(read_only=True)
async def echo(text: str) -> str:
    """Give the text back."""
    return text


@server.tool(read_only=True)
async def table() -> ToolResult:
    """Give a table."""
    return ToolResult([EmbeddedResource("bench://table", text="=1", mime_type="text/csv")])


@server.tool(read_only=True)
async def whoami(caller: Caller) -> dict[str, str]:
    """Say who is calling."""
    return {"subject": caller.subject, "way": caller.way.value}


@server.tool(read_only=True)
async def work(name: str, seconds: float) -> str:
    """Work for a while, and leave notes of it."""
    note(f"began {name}")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        note(f"cancelled {name}")
        raise
    note(f"ended {name}")
    return "done"


@server.tool(read_only=True)
async def count(steps: int, ctx: Context) -> str:
    """Count, and say how far."""
    for step in range(steps):
        await ctx.report_progress(step + 1, steps, f"step {step + 1}")
        await asyncio.sleep(0.06)
    return "counted"


@server.tool(read_only=True, guards=[DateRange("start", "end", max_days=90)])
async def between(start: datetime.date, end: datetime.date, limit: Annotated[int, Limit(max=100)] = 20) -> str:
    """Days between."""
    return str((end - start).days)


@server.tool(read_only=True)
async def large(size: int) -> str:
    """A long text."""
    return "x" * size


@server.tool(read_only=True)
async def crash(text: str) -> str:
    """Fail with a private message."""
    raise RuntimeError(f"private detail /etc/passwd {text}")


@server.tool(read_only=True)
async def scold() -> str:
    """Fail with a public message."""
    raise ToolError("that cannot be done")


@server.tool(read_only=True)
async def leak() -> str:
    """Give a secret away."""
    return f"the token is {env.TOKEN.reveal()}"


@server.tool(read_only=True, scopes=["notes:read"])
async def scoped() -> str:
    """For holders of a scope."""
    return "read"


@server.tool()
async def store(value: str) -> str:
    """Write something."""
    return f"stored {len(value)}"


@server.tool(destructive=True)
async def wipe(what: str) -> str:
    """Destroy something; tells how many intents of it another process sees on disk meanwhile."""
    db = sqlite3.connect("file:.mcpward/mcpward.db?mode=ro", uri=True)
    try:
        seen = db.execute("SELECT count(*) FROM traffic WHERE phase = 'intent' AND arguments LIKE ?", (f"%{what}%",))
        return str(seen.fetchone()[0])
    finally:
        db.close()


@server.tool(read_only=True)
async def ask(ctx: Context) -> str:
    """Ask the client's model."""
    return (await ctx.sample("Say something.", max_tokens=9)).text


@server.tool(read_only=True, confirm=True)
async def careful() -> str:
    """Do something that a person must agree to."""
    return "done with care"


@server.tool(read_only=True, task="optional")
async def job() -> str:
    """Do something that may go on after its answer."""
    return "done in time"


@server.resource("bench://readme", mime_type="text/plain")
async def readme() -> str:
    """What this is."""
    return "a bench"


@server.resource("bench://broken", mime_type="text/plain")
async def broken() -> str:
    """A resource that fails."""
    raise RuntimeError("private detail of the resource")


@server.prompt()
async def greet(name: str) -> str:
    """Greet somebody."""
    return f"Say hello to {name}."
'''
