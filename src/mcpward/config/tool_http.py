"""The settings of ``mcpward.http``: where the tools of one server may call, for how long, and for how much."""

from mcpward.config.fields import CalledHosts, Count, Seconds, Size
from mcpward.config.section import Section, key


class ToolHttp(Section):
    """[servers.<name>.http]: requests of its tools by `mcpward.http`. Private networks are those of [egress] allow."""

    hosts: CalledHosts = key(
        (),
        "hosts that its tools may call: `api.stripe.com`, `api.stripe.com:8443` for another port than that of https, "
        "`*.example.com` for every name below; if not set, every public host",
        '["api.stripe.com", "*.example.com"]',
    )
    timeout_s: Seconds = key(10.0, "seconds that one request may take, redirects included", "10.0")
    max_bytes: Size = key("4 MiB", "largest body of a response", '"4 MiB"')
    max_connections: Count = key(20, "requests at once by one worker; others wait, callers in turn", "20")
