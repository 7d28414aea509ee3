"""Everything that the official conformance suite expects: its tools, texts, keys and switches, by its own names."""

import asyncio
from base64 import b64decode
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from mcpward import Audio, Context, Elicit, EmbeddedResource, Header, Image, Roots, Sample, Server, Text, ToolError
from mcpward.sdk.content import Message

PIXEL = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==")
SILENCE = b64decode("UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=")

server = Server("everything", version="1.0", instructions="For the conformance suite.")


# ---- content -------------------------------------------------------------------------------------------------------


@server.tool(read_only=True, structured=False)
async def test_simple_text() -> str:
    """A text."""
    return "This is a simple text response for testing."


@server.tool(read_only=True)
async def test_image_content() -> Image:
    """A picture."""
    return Image(PIXEL)


@server.tool(read_only=True)
async def test_audio_content() -> Audio:
    """A sound."""
    return Audio(SILENCE)


@server.tool(read_only=True)
async def test_embedded_resource() -> EmbeddedResource:
    """A resource inside of a result."""
    return EmbeddedResource("test://embedded-resource", text="This is an embedded resource content.")


@server.tool(read_only=True, structured=False)
async def test_multiple_content_types() -> list[Text | Image | EmbeddedResource]:
    """Three blocks of three kinds."""
    resource = EmbeddedResource(
        "test://mixed-content-resource", text='{"test":"data","value":123}', mime_type="application/json"
    )
    return [Text("Multiple content types test:"), Image(PIXEL), resource]


@server.tool(read_only=True, structured=False)
async def test_error_handling() -> str:
    """A failure that the author words."""
    raise ToolError("This tool intentionally returns an error for testing")


@server.tool(read_only=True, structured=False)
async def test_tool_with_progress(ctx: Context) -> str:
    """Progress in three steps."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100, f"Completed step {done} of 100")
    return "done"


@server.tool(read_only=True, structured=False)
async def test_tool_with_logging(ctx: Context) -> str:
    """Three log messages."""
    await ctx.info("Tool execution started")
    await ctx.info("Tool processing data")
    await ctx.info("Tool execution completed")
    return "done"


# ---- resources, prompts, completion -----------------------------------------------------------------------------


@server.resource("test://static-text", title="Static text", mime_type="text/plain")
def static_text() -> str:
    """A text."""
    return "This is the content of the static text resource."


@server.resource("test://static-binary", title="Static binary", mime_type="image/png")
def static_binary() -> bytes:
    """A picture."""
    return PIXEL


@server.resource("test://watched-resource", title="Watched", mime_type="text/plain")
def watched() -> str:
    """A text that may change."""
    return "This text may change."


@server.resource("test://template/{id}/data", mime_type="application/json")
def template_data(id: str) -> dict[str, Any]:
    """Data of an id."""
    return {"id": id, "templateTest": True, "data": f"Data for ID: {id}"}


@server.prompt()
def test_simple_prompt() -> str:
    """A prompt without arguments."""
    return "This is a simple prompt for testing."


@server.prompt()
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """A prompt with two arguments."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@server.completion(prompt="test_prompt_with_arguments", argument="arg1")
async def arguments_beginning_with(value: str) -> list[str]:
    """Return words that begin so."""
    return [word for word in ("paris", "park", "party", "test", "testing") if word.startswith(value)]


@server.prompt()
def test_prompt_with_embedded_resource(resourceUri: str) -> list[Message]:  # noqa: N803 - the suite's own spelling
    """A prompt that holds a resource."""
    resource = EmbeddedResource(resourceUri, text="Embedded resource content for testing.")
    return [Message(resource), Message("Please process the embedded resource above.")]


@server.prompt()
def test_prompt_with_image() -> list[Message]:
    """A prompt that holds a picture."""
    return [Message(Image(PIXEL)), Message("Please analyze the image above.")]


# ---- schemas and headers -------------------------------------------------------------------------------------------

SCHEMA_2020_12: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


@server.tool(read_only=True, structured=False, input_schema=SCHEMA_2020_12)
async def json_schema_2020_12_tool(arguments: dict[str, Any]) -> str:
    """A tool with a schema of its own."""
    return f"{arguments.get('name', 'somebody')}: {arguments.get('phone') or arguments.get('email')}"


@server.tool(read_only=True, structured=False)
async def test_x_mcp_header(region: Annotated[str, Header("Region")]) -> str:
    """An argument that also comes as a header."""
    return f"region: {region}"


# ---- questions to the client, in both eras -------------------------------------------------------------------------


class Name(BaseModel):
    """Who."""

    name: str


