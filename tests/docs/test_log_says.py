"""A page's promise about the log or the record has a test that sees it there."""

import re

import pytest

from support.sources import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "SECURITY.md", *(ROOT / "docs").glob("*.md")])
GENERATED = {"commands.md"}
PROMISE = re.compile(
    r"(?:the )?(?:log|record) (?:says|tells|names|has|have|logs)\b|\bin the log\b|in the log (?:or|and) the record"
    r"|the log and\s+the record|is `detail` in the record",
)

#: A piece of the sentence, by its page, and the test that sees what it promises.
KEPT = {
    ("README.md", "The record names the rule and the key"): "tests/wire/test_refused_keys.py",
    ("authoring.md", "The record says which names were dropped"): "tests/wire/test_arguments.py",
    ("authoring.md", "The record says what is missing"): "tests/wire/test_bound_arguments.py",
    ("authoring.md", "and the record show the value, marked"): "tests/wire/test_bound_arguments.py",
    ("authoring.md", "with a line in the log that has numbers and no values"): "tests/wire/test_bound_arguments.py",
    ("authoring.md", "The record says `operator:ACCOUNT` in place of an address"): "tests/wire/test_call.py",
    ("authoring.md", "second or longer, the log names it with its line"): "tests/wire/test_authors_mistakes.py",
    ("authoring.md", "is a warning in the log at each start"): "tests/wire/test_authors_mistakes.py",
    ("authoring.md", "the log says every 10 seconds what is waited for"): "tests/unit/tools/test_lifespans.py",
    ("authoring.md", "is an error in the log. Calls of functions that need it"): "tests/wire/test_lifespan.py",
    ("authoring.md", "Under that id the log and `mcpward log --json` (`detail`) name"): "tests/wire/test_withheld.py",
    ("authoring.md", "traceback is in the log under that id"): "tests/attack/test_canaries.py",
    ("authoring.md", "the log has the whole path"): "tests/wire/test_failed_tools.py",
    ("authoring.md", "The log has it under the error id, with your line"): "tests/wire/test_failed_tools.py",
    ("databases.md", "error id the log names your line, the statement"): "tests/wire/test_failed_tools.py",
    ("databases.md", "The statement stands in the log as it"): "tests/wire/test_failed_tools.py",
    ("approvals.md", "The record of the run says how it was approved"): "tests/wire/test_consent.py",
    ("policy.md", "The record names the rule."): "tests/wire/test_policy_rules.py",
    ("configuration.md", "the record names what was dropped"): "tests/wire/test_arguments.py",
    ("injection.md", "the record names the reason in `detail`"): "tests/wire/test_pins.py",
    ("injection.md", "The record has the reason in `detail`, of asked"): "tests/wire/test_taint.py",
    ("limits.md", "one line in the log when it goes and when it comes back"): "tests/attack/test_shared_limits.py",
    ("metrics.md", "or is an older copy; the log says which"): "tests/attack/test_forged_store.py",
    ("metrics.md", "the log says where and why"): "tests/wire/test_lifespan.py",
    ("metrics.md", "a line of the log says why"): "tests/wire/test_operators_day.py",
    ("oauth.md", "has a line of its own in the log"): "tests/unit/identity/test_bearer.py",
    ("oauth.md", "the log says if it cannot be"): "tests/unit/identity/test_jwks.py",
    ("oauth.md", "The log has one line with its name and reason"): "tests/unit/identity/test_jwks.py",
    ("oauth.md", "`mcpward log` has the private detail of each refusal"): "tests/wire/test_refused_keys.py",
    ("oauth.md", "the log names skipped entries"): "tests/unit/identity/test_jwks.py",
    ("oauth.md", "the log says which and why, once"): "tests/unit/identity/test_jwks.py",
    ("operating.md", "The log has a line (`a worker died and was replaced`"): "tests/wire/test_operators_day.py",
    ("operating.md", "the log says so. A pair that is not right"): "tests/wire/test_tls.py",
    ("operating.md", "is not taken, which the log says too"): "tests/wire/test_tls.py",
    ("secrets.md", "The record names kind and number under `detail`"): "tests/wire/test_outputs.py",
    ("secrets.md", "`detail` in the record names the kind"): "tests/wire/test_outputs.py",
    ("reasons.md", "is `detail` in the record"): "tests/wire/test_refused_keys.py",
    ("reasons.md", "is in the log as well"): "tests/wire/test_refused_keys.py",
    ("reasons.md", "The record has the first five of an address"): "tests/unit/traffic/test_aggregation.py",
    ("reasons.md", "The traffic record has the reason, and the status"): "tests/wire/test_record.py",
    ("reasons.md", "and the process's log have the line to write"): "tests/wire/test_clients.py",
    ("reasons.md", "and the log say which of these it was"): "tests/wire/test_refused_keys.py",
    ("reasons.md", "Find the id in the log, and the call with"): "tests/wire/test_failed_tools.py",
    ("secrets.md", "The log says so once, with"): "tests/wire/test_env.py",
    ("secrets.md", "its last value holds, and the log says so"): "tests/wire/test_env.py",
    ("secrets.md", "the log has one line when it begins"): "tests/wire/test_secret_manager.py",
    ("secrets.md", "log names the secret and the reason"): "tests/wire/test_secret_manager.py",
    ("secrets.md", "The log names the servers and the status"): "tests/wire/test_secret_manager.py",
    ("audit.md", "and the log says that it is"): "tests/unit/cli/test_acts.py",
    ("secrets.md", "Under that id the log has the host and the reason"): "tests/attack/test_tool_http.py",
}


def promises() -> list[tuple[str, str]]:
    """Each promise of a page, with what stands around it."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8") if page.name not in GENERATED else ""
        found += [
            (page.name, " ".join(text[max(0, hit.start() - 160) : hit.end() + 160].split()))
            for hit in PROMISE.finditer(text)
        ]
    return found


@pytest.mark.parametrize("page,around", promises())
def test_every_promise_of_a_page_is_one_that_a_test_keeps(page, around):
    assert [piece for (name, piece) in KEPT if name == page and " ".join(piece.split()) in around], around


@pytest.mark.parametrize("page,piece", KEPT)
def test_what_is_promised_stands_on_the_page_and_its_test_is_there(page, piece):
    path = ROOT / "README.md" if page == "README.md" else ROOT / "docs" / page
    assert " ".join(piece.split()) in " ".join(path.read_text(encoding="utf-8").split())
    test = (ROOT / KEPT[page, piece]).read_text(encoding="utf-8")
    assert re.search(r"\.log\(\)|caplog|rows\(|records\(|capture_logs|takes_refusal|server\.log", test)
