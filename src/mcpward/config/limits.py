"""The settings of limits: how often, how much in a day, how many at once, and what stands behind tools.

``on_store_failure`` is settled when the file is read: unset values inherit from ``[limits]``.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from mcpward.config.confirm import QuestionOrNone
from mcpward.config.counters import MEMORY
from mcpward.config.fields import (
    Count,
    Counters,
    Failure,
    LimitingOrOff,
    LimitingText,
    Namespace,
    PoolNames,
    QuotaOrOff,
    RateOrOff,
    RationingOrOff,
    Seconds,
    Share,
    Untrusted,
)
from mcpward.config.limit_syntax import settled
from mcpward.config.names import (
    check_argument_name,
    check_budget_name,
    check_caller_value,
    check_pool_name,
    check_tool_name,
)
from mcpward.config.output import ToolOutput
from mcpward.config.section import Section, key
from mcpward.config.tool_guards import ToolGuards
from mcpward.core.values import Budget, Enforcement, Pool

BudgetName = Annotated[str, AfterValidator(check_budget_name)]
PoolName = Annotated[str, AfterValidator(check_pool_name)]
ArgumentName = Annotated[str, AfterValidator(check_argument_name)]
CallerValue = Annotated[str, AfterValidator(check_caller_value)]
ToolName = Annotated[str, AfterValidator(check_tool_name)]
_FAILURE = "while the shared counters are away; if not set, that of [limits]"


class SiteLimits(Section):
    """[limits]: the place of counters, and limits for callers that are not identified yet."""

    counters: Counters = key(
        MEMORY,
        "where counters live: in each worker's memory, or in Redis or Valkey for all workers and hosts of the site: "
        "`redis://user:password@host:6379/0`, `rediss://` with TLS, several nodes of a cluster separated by commas; "
        "`env:NAME` takes it from the environment",
        '"redis://127.0.0.1:6379/0"',
        secret=True,
    )
    namespace: Namespace = key("mcpward", "prefix of this site's counters, for sites that share a Redis", '"shop"')
    counters_timeout_s: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] = key(
        0.3, "seconds in which Redis must answer; then it counts as away", "0.5"
    )
    fallback_share: Share = key(
        0.5, "part of a limit that all workers of this host allow together while Redis is away (`local`)", "0.25"
    )
    on_store_failure: Failure = key(
        "local",
        "what applies while Redis is away, for every limit that does not set it: `closed` refuses, `open` allows, "
        "`local` counts in memory with fallback_share of the limit",
        '"closed"',
    )
    auth_failures: LimitingText = key(
        "10/minute",
        "failed credentials per address; further failures get 429, without a lookup",
        '"10/minute"',
    )
    requests: LimitingText = key(
        "6000/minute burst 600",
        "requests per address without a valid credential, and per caller",
        '"6000/minute burst 600"',
    )
    caller: LimitingOrOff = key(
        "", 'tool calls and reads of one caller at all servers of the site together; "" is off', '"300/minute burst 60"'
    )
    max_callers: Count = key(100_000, "callers and addresses counted at once; bounds the memory", "100000")
    streams: Count = key(16, "open streams for changes of one caller at one worker", "4")

    @field_validator("auth_failures", "requests", "caller", mode="after")
    @classmethod
    def _settled(cls, limit: Any, info: ValidationInfo) -> Any:
        return settled(limit, info.data.get("on_store_failure", "local"))

    @property
    def is_shared(self) -> bool:
        """Whether counters live in Redis, and not in the memory of each worker."""
        return self.counters != MEMORY


class ServerLimits(Section):
    """[servers.<name>.limits]: per caller and class of tool, and for the server as a whole."""

    read: LimitingText = key("120/minute", "calls of reading tools per caller", '"120/minute burst 20"')
    write: LimitingText = key("20/minute", "calls of writing tools per caller", '"20/minute"')
    destructive: LimitingText = key("6/minute", "calls of destructive tools per caller", '"6/minute"')
    discovery: LimitingText = key("120/minute", "lists, completions and opened streams per caller", '"120/minute"')
    lifecycle: LimitingText = key(
        "600/minute burst 120",
        "server/discover, initialize, notifications, answers and tasks per caller",
        '"600/minute"',
    )
    total: LimitingOrOff = key("", 'tool calls and reads of all callers together; "" is off', '"50/second"')
    quota: RationingOrOff = key(
        "", 'tool calls and reads per caller in each hour, day or month (UTC); "" is off', '"5000/day"'
    )
    concurrency: Count = key(64, "calls of this server that run at once", "16")
    caller_concurrency: Count = key(32, "calls of one caller that run at once at this server", "4")
    queue: Annotated[int, Field(ge=0, le=1_000_000)] = key(128, "calls that may wait for a free slot", "128")
    queue_timeout_s: Seconds = key(5.0, "seconds that a call may wait for a free slot", "5.0")
    deadline_s: Seconds = key(30.0, "seconds that a call may run, unless its tool sets another number", "30.0")
    repeat_read: LimitingOrOff = key(
        "30/minute",
        'the same call of a reading tool, or the same cycle of calls, in one conversation; "" is off',
        '"30/minute"',
    )
    repeat_write: LimitingOrOff = key("10/minute", 'the same of writing tools; "" is off', '"10/minute"')
    repeat_destructive: LimitingOrOff = key("3/minute", 'the same of destructive tools; "" is off', '"3/minute"')
    repeat_conversations: Annotated[int, Field(ge=1, le=100_000)] = key(
        4, "factor for all conversations of one caller together", "20"
    )

    def under(self, site: str) -> Self:
        """Return the same limits with ``site`` as the site's value of ``on_store_failure``."""
        return self.model_copy(update={name: settled(getattr(self, name), site) for name in type(self).model_fields})


