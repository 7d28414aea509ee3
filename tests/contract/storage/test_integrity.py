"""The codes of rows and counters, and the mark: what they let pass, and what a process that is killed leaves."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from mcpward.core.errors import Misconfigured, Untrusted
from mcpward.core.scope import Access
from mcpward.crypto.digest import Pepper
from mcpward.crypto.keyring import KeyRing
from mcpward.identity.keys.api_key import issue
from mcpward.identity.keys.records import KeyRecord
from mcpward.vault.vault_entry import VaultEntry
from support.clock import ManualClock
from support.store import earlier, integrity_of, mark_of, open_store

CLOCK = ManualClock()
PEPPER = Pepper(b"p" * 32)
OLD, NEW = b"o" * 32, b"n" * 32
BEFORE_CODES = 7
KEY = (
    "INSERT INTO api_keys (id, name, digest, servers, scopes, access, networks, created_at, revision)"
    " VALUES ('old', 'n', CAST('d' AS BLOB), '[\"a\"]', '[]', 1, '[]', 1, 1)"
)
ENDED = "INSERT INTO ended_sessions (id, forget_at, revision) VALUES ('s', 2000000000, 9)"
SPENT = "INSERT INTO spent_states (id, forget_at) VALUES ('t', 2000000000), ('u', 2000000000)"


class Killed(BaseException):
    """The process ends here: nothing that it had still to do is done."""


def make() -> KeyRecord:
    return issue(PEPPER, CLOCK, name="ann", servers=["orders"], access=Access.READ)[1]


def kill_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """End at the ``number``-th step that writes a mark: before it, for an even number, and after it, for an odd one."""
    steps = 0

    def wrapped(real: Callable[..., object]) -> Callable[..., object]:
        def step(*args: object, **kwargs: object) -> object:
            nonlocal steps
            steps += 2
            if steps - 2 == number:
                raise Killed
            done = real(*args, **kwargs)
            if steps - 1 == number:
                raise Killed
            return done

        return step

    for name in ("pwrite", "fdatasync", "fsync", "write"):
        monkeypatch.setattr(os, name, wrapped(getattr(os, name)))
    monkeypatch.setattr(Path, "rename", wrapped(Path.rename))


async def work(path: Path) -> None:
    store = await open_store(f"sqlite:///{path}", CLOCK)
    try:
        await store.keys.add(make())
        await store.sessions.end("s1", CLOCK.now() + 60)
    finally:
        await store.close()


@pytest.mark.parametrize("release", ["new", "earlier"])
async def test_attack_125_a_process_that_is_killed_at_any_step_leaves_a_site_that_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    for number in range(100):
        path = tmp_path / f"{number}" / "a.db"
        path.parent.mkdir(mode=0o700)
        if release == "earlier":
            earlier(path, BEFORE_CODES, KEY, ENDED, SPENT)
        with monkeypatch.context() as killing:
            kill_at(killing, number)
            try:
                await work(path)
                was_killed = False
            except Killed:
                was_killed = True
        store = await open_store(f"sqlite:///{path}", CLOCK)
        kept = {record.id for record in await store.keys.list()}
        assert ("old" in kept) == (release == "earlier")
        await store.keys.add(make())
        await store.close()
        if not was_killed:
            assert number > 12  # there were as many steps to be killed at
            return
    pytest.fail("it never came to its end")


async def test_attack_125_a_write_of_the_mark_that_is_cut_off_leaves_the_one_before(tmp_path: Path) -> None:
    url, mark = f"sqlite:///{tmp_path / 'a.db'}", mark_of(f"sqlite:///{tmp_path / 'a.db'}")
    store = await open_store(url, CLOCK)
    for _ in range(3):
        before = mark.read_bytes()
        await store.keys.add(make())
        after = mark.read_bytes()
        changed = [at for at in range(8192) if before[at] != after[at]]
        assert {at // 4096 for at in changed} in ({0}, {1})  # one slot of the two
        for cut in (changed[0] + 1, changed[len(changed) // 2], changed[-1]):
            mark.write_bytes(after[:cut] + before[cut:])
            await (await open_store(url, CLOCK)).close()
    assert mark.stat().st_size == 8192
    assert mark.stat().st_mode & 0o777 == 0o600
    await store.close()


async def test_rows_of_an_earlier_release_are_taken_over_once_and_only_once(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    earlier(path, BEFORE_CODES, KEY, ENDED, SPENT)
    store = await open_store(f"sqlite:///{path}", CLOCK)
    assert [key.id for key in await store.keys.list()] == ["old"]
    assert [name for name, _ in await store.sessions.follow().news()] == ["s"]
    assert not await store.spent.spend("t", 2e9)
    await store.close()
    path.unlink()
    earlier(path, BEFORE_CODES, KEY)
    with pytest.raises(Untrusted, match="older than its mark"):
        await open_store(f"sqlite:///{path}", CLOCK)


async def test_a_new_root_key_takes_all_codes_over_before_the_old_one_is_retired(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    store = await open_store(url, CLOCK, ring=KeyRing([OLD]))
    followed = store.keys.follow()
    await store.keys.add(make())
    await followed.news()
    async with store.vault.changing() as changes:
        await changes.put(VaultEntry("1", "secret", b"blob", 1.0, server="a", name="NAME"))
    await store.sessions.end("s1", CLOCK.now() + 60)
    assert await store.spent.spend("t1", CLOCK.now() + 60)
    await store.close()
    both = await open_store(url, CLOCK, ring=KeyRing([NEW, OLD]))
    await both.keys.add(make())
    await both.close()
    alone = await open_store(url, CLOCK, ring=KeyRing([NEW]))
    assert len(await alone.keys.list()) == 2
    assert [one.blob for one in await alone.vault.entries()] == [b"blob"]
    assert [name for name, _ in await alone.sessions.follow().news()] == ["s1"]
    assert not await alone.spent.spend("t1", CLOCK.now() + 60)
    await alone.close()
    with pytest.raises(Misconfigured):
        await open_store(url, CLOCK, ring=KeyRing([OLD]))


async def test_a_change_makes_no_forgery_good(tmp_path: Path) -> None:
    """Attack 124: a process that adds a key later writes the counter anew, over rows that are still only ours."""
    path = tmp_path / "a.db"
    store = await open_store(f"sqlite:///{path}", CLOCK)
    first, second = make(), make()
    await store.keys.add(first)
    await store.keys.add(second)
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE api_keys SET access = 3 WHERE id = ?", (first.id,))
        db.commit()
    for change in (
        store.keys.revoke(first.id, 1.0),
        store.keys.edit(first.id, lambda key: replace(key, may_confirm=True)),
    ):
        with pytest.raises(Untrusted):
            await change
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM api_keys WHERE id = ?", (first.id,))
        db.commit()
    for change in (store.keys.add(make()), store.keys.revoke(second.id, 1.0)):
        with pytest.raises(Untrusted):
            await change
    await store.close()


async def test_a_row_of_another_site_with_the_same_keys_is_none_of_ours(tmp_path: Path) -> None:
    """Attack 124: one master key for two sites."""
    one, two = [await open_store(f"sqlite:///{tmp_path / name}", CLOCK) for name in ("one.db", "two.db")]
    await one.keys.add(make())
    await two.keys.add(make())
    for store in (one, two):
        await store.close()
    with closing(sqlite3.connect(tmp_path / "one.db")) as db:
        db.execute("ATTACH ? AS other", (str(tmp_path / "two.db"),))
        db.execute("DELETE FROM api_keys")
        db.execute("INSERT INTO api_keys SELECT * FROM other.api_keys")
        for table in ("revisions", "mcpward_site"):
            db.execute(f"DELETE FROM {table}")
            db.execute(f"INSERT INTO {table} SELECT * FROM other.{table}")
        db.commit()
    with pytest.raises(Untrusted, match="another site"):
        await open_store(f"sqlite:///{tmp_path / 'one.db'}", CLOCK)


async def test_a_mark_never_goes_back(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    store = await open_store(url, CLOCK)
    mark = integrity_of(url, CLOCK).mark
    before = mark.read()
    await store.keys.add(make())
    await store.close()
    after = mark.read()
    assert before is not None
    assert after is not None
    mark.advance(after.site, before.standings, 1.0)
    assert mark.read() == after
    with pytest.raises(Untrusted):
        mark.advance("another", after.standings, 1.0)
