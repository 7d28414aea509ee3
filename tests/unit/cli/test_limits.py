"""The usage of limits: asked of the running workers, shown to people and programs, reset on demand."""

import asyncio
import json
import threading
from contextlib import contextmanager
from typing import cast

import pytest

from mcpward.app.usage import Usage
from mcpward.cli import ui
from mcpward.cli.site import CLOCK, settings_of
from mcpward.cli.usage_bar import bar, lines_of, shape_of, span_text
from mcpward.limits.rates.bucket_usage import BucketUsage
from mcpward.limits.rates.charge import Limits
from mcpward.operations.bus import bus_of
from mcpward.operations.site import open_site

EVIL = "\x1b]0;owned\x07\x1b[2J\r\nfake line\u202e"
KEY = "4f9QkZp2LmXa"


def use(caller=f"api-key:{KEY}", remaining=100, most=120, limit="read", scope="orders", reset_s=1):
    return BucketUsage(limit=limit, scope=scope, caller=caller, remaining=remaining, most=most, reset_s=reset_s)


USES = (
    use(),
    use("api-key:other0000000", 0, 20, "write", "notes", 3),
    use("", 9_000, 10_000, "budget-stripe-day", "", 25_920),
    use("oauth:alice", 59, 60, "tool", "orders\0find"),
)


class Counters:
    def __init__(self, uses):
        self.held = list(uses)

    def _meant(self, match):
        return [one for one in self.held if match.fits(one.limit, one.scope, one.caller)]

    async def uses(self, match):
        return self._meant(match)

    async def reset(self, match):
        meant = self._meant(match)
        self.held = [one for one in self.held if one not in meant]
        return len(meant)


@pytest.fixture
def worker(site):
    """Serves the site's questions about limits in a thread of its own, as the one worker does."""

    @contextmanager
    def serve(*uses, of=1):
        counters, loop, ready, over = Counters(uses), asyncio.new_event_loop(), threading.Event(), asyncio.Event()

        async def run():
            async with open_site(settings_of(None), CLOCK) as opened:
                bus = bus_of(opened, CLOCK, alone=True)
                desk = Usage(bus, cast(Limits, counters), CLOCK, bus.worker, of)
                await bus.start()
                ready.set()
                await over.wait()
                await desk.close()
                await bus.stop()

        thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
        thread.start()
        try:
            assert ready.wait(20)
            yield counters
        finally:
            loop.call_soon_threadsafe(over.set)
            thread.join(20)
            loop.close()

    return serve


def test_what_is_used_is_shown_the_most_used_first(cli, worker):
    with worker(*USES):
        said = cli("limits")
        listed = cli("limits", "--json")
    assert (said.code, said.err) == (0, "")
    header, first, *_, last = said.out.splitlines()
    assert header.split() == ["limit", "scope", "caller", "used", "of", "resets", "in"]
    assert first.split()[:6] == ["write", "notes", "api-key:other0000000", "20", "20", "3s"]
    assert last.split()[:3] == ["tool", "orders/find", "oauth:alice"]
    assert "site" in said.out
    assert "7h 12m" in said.out
    assert listed.json[0] == {
        "limit": "write", "server": "notes", "tool": None, "caller": "api-key:other0000000", "used": 20, "of": 20,
        "remaining": 0, "reset_s": 3,
    }  # fmt: skip
    assert [one["limit"] for one in listed.json] == ["write", "read", "budget-stripe-day", "tool"]
    assert listed.json[3]["tool"] == "find"
    assert listed.json[2]["server"] is None
    assert listed.json[2]["caller"] is None


@pytest.mark.parametrize(
    "options, limits",
    [
        (("--server", "orders"), ["read", "tool"]),
        (("--caller", f"api-key:{KEY}"), ["read"]),
        (("--caller", KEY), ["read"]),
        (("--limit", "budget-stripe-day"), ["budget-stripe-day"]),
        (("--server", "orders", "--limit", "tool"), ["tool"]),
    ],
)
def test_every_option_narrows(cli, worker, options, limits):
    with worker(*USES):
        assert [one["limit"] for one in cli("limits", "--json", *options).json] == limits


