"""Names that are drawn at random: each once, in every process."""

import os
import re

from mcpward.core.ids import base62, error_id, request_id


def drawn_by_a_fork(count: int) -> set[str]:
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(theirs, " ".join(request_id() for _ in range(count)).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return set(said.split())


def test_a_name_has_the_form_that_logs_and_records_have() -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", request_id())
    assert re.fullmatch(r"[0-9a-f]{12}", error_id())
    assert re.fullmatch(r"[0-9A-Za-z]{22}", base62(22))


def test_no_two_forked_workers_give_the_same_name() -> None:
    """Names are drawn in advance, and a fork has what its parent had drawn."""
    request_id()
    first, second = drawn_by_a_fork(100), drawn_by_a_fork(100)
    ours = {request_id() for _ in range(100)}
    assert len(first | second | ours) == 300