class Contact(BaseModel):
    """Who, and where to write to."""

    username: Annotated[str, Field(description="User's response")]
    email: Annotated[str, Field(description="User's email address")]


class Defaults(BaseModel):
    """A field of every kind with its default (SEP-1034)."""

    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: Literal["active", "inactive", "pending"] = "active"
    verified: bool = True


def titled(*titles: str) -> list[dict[str, str]]:
    """Return values with titles, as SEP-1330 has them."""
    return [{"const": f"value{at}", "title": title} for at, title in enumerate(titles, 1)]


FIRST = ("First Option", "Second Option", "Third Option")
CHOICE = ("First Choice", "Second Choice", "Third Choice")
LEGACY = {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]}


class Choices(BaseModel):
    """The five ways to choose (SEP-1330)."""

    untitledSingle: Literal["option1", "option2", "option3"]  # noqa: N815 - the suite's own spelling
    titledSingle: Annotated[str, WithJsonSchema({"type": "string", "oneOf": titled(*FIRST)})]  # noqa: N815
    legacyEnum: Annotated[str, WithJsonSchema(LEGACY)]  # noqa: N815
    untitledMulti: list[Literal["option1", "option2", "option3"]]  # noqa: N815
    titledMulti: Annotated[list[str], WithJsonSchema({"type": "array", "items": {"anyOf": titled(*CHOICE)}})]  # noqa: N815


class Confirmation(BaseModel):
    """Yes or no."""

    ok: bool


class Color(BaseModel):
    """A color."""

    color: str


class Purpose(BaseModel):
    """The purpose."""

    context: str


@server.tool(read_only=True, structured=False)
async def test_sampling(prompt: str, ctx: Context) -> str:
    """Ask the client's model."""
    answer = await ctx.sample(prompt, max_tokens=100)
    return f"LLM response: {answer.text}"


@server.tool(read_only=True, structured=False)
async def test_missing_capability(ctx: Context) -> str:
    """Needs the client's model."""
    return (await ctx.sample("Is anybody there?", max_tokens=10)).text


@server.tool(read_only=True, structured=False)
async def test_elicitation(message: str, ctx: Context) -> str:
    """Ask the person."""
    answer = await ctx.elicit(message, Contact)
    return f"User response: action={answer.action}, content={answer.data}"


@server.tool(read_only=True, structured=False)
async def test_streaming_elicitation(ctx: Context) -> str:
    """Ask the person, who may not be asked by a request on the stream of a modern call."""
    answer = await ctx.elicit("Who are you?", Name)
    return f"User response: action={answer.action}"


@server.tool(read_only=True, structured=False)
async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    """Ask with defaults."""
    answer = await ctx.elicit("Please check these", Defaults)
    return f"Elicitation completed: action={answer.action}, content={answer.data}"


@server.tool(read_only=True, structured=False)
async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    """Ask for choices."""
    answer = await ctx.elicit("Please choose", Choices)
    return f"Elicitation completed: action={answer.action}, content={answer.data}"


@server.tool(read_only=True, structured=False)
async def test_input_required_result_elicitation(ctx: Context) -> str:
    """Ask for a name."""
    answer = await ctx.elicit("What is your name?", Name, key="user_name")
    return f"Hello, {answer.data.name if answer.data else 'stranger'}!"


@server.tool(read_only=True, structured=False)
async def test_input_required_result_sampling(ctx: Context) -> str:
    """Ask the client's model."""
    return (await ctx.sample("What is the capital of France?", max_tokens=100, key="capital_question")).text


@server.tool(read_only=True, structured=False)
async def test_input_required_result_list_roots(ctx: Context) -> str:
    """Ask for the client's roots."""
    return " ".join(root.uri for root in await ctx.roots(key="client_roots"))


@server.tool(read_only=True, structured=False)
async def test_input_required_result_request_state(ctx: Context) -> str:
    """Ask, and go on only with the state that was given out."""
    answer = await ctx.elicit("Please confirm", Confirmation, key="confirm")
    return f"state-ok, {answer.action}"


@server.tool(read_only=True, structured=False)
async def test_input_required_result_tampered_state(ctx: Context) -> str:
    """Ask; a changed state is refused."""
    answer = await ctx.elicit("Please confirm", Confirmation, key="confirm")
    return f"confirmed: {answer.action}"


@server.tool(read_only=True, structured=False)
async def test_input_required_result_multiple_inputs(ctx: Context) -> str:
    """Ask three things in one round."""
    answers = await ctx.ask(
        user_name=Elicit("What is your name?", Name), greeting=Sample("Generate a greeting", max_tokens=50),
        client_roots=Roots(),
    )  # fmt: skip
    return f"{answers['greeting'].text} {answers['user_name'].action}, {len(answers['client_roots'])} roots"