@pytest.mark.parametrize(
    "options, code, told, hint",
    [
        (("--limit", "stripe"), 2, "there is no limit 'stripe'", "did you mean budget-stripe-day?"),
        (("--limit", "raed"), 2, "there is no limit 'raed'", "did you mean read?"),
        (("--limit", "knocks"), 2, "there is no limit 'knocks'", "knocks is now auth_failures"),
        (("--caller", KEY), 1, f"there is no key {KEY!r}, and no record of one", "mcpward key list prints"),
        (("--caller", "operator:bob"), 1, "there is no caller 'operator:bob'", "mcpward key list prints"),
    ],
)
def test_a_limit_and_a_caller_that_are_not_there_are_named(cli, worker, site, options, code, told, hint):
    with (site / "mcpward.toml").open("a") as file:
        file.write('[budgets.stripe]\nquota = "10000/day"\n')
    with worker(USES[1]):
        for verb in ((), ("reset",), ("reset", "--yes")):
            said = cli("limits", *verb, *options)
            assert (said.code, said.out) == (code, "")
            assert f"error: {told}" in said.err
            assert f"hint: {hint}" in said.err
    assert cli("limits", *options).code == code  # whether a worker serves or not


def test_a_key_that_is_misspelt_is_found(cli, worker):
    key_id = cli("key", "create", "--name", "a", "--server", "orders", "--json").json["id"]
    with worker(*USES):
        said = cli("limits", "--caller", key_id[:-1] + ("0" if key_id[-1] != "0" else "1"))
    assert f"hint: did you mean api-key:{key_id}?" in said.err


def test_what_is_there_and_has_no_counts_says_so(cli, worker):
    key_id = cli("key", "create", "--name", "a", "--server", "orders", "--json").json["id"]
    with worker(*USES):
        said = cli("limits", "--limit", "quota-day", "--server", "notes", "--json")
        assert (said.code, said.json) == (1, [])
        assert "error: no limit is in use of the limit quota-day of server notes\n" in said.err
        said = cli("limits", "--caller", key_id)
        assert (said.code, said.out) == (1, "")
        assert f"error: no limit is in use of all limits by api-key:{key_id}\n" in said.err


def test_what_is_in_use_is_found_though_the_sites_file_has_it_no_more(cli, worker):
    with worker(*USES):
        assert cli("limits", "--limit", "budget-stripe-day", "--json").json[0]["used"] == 1000
        assert cli("limits", "reset", "--caller", "oauth:alice", "--yes").code == 0


def test_nobody_serves(cli, site):
    assert cli("limits").code == 3  # there is no data yet
    cli("key", "create", "--name", "a", "--server", "orders")
    for words in (("limits",), ("limits", "--watch"), ("limits", "reset", "--yes")):
        said = cli(*words)
        assert (said.code, said.out) == (3, "")
        assert said.err.startswith("error: no running worker answered")


def test_a_worker_that_is_silent_is_missed(cli, worker):
    with worker(*USES, of=2):
        said = cli("limits", "--json")
    assert said.code == 0
    assert said.err == "1 of 2 workers answered; the others are not counted\n"


def test_a_reset_is_asked_for_first(cli, worker):
    with worker(*USES) as counters:
        said = cli("limits", "reset", "--caller", KEY)
        assert (said.code, said.out, len(counters.held)) == (1, "", 4)
        said = cli("limits", "reset", "--caller", KEY, "--yes")
        assert (said.code, said.out) == (0, "")
        assert "1 counter of all limits by api-key" in said.err
        assert USES[0] not in counters.held
        said = cli("limits", "reset", "--limit", "read", "--yes")
        assert (said.code, said.out) == (1, "")
        said = cli("limits", "reset", "--yes", "--json")
        assert (said.code, said.json) == (0, {"reset": 3})
        assert counters.held == []


@pytest.mark.parametrize("options", [("--caller", KEY), ("--limit", "read"), ("--server", "orders"), ("--watch",)])
def test_an_option_before_reset_is_not_overlooked(cli, worker, options):
    with worker(*USES) as counters:
        said = cli("limits", *options, "reset", "--yes")
        assert (said.code, len(counters.held)) == (2, 4)
        assert "after reset" in said.err


def test_the_file_that_the_environment_names_is_taken_for_both(cli, worker, site, monkeypatch):
    monkeypatch.setenv("MCPWARD_CONFIG", str(site / "mcpward.toml"))
    with worker(*USES):
        assert cli("limits", "reset", "--yes").code == 0


def test_a_server_that_is_not_there_is_named(cli, site):
    said = cli("limits", "--server", "order")
    assert (said.code, said.out) == (2, "")
    assert "did you mean orders?" in said.err


