"""The page on which a person decides: for clients that open pages, never in a text that a model reads (attack 97)."""

import json
import re
import threading
from html.parser import HTMLParser
from typing import Any

import httpx2
import pytest

from support.orders import URL, approval_in, call, make_key, notes, reason_of, shop, text_of
from support.talk import Talker
from support.wire import acts, rows, until

ORDER = {"order_id": "7", "total": 12.5}


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    with shop(tmp_path_factory.mktemp("pages"), site="workers = 2") as ward:
        yield ward


def asked(ward, order, key=None):
    """Call as a client that opens pages; returns the address, and the params that say that the person opened it."""
    result = call(ward, "cancel_order", ORDER | {"order_id": order}, capabilities=URL, key=key)
    ((name, request),) = result["inputRequests"].items()
    assert request["method"] == "elicitation/create"
    assert request["params"]["mode"] == "url"
    opened = {"inputResponses": {name: {"action": "accept"}}, "requestState": result["requestState"]}
    return request["params"]["url"], opened


class Form(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.token, self.buttons, self.tags = "", [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        given = dict(attrs)
        if given.get("name") == "token":
            self.token = given["value"]
        if tag == "button":
            self.buttons.append(given["value"])


def send(ward, url, answer="yes", token=None, headers=None):
    with ward.client() as client:
        token = Form(client.get(url).text).token if token is None else token
        given = {"origin": "null", "sec-fetch-site": "same-origin"} if headers is None else headers
        return client.post(url, data={"token": token, "answer": answer}, headers=given)


def test_a_yes_on_the_page_runs_the_call_that_waits_for_it(ward):
    url, opened = asked(ward, "page")
    assert url.startswith(f"{ward.base}/approve/")
    assert len(url.rpartition("/")[2]) == 55
    answers = []

    def wait():
        answers.append(call(ward, "cancel_order", ORDER | {"order_id": "page"}, capabilities=URL, **opened))

    waiting = threading.Thread(target=wait)
    waiting.start()
    done = send(ward, url)
    assert done.status_code == 303
    waiting.join(20)
    assert text_of(answers[0]) == "cancelled page"
    assert notes(ward).count("cancelled page") == 1
    again = call(ward, "cancel_order", ORDER | {"order_id": "page"}, capabilities=URL, **opened)
    assert "inputRequests" in again, "the yes was used, so a person is asked anew"
    assert notes(ward).count("cancelled page") == 1


def test_a_no_on_the_page_is_the_answer(ward):
    url, opened = asked(ward, "no")
    send(ward, url, "no")
    answer = call(ward, "cancel_order", ORDER | {"order_id": "no"}, capabilities=URL, **opened)
    assert "the person declined" in text_of(answer)
    assert "Denied" in httpx2.get(url, verify=False).text


def test_a_session_asks_in_its_client_and_waits(ward):
    talker = Talker(ward, ward.key, path="/mcp", capabilities=URL)
    arguments = ORDER | {"order_id": "session"}
    with talker.line() as line, talker.call(line, "cancel_order", arguments) as (_, events), talker.line() as other:
        said = (event.data for event in events if event.data is not None)
        question = next(message for message in said if message.get("method") == "elicitation/create")
        assert question["params"]["elicitationId"]
        talker.answer(other, question, result={"action": "accept"})
        assert send(ward, question["params"]["url"]).status_code == 303
        end = next(message for message in said if "result" in message)
    assert text_of(end["result"]) == "cancelled session"


def test_attack_96_the_page_shows_the_whole_call_and_has_no_script_no_frame_and_no_memory(ward):
    url, _ = asked(ward, "<script>alert(1)</script>")
    answer = httpx2.get(url, verify=False)
    form = Form(answer.text)
    assert answer.status_code == 200
    assert form.buttons == ["no", "yes"]
    assert form.tags.isdisjoint({"script", "img", "link", "iframe"})
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    for said in ("cancel_order", "total: 12.5", "agent", "color-scheme:light dark"):
        assert said in answer.text
    headers = answer.headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy
    assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")
    with ward.client() as client:
        assert client.head(url).status_code == 200
        assert client.put(url).status_code == 405


def test_attack_95_a_form_that_did_not_come_from_the_page_decides_nothing(ward):
    url, _ = asked(ward, "csrf")
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    tries: dict[str, dict[str, Any]] = {
        "another token": {"token": "0" * 64},
        "no token": {"token": ""},
        "another site": {"headers": foreign},
        "another site's browser": {"headers": {"sec-fetch-site": "cross-site"}},
        "no answer": {"answer": "maybe"},
    }
    for name, given in tries.items():
        assert (name, send(ward, url, **given).status_code) == (name, 403)
    with ward.client() as client:
        assert client.post(url, content=b"{}", headers={"content-type": "application/json"}).status_code == 415
        assert client.post(url, data={"token": "x" * 5_000}).status_code == 413
        assert client.post(url, data={f"f{number}": "x" for number in range(50)}).status_code == 403
    assert Form(httpx2.get(url, verify=False).text).buttons == ["no", "yes"], "it still waits"


def test_attack_38_a_wrong_old_or_foreign_link_is_one_answer_and_counts_against_its_address(tmp_path):
    with shop(tmp_path) as ward:
        file = ward.folder / "mcpward.toml"
        file.write_text(file.read_text().replace('auth_failures = "100000/minute"', 'auth_failures = "5/hour"'))
        ward.stop()
        ward.start()
        url, _ = asked(ward, "guess")
        wrong = [url[:-1] + ("a" if url[-1] != "a" else "b"), f"{ward.base}/approve/{'x' * 55}"]
        answers = [httpx2.get(one, verify=False) for one in wrong]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].text == answers[1].text
        assert httpx2.get(f"{ward.base}/approve/{'x' * 54}", verify=False).status_code == 404
        until(lambda: httpx2.get(wrong[0], verify=False).status_code == 429, 5.0, 0.05)
        assert httpx2.get(url, verify=False).status_code == 200, "the right link is served whatever others guess"
        assert rows(ward, "reason = 'credential-invalid' AND detail LIKE '%approval page%'")


def test_a_new_link_ends_the_one_before(ward):
    first, _ = asked(ward, "twice")
    second, _ = asked(ward, "twice")
    assert first != second
    assert httpx2.get(first, verify=False).status_code == 404
    assert httpx2.get(second, verify=False).status_code == 200


def test_attack_133_no_link_of_a_page_is_in_anything_that_a_model_reads(ward):
    poor: list[dict[str, Any]] = [{}, {"sampling": {}}]
    for capabilities in poor:
        refused = call(ward, "cancel_order", ORDER | {"order_id": "model"}, capabilities=capabilities)
        approval_in(refused)
        assert "/approve/" not in json.dumps(refused)
    _, opened = asked(ward, "model")
    declined = opened | {"inputResponses": {name: {"action": "decline"} for name in opened["inputResponses"]}}
    answer = call(ward, "cancel_order", ORDER | {"order_id": "model"}, capabilities=URL, **declined)
    assert "/approve/" not in json.dumps(answer)
    assert reason_of(answer) == "consent-missing"
    both = call(
        ward, "cancel_order", ORDER | {"order_id": "both"}, capabilities={"elicitation": {"form": {}, "url": {}}}
    )
    ((_, request),) = both["inputRequests"].items()
    assert "url" not in request["params"], "a form is asked in the client itself"


def test_a_client_that_opens_pages_is_asked_whatever_its_key_may(ward):
    key = make_key(ward, "waived", "--may-confirm")
    until(lambda: reason_of(call(ward, "get_order", {"order_id": "1"}, key=key)) == "", 3.0, 0.3)
    url, _ = asked(ward, "waived", key=key)
    assert httpx2.get(url, verify=False).status_code == 200
    assert "cancelled waived" not in notes(ward)


def test_the_decision_on_the_page_is_on_record_with_the_address_and_the_link_is_kept_as_a_digest(ward):
    url, _ = asked(ward, "record")
    send(ward, url)
    act = until(lambda: [one for one in acts(ward, "approve page") if "pending → approved" in one["detail"]])[-1]
    assert (act["principal"].partition("@")[0], act["peer"]) == ("page", "127.0.0.1")
    secret = url.rpartition("/")[2][12:]
    for file in (ward.folder / ".mcpward").glob("mcpward.db*"):
        assert secret.encode() not in file.read_bytes()
    assert not re.search(secret, ward.log())
    assert ward.cli("log", "verify", check=False).returncode == 0