@server.tool(read_only=True, structured=False)
async def test_input_required_result_multi_round(ctx: Context) -> str:
    """Ask one thing after the other."""
    name = await ctx.elicit("Step 1: What is your name?", Name, key="step1")
    color = await ctx.elicit("Step 2: What is your favorite color?", Color, key="step2")
    return f"{name.data.name if name.data else '?'} likes {color.data.color if color.data else '?'}"


@server.tool(read_only=True, structured=False)
async def test_input_required_result_capabilities(ctx: Context) -> str:
    """Ask only what the client can answer."""
    questions: dict[str, Any] = {}
    if "sampling" in ctx.client_capabilities:
        questions["capital_question"] = Sample("What is the capital of France?", max_tokens=100)
    if "elicitation" in ctx.client_capabilities:
        questions["user_name"] = Elicit("What is your name?", Name)
    return f"{len(await ctx.ask(**questions))} answers"


@server.prompt()
async def test_input_required_result_prompt(ctx: Context) -> str:
    """A prompt that asks first."""
    answer = await ctx.elicit("What context should the prompt use?", Purpose, key="user_context")
    return f"Use this context: {answer.data.context if answer.data else 'none'}."


# ---- streams and changes -------------------------------------------------------------------------------------------


@server.tool(read_only=True, structured=False)
async def test_reconnection(ctx: Context) -> str:
    """Let go of the stream; the client comes back for the answer (SEP-1699)."""
    ctx.release_stream()
    await asyncio.sleep(0.3)
    return "Reconnection test completed."


@server.tool(read_only=True, structured=False)
async def test_logging_tool(ctx: Context) -> str:
    """Send a message to clients that asked for it."""
    await ctx.info("Tool execution started")
    return "done"


@server.tool(read_only=True, structured=False, enabled=False)
async def test_switched_tool() -> str:
    """A tool that comes and goes."""
    return "here"


@server.prompt(enabled=False)
def test_switched_prompt() -> str:
    """A prompt that comes and goes."""
    return "here"


@server.tool(structured=False)
async def test_trigger_tool_change() -> str:
    """Change the list of tools."""
    server.enable(tool="test_switched_tool")
    server.disable(tool="test_switched_tool")
    return "changed"


@server.tool(structured=False)
async def test_trigger_prompt_change() -> str:
    """Change the list of prompts."""
    server.enable(prompt="test_switched_prompt")
    server.disable(prompt="test_switched_prompt")
    return "changed"


# ---- tasks (SEP-2663) ----------------------------------------------------------------------------------------------


class Approval(BaseModel):
    """Yes or no, and whose word it is."""

    confirm: bool
    name: str = ""


@server.tool(read_only=True, structured=False)
async def greet(name: str) -> str:
    """Greet, never as a task."""
    return f"Hello, {name}!"


@server.tool(read_only=True, structured=False, task="optional", deadline_s=120)
async def slow_compute(seconds: Annotated[int, Field(ge=0, le=120)], label: str = "") -> str:
    """Take a while."""
    await asyncio.sleep(seconds)
    return f"computed {label} in {seconds} s"


@server.tool(read_only=True, structured=False, task="required")
async def failing_job() -> str:
    """Fail, and say why."""
    await asyncio.sleep(1)
    raise ToolError("the job failed")


@server.tool(read_only=True, structured=False, task="optional")
async def protocol_error_job() -> str:
    """Break."""
    raise RuntimeError("broken")


@server.tool(destructive=True, structured=False, task="optional")
async def confirm_delete(filename: str, ctx: Context) -> str:
    """Ask before something is deleted."""
    answer = await ctx.elicit(f"Delete {filename}?", Approval)
    return f"deleted {filename}" if answer.data and answer.data.confirm else f"kept {filename}"


@server.tool(read_only=True, structured=False, task="optional")
async def multi_input(ctx: Context) -> str:
    """Ask two things at once."""
    answers = await ctx.ask(first=Elicit("The first?", Approval), second=Elicit("The second?", Approval))
    return ", ".join(f"{key}: {answer.data.name}" for key, answer in sorted(answers.items()))


@server.tool(read_only=True, structured=False, task="required", ask_first=True)
async def test_tool_with_task(ctx: Context) -> str:
    """Ask, then become a task."""
    answer = await ctx.elicit("What is your name?", Name, key="user_name")
    return f"Hello, {answer.data.name if answer.data else 'stranger'}!"
