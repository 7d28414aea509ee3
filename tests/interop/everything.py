"""The server that the official conformance suite wants to see, as far as mcpward serves it: fixed tools and texts."""

from base64 import b64decode

from mcpward import Audio, Context, EmbeddedResource, Image, Server, Text, ToolError
from mcpward.sdk.content import Message

PIXEL = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==")
SILENCE = b64decode("UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=")

server = Server("everything", version="1.0", instructions="For the conformance suite.")


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


@server.resource("test://static-text", title="Static text", mime_type="text/plain")
def static_text() -> str:
    """A text."""
    return "This is the content of the static text resource."


@server.resource("test://static-binary", title="Static binary", mime_type="image/png")
def static_binary() -> bytes:
    """A picture."""
    return PIXEL


@server.prompt()
def test_simple_prompt() -> str:
    """A prompt without arguments."""
    return "This is a simple prompt for testing."


@server.prompt()
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """A prompt with two arguments."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@server.prompt()
def test_prompt_with_embedded_resource(resourceUri: str) -> list[Message]:  # noqa: N803 - the suite's own spelling
    """A prompt that holds a resource."""
    resource = EmbeddedResource(resourceUri, text="Embedded resource content for testing.")
    return [Message(resource), Message("Please process the embedded resource above.")]


@server.prompt()
def test_prompt_with_image() -> list[Message]:
    """A prompt that holds a picture."""
    return [Message(Image(PIXEL)), Message("Please analyze the image above.")]