def test_watching_shows_it_again_and_again_also_while_nobody_serves(cli, site, monkeypatch, capsys):
    from mcpward.cli import limits
    from mcpward.core.errors import Unreachable
    from mcpward.limits.rates.bucket_usage import BucketFilter
    from mcpward.operations.worker_query import WorkerAnswers

    answers: list[WorkerAnswers | Unreachable] = [
        WorkerAnswers(uses=(use(),), answered=1, workers=1),
        Unreachable("no worker answers"),
        WorkerAnswers(answered=1),
    ]

    class Tally:
        async def reset(self, match: BucketFilter) -> WorkerAnswers:
            raise NotImplementedError

        async def uses(self, match: BucketFilter) -> WorkerAnswers:
            if not answers:
                raise KeyError("the end")
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

    monkeypatch.setattr(limits, "_EVERY_S", 0.0)
    with pytest.raises(KeyError, match="the end"):
        asyncio.run(limits._watch(Tally(), BucketFilter(), as_json=False))
    shown = capsys.readouterr().out
    assert shown.index("api-key") < shown.index("no worker answers") < shown.index("no limit is in use")
    answers += [WorkerAnswers(uses=(use(),), answered=1), WorkerAnswers(answered=1)]
    with pytest.raises(KeyError, match="the end"):
        asyncio.run(limits._watch(Tally(), BucketFilter(), as_json=True))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["uses"] for line in lines] == [[shape_of(use())], []]


def test_110_a_caller_cannot_write_on_the_terminal(capsys):
    (_, line) = lines_of([use(EVIL, scope=f"orders\0{EVIL}")])
    assert line.isprintable()
    assert lines_of([use()] * 50, most=10)[-1] == lines_of([use()])[-1]
    assert len(lines_of([use()] * 50, most=10)) == 10


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "0s"),
        (3, "3s"),
        (60, "1m"),
        (125, "2m 5s"),
        (3_600, "1h"),
        (3_605, "1h"),
        (25_920, "7h 12m"),
        (86_400, "1d"),
    ],
)
def test_spans_are_told_in_two_units_at_the_most(seconds, text):
    assert span_text(seconds) == text


@pytest.mark.parametrize("used, marks", [(0, 0), (1, 1), (60, 5), (119, 9), (120, 10), (500, 10)])
def test_a_bar_is_empty_only_at_none_and_full_only_at_all(used, marks):
    drawn = bar(used, 120)
    assert len(drawn) == 10
    assert drawn.count(drawn[0]) == (marks or 10)
    assert ui.safe(drawn) == drawn


@pytest.mark.parametrize(
    "words, found",
    [
        ("mcpward limits --server ", {"orders", "notes"}),
        ("mcpward limits reset --server n", {"notes"}),
        ("mcpward log --server o", {"orders"}),
        ("mcpward key list --server o", {"orders"}),
        ("mcpward secret list --server o", {"orders"}),
        ("mcpward limits --limit budget", {"budget-stripe", "budget-stripe-day"}),
        ("mcpward log --limit quota-d", {"quota-day"}),
    ],
)
def test_names_are_completed(site, monkeypatch, capsys, words, found):
    from mcpward.cli.main import app

    with (site / "mcpward.toml").open("a") as file:
        file.write('[budgets.stripe]\nrate = "5/second"\nquota = "10000/day"\n')
    monkeypatch.setenv("_MCPWARD_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    with pytest.raises(SystemExit):
        app(prog_name="mcpward")
    assert set(capsys.readouterr().out.split()) == found


def test_a_file_that_cannot_be_read_completes_nothing_and_says_nothing(site, monkeypatch, capsys):
    from mcpward.cli.main import app

    (site / "mcpward.toml").write_text("[[[")
    monkeypatch.setenv("_MCPWARD_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "mcpward limits --server ")
    monkeypatch.setenv("COMP_CWORD", "3")
    with pytest.raises(SystemExit):
        app(prog_name="mcpward")
    said = capsys.readouterr()
    assert (said.out.strip(), said.err) == ("", "")


def test_loops_begin_anew_and_the_command_says_so_although_they_are_not_listed(cli, worker):
    with worker(*USES):
        listed = cli("limits", "--limit", "repeat")
        reset = cli("limits", "reset", "--limit", "repeat", "--yes")
        as_json = cli("limits", "reset", "--limit", "repeat", "--yes", "--json")
    assert listed.code == 1
    assert "mcpward log --limit repeat" in listed.err
    assert (reset.code, reset.err.strip()) == (0, "loop counters are reset")
    assert (as_json.code, json.loads(as_json.out)) == (0, {"reset": 0})