class ToolSettings(Section):
    """[servers.<name>.tools.<name>]: the operator's additions to a tool."""

    rate: RateOrOff = key("", "calls of this tool per caller; replaces its author's rate", '"10/minute"')
    concurrency: Count | None = key(None, "calls of this tool that run at once; replaces its author's number", "3")
    pools: PoolNames = key((), "pools in which each call holds a slot; added to its author's", '["orders"]')
    budgets: dict[BudgetName, Annotated[int, Field(ge=0, le=100_000_000)]] = key(
        {}, "budgets that each call draws on, with the cost; added to its author's", "{ stripe = 2 }"
    )
    unknown_arguments: Literal["refuse", "drop-client", "drop"] | None = key(
        None, "what happens to arguments that this tool does not declare; replaces its author's option", '"drop"'
    )
    untrusted: Untrusted | None = key(
        None,
        "marks what it returns as data that strangers wrote: true, or the name of the origin; false trusts it. "
        "Replaces its author's option",
        '"mail"',
    )
    bind: dict[ArgumentName, CallerValue] = key(
        {},
        "arguments that the caller's identity fills; they leave the published schema. Values: caller.subject, "
        "caller.issuer, caller.client, caller.claims.NAME, caller.tags.NAME",
        '{ user_id = "caller.subject" }',
    )
    fixed: dict[ArgumentName, Any] = key(
        {}, "arguments with a fixed value; they leave the published schema", '{ region = "eu" }'
    )
    confirm: QuestionOrNone = key(
        None,
        "has a person agree to each call: `true`, or the question, in which `{name}` stands for an argument; replaces "
        "its author's question",
        '"Delete {path}?"',
    )
    guards: ToolGuards = key(
        (),
        "checks of its arguments, each a table with the name of its guard and its options; added to its author's "
        "([guards.md](guards.md))",
        '[{ guard = "date-range", start = "from_date", end = "to_date", max_days = 90 }]',
    )
    output: ToolOutput = Field(ToolOutput(), description="what must never leave in its results")


class BudgetSettings(Section):
    """[budgets.<name>]: a quota of something that several tools use up."""

    rate: RateOrOff = key("", "how fast it may be used", '"25/second"')
    quota: QuotaOrOff = key("", "how much there is in each hour, day or month (UTC)", '"10000/day"')
    enforce: bool = key(True, "false counts and records what would be refused, and refuses nothing", "false")
    on_store_failure: Failure | None = key(None, f"what applies {_FAILURE}", '"closed"')

    def under(self, site: str) -> Self:
        """Return the same budget with ``site`` as the site's value of ``on_store_failure``."""
        return self.model_copy(update={"on_store_failure": self.on_store_failure or site})

    def budget(self, name: str) -> Budget:
        """Return the budget of this name."""
        ruling = Enforcement(self.enforce, self.on_store_failure or "local")
        return Budget(name=name, rate=self.rate, quota=self.quota, ruling=ruling)


class PoolSettings(Section):
    """[pools.<name>]: a resource of tools that few calls may use at once."""

    concurrency: Count | None = key(
        None, "calls that hold a slot at once; if not set, that of the Database of this name", "5"
    )
    queue: Annotated[int, Field(ge=0, le=1_000_000)] = key(128, "calls that may wait for a free slot", "128")
    queue_timeout_s: Seconds = key(5.0, "seconds that a call may wait for a free slot", "5.0")
    on_store_failure: Failure | None = key(None, f"what applies {_FAILURE}", '"closed"')

    def under(self, site: str) -> Self:
        """Return the same pool with ``site`` as the site's value of ``on_store_failure``."""
        return self.model_copy(update={"on_store_failure": self.on_store_failure or site})

    def pool(self, name: str, size: int = 1) -> Pool:
        """Return the pool of this name; ``size`` is the one of its Database, if no size is set."""
        return Pool(
            name=name,
            slots=self.concurrency or size,
            queue=self.queue,
            queue_timeout_s=self.queue_timeout_s,
            on_store_failure=self.on_store_failure or "local",
        )
