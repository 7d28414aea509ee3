"""A legacy session outlives the process that issued it: the session is in its token."""

import shutil

import pytest

from support.ward import text_of
from support.wire import Session, handed_out, reason_of, site


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_session_lives_through_a_restart(tmp_path, how):
    with site(tmp_path) as ward:
        living, ended = Session(ward), Session(ward)
        stranger = ward.create_key("bench", name="stranger")
        assert text_of(living.call("echo", {"text": "before"})) == "before"
        assert ended.end().status_code == 200
        getattr(ward, how)()
        ward.start()
        assert text_of(living.call("echo", {"text": "after"})) == "after"
        assert living.request("tools/list").json()["result"]["tools"]
        gone = ended.call("echo", {"text": "a"})
        assert (gone.status_code, reason_of(gone)) == (404, "session-unknown")
        foreign = living.call("echo", {"text": "a"}, key=stranger)
        assert (foreign.status_code, reason_of(foreign)) == (404, "session-unknown")


def test_a_session_dies_with_the_master_key(tmp_path):
    with site(tmp_path) as ward:
        session = Session(ward)
        ward.stop()
        shutil.rmtree(tmp_path / ".mcpward")
        (tmp_path / "server.log").unlink()
        ward.start()
        key = handed_out(ward)
        assert session.call("echo", {"text": "a"}).status_code == 401
        answer = session.call("echo", {"text": "a"}, key=key)
        assert (answer.status_code, reason_of(answer)) == (404, "session-unknown")
