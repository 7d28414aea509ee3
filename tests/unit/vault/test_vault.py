"""The vault over a table in memory: what opens, and what does not."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from mcpward.core.errors import Misconfigured
from mcpward.core.secret import Secret, value_of
from mcpward.crypto.envelope import Envelope
from mcpward.crypto.keyring import KeyRing
from mcpward.vault.store import Vault
from mcpward.vault.vault_entry import KEY, SECRET, VaultEntry
from mcpward.vault.vault_follower import VaultFollower
from support.clock import ManualClock

OLD, NEW = b"o" * 32, b"n" * 32
SITE = "site-1"


class Table:
    """The port, in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, VaultEntry] = {}
        self.writes_left = -1

    @property
    def secrets(self) -> list[VaultEntry]:
        return [one for one in self.rows.values() if one.kind == SECRET]

    def one(self, name: str) -> VaultEntry:
        return next(one for one in self.secrets if one.name == name)

    async def entries(self) -> Sequence[VaultEntry]:
        return list(self.rows.values())

    @asynccontextmanager
    async def changing(self) -> AsyncIterator["Changes"]:
        if self.writes_left == 0:
            raise KeyboardInterrupt
        self.writes_left -= 1
        changes = Changes(dict(self.rows))
        yield changes
        self.rows = changes.rows

    async def touch(self, used: Mapping[tuple[str, str], float]) -> None:
        raise NotImplementedError


class Changes:
    def __init__(self, rows: dict[str, VaultEntry]) -> None:
        self.rows = rows

    @property
    def entries(self) -> Sequence[VaultEntry]:
        return list(self.rows.values())

    async def put(self, entry: VaultEntry) -> None:
        self.rows[entry.id] = entry

    async def remove(self, entry: VaultEntry) -> None:
        del self.rows[entry.id]


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def vault(table: Table, clock: ManualClock) -> Vault:
    return Vault(table, Envelope(KeyRing([NEW])), SITE, clock)


async def values(vault: Vault, server: str = "a") -> dict[str, str]:
    return {name: secret.reveal() for name, secret in (await vault.load_all(server)).items()}


async def test_a_secret_comes_back_for_its_server_alone(vault: Vault) -> None:
    assert (await vault.set("a", "TOKEN", Secret("first"))).version == 1
    assert (await vault.set("a", "TOKEN", Secret("välue\n"))).version == 2
    await vault.set("b", "OTHER", Secret(""))
    assert await values(vault) == {"TOKEN": "välue\n"}
    assert (await vault.load_all("a"))["TOKEN"].name == "TOKEN"
    assert [(one.name, one.version) for one in await vault.list("a")] == [("TOKEN", 2), ("TOKEN", 1)]
    assert await vault.remove("a", "TOKEN")
    assert not await vault.remove("a", "TOKEN")
    assert await vault.load_all("a") == {}


async def test_what_a_secret_is_bound_to_comes_back_with_it(vault: Vault) -> None:
    given = Secret("value", hosts=["api.example.com"], header="X-Key", is_http_only=True)
    await vault.set("a", "TOKEN", given)
    kept = (await vault.load_all("a"))["TOKEN"]
    assert (kept.hosts, kept.header, kept.is_http_only) == (("api.example.com",), "x-key", True)
    assert value_of(kept) == "value"


async def test_the_table_holds_nothing_readable(vault: Vault, table: Table) -> None:
    await vault.set("a", "TOKEN", Secret("canary-value"))
    assert b"canary" not in b"".join(one.blob + one.wrapped for one in table.rows.values())


async def test_equal_values_are_sealed_under_keys_of_their_own(vault: Vault, table: Table) -> None:
    await vault.set("a", "ONE", Secret("value"))
    await vault.set("a", "TWO", Secret("value"))
    one, two = table.one("ONE"), table.one("TWO")
    table.rows[one.id] = replace(one, wrapped=two.wrapped)
    with pytest.raises(Misconfigured, match="ONE of a"):
        await vault.load_all("a")


@pytest.mark.parametrize("other", [("a", "SECOND"), ("b", "FIRST")])
async def test_attack_87_two_sealed_values_cannot_be_swapped(
    vault: Vault, table: Table, other: tuple[str, str]
) -> None:
    """An attacker who can write the database cannot put one secret in the place of another."""
    await vault.set("a", "FIRST", Secret("one"))
    await vault.set(*other, Secret("two"))
    first, second = table.secrets
    table.rows[first.id] = replace(first, blob=second.blob, wrapped=second.wrapped)
    with pytest.raises(Misconfigured, match="FIRST of a"):
        await vault.load_all("a")


@pytest.mark.parametrize(
    "moved",
    [
        lambda one: replace(one, name="OTHER"),
        lambda one: replace(one, server="b"),
        lambda one: replace(one, server="a", name="bTOKEN"),
        lambda one: replace(one, version=2),
        lambda one: replace(one, key_id="nokey"),
    ],
    ids=["name", "server", "boundary", "version", "key"],
)
async def test_attack_87_no_other_place_opens_a_secret(
    vault: Vault, table: Table, moved: Callable[[VaultEntry], VaultEntry]
) -> None:
    await vault.set("ab", "TOKEN", Secret("value"))
    (one,) = table.secrets
    table.rows[one.id] = moved(one)
    with pytest.raises(Misconfigured, match="cannot be opened"):
        vault.open_all(await table.entries(), ["a", "ab", "b"])


async def test_attack_87_another_site_with_the_same_master_key_opens_nothing(vault: Vault, table: Table, clock) -> None:
    await vault.set("a", "TOKEN", Secret("value"))
    with pytest.raises(Misconfigured):
        await Vault(table, Envelope(KeyRing([NEW])), "site-2", clock).load_all("a")


async def test_attack_88_no_bit_of_a_row_can_be_changed(vault: Vault, table: Table) -> None:
    await vault.set("a", "TOKEN", Secret("value"))
    for entry in list(table.rows.values()):
        for field in ("blob", "wrapped"):
            raw: bytes = getattr(entry, field)
            for bit in range(len(raw) * 8):
                changed = bytearray(raw)
                changed[bit // 8] ^= 1 << bit % 8
                table.rows[entry.id] = replace(entry, **{field: bytes(changed)})
                with pytest.raises(Misconfigured):
                    await vault.load_all("a")
            for cut in range(len(raw)):
                table.rows[entry.id] = replace(entry, **{field: raw[:cut]})
                with pytest.raises(Misconfigured):
                    await vault.load_all("a")
        table.rows[entry.id] = entry
    assert await values(vault) == {"TOKEN": "value"}


async def test_every_secret_that_cannot_be_opened_is_named_at_once(vault: Vault, table: Table) -> None:
    for name in ("ONE", "TWO", "THREE"):
        await vault.set("a", name, Secret("canary-value"))
    for name in ("ONE", "TWO"):
        one = table.one(name)
        table.rows[one.id] = replace(one, blob=one.blob[:-1] + bytes([one.blob[-1] ^ 1]))
    with pytest.raises(Misconfigured) as refused:
        await vault.load_all("a")
    assert [finding.what.split()[2] for finding in refused.value.findings] == ["ONE", "TWO"]
    assert "canary" not in repr(refused.value.findings)


async def test_a_new_master_key_takes_over_and_the_old_one_may_go(table: Table, clock: ManualClock) -> None:
    def under(*roots: bytes) -> Vault:
        return Vault(table, Envelope(KeyRing(list(roots))), SITE, clock)

    await under(OLD).set("a", "TOKEN", Secret("value"))
    assert await values(under(NEW, OLD)) == {"TOKEN": "value"}
    with pytest.raises(Misconfigured, match="the vault's key"):
        await under(NEW).load_all("a")
    await under(NEW, OLD).settle()
    assert await values(under(NEW)) == {"TOKEN": "value"}


async def test_a_secret_of_the_first_releases_opens_and_is_sealed_anew(
    vault: Vault, table: Table, clock: ManualClock
) -> None:
    """They were sealed under the master key itself, bound to server and name."""
    place = b"vault/v1/" + (1).to_bytes(4) + b"a" + b"TOKEN"
    blob = Envelope(KeyRing([NEW])).seal(b"value", place)
    table.rows["a/TOKEN"] = VaultEntry("a/TOKEN", SECRET, blob, 0.0, server="a", name="TOKEN", version=1)
    assert await values(vault) == {"TOKEN": "value"}
    await vault.settle()
    assert table.rows["a/TOKEN"].key_id
    assert table.rows["a/TOKEN"].blob != blob
    assert await values(vault) == {"TOKEN": "value"}
    before = dict(table.rows)
    await vault.settle()
    assert table.rows == before


async def test_a_secret_of_the_first_releases_goes_along_with_its_renamed_server(vault: Vault, table: Table) -> None:
    place = b"vault/v1/" + (1).to_bytes(4) + b"a" + b"TOKEN"
    blob = Envelope(KeyRing([NEW])).seal(b"value", place)
    table.rows["a/TOKEN"] = VaultEntry("a/TOKEN", SECRET, blob, 0.0, server="a", name="TOKEN", version=1)
    assert await vault.rename_server("a", "b") == 1
    assert await values(vault, "b") == {"TOKEN": "value"}


async def test_a_new_value_goes_only_where_the_one_before_was_allowed_to_go(vault: Vault) -> None:
    await vault.set("a", "TOKEN", Secret("one", hosts=["x.example"], is_http_only=True))
    assert (await vault.set("a", "TOKEN", Secret("two"))).hosts == ("x.example",)
    assert await vault.set_all({("a", "TOKEN"): Secret("three")}) == 1
    assert (await vault.load_all("a"))["TOKEN"].is_http_only
    assert (await vault.set("a", "TOKEN", Secret("four"), keeps_binding=False)).hosts == ()


class Source:
    """The rows of a table, as a worker follows them."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.known: dict[str, VaultEntry] = {}

    async def news(self, *, whole: bool = False) -> tuple[bool, Sequence[VaultEntry]]:
        changed = self.known != self.table.rows
        self.known = dict(self.table.rows)
        return changed, list(self.known.values()) if changed else []


async def test_one_secret_that_does_not_open_keeps_no_other_from_being_renewed(
    vault: Vault, table: Table, clock: ManualClock
) -> None:
    for name in ("GOOD", "BAD", "GONE"):
        await vault.set("a", name, Secret(f"first of {name}"))
    told: list[tuple[str, str | None]] = []

    def renew(_: str, name: str, secret: Secret | None) -> None:
        told.append((name, None if secret is None else value_of(secret)))

    known = {"a": await vault.load_all("a")}
    follower = VaultFollower(Source(table), vault, known, renew, list, clock)
    await follower.poll()
    assert told == []
    await vault.set("a", "GOOD", Secret("second"))
    await vault.remove("a", "GONE")
    bad = table.one("BAD")
    table.rows[bad.id] = replace(bad, blob=b"?" + bad.blob)
    for _ in range(2):  # it stays wrong until it is mended, also without news
        with pytest.raises(Misconfigured, match="BAD of a"):
            await follower.poll()
    assert sorted(told, key=str) == sorted([("GOOD", "second"), ("GONE", None)], key=str)
    table.rows[bad.id] = bad
    await follower.poll()
    assert len(told) == 2


async def test_the_version_before_can_be_put_back_within_its_grace(
    vault: Vault, table: Table, clock: ManualClock
) -> None:
    await vault.set("a", "TOKEN", Secret("good", hosts=["x.example"]))
    await vault.set("a", "TOKEN", Secret("bad"), 60.0)
    assert [value_of(one) for one in await vault.load_kept()] == ["good"]
    assert await vault.roll_back("a", "TOKEN", 60.0) == 3
    back = (await vault.load_all("a"))["TOKEN"]
    assert (back.reveal(), back.hosts) == ("good", ("x.example",))
    assert await vault.roll_back("a", "TOKEN", 60.0) == 4
    assert await values(vault) == {"TOKEN": "bad"}
    clock.advance(61)
    assert await vault.load_kept() == []
    with pytest.raises(LookupError):
        await vault.roll_back("a", "TOKEN")
    await vault.settle()
    assert [one.version for one in table.secrets] == [4]


async def test_without_grace_nothing_of_the_version_before_is_kept(vault: Vault, table: Table) -> None:
    await vault.set("a", "TOKEN", Secret("one"))
    await vault.set("a", "TOKEN", Secret("two"), 0.0)
    assert [one.version for one in table.secrets] == [2]


async def test_a_rotation_wraps_every_version_with_a_new_key_and_forgets_the_old_one(
    vault: Vault, table: Table
) -> None:
    for number in range(5):
        await vault.set("a", f"S{number}", Secret(f"value {number}"))
    await vault.set("b", "S0", Secret("other"))
    before = {one.id for one in table.rows.values() if one.kind == KEY}
    told: list[tuple[int, int]] = []
    done = await vault.rotate(lambda *numbers: told.append(numbers))
    assert (done.count, done.is_resumed, told[-1]) == (6, False, (6, 6))
    assert {one.id for one in table.rows.values() if one.kind == KEY} == {done.key_id}
    assert done.key_id not in before
    assert {one.key_id for one in table.secrets} == {done.key_id}
    assert await values(vault) == {f"S{number}": f"value {number}" for number in range(5)}
    assert await values(vault, "b") == {"S0": "other"}


async def test_attack_90_a_rotation_that_is_killed_anywhere_is_finished_by_the_next(vault: Vault, table: Table) -> None:
    for number in range(4):
        await vault.set("a", f"S{number}", Secret(f"value {number}"))
    expected = await values(vault)
    kills = 0
    for writes in range(20):
        start, table.writes_left = {one.key_id for one in table.secrets}, writes
        try:
            await vault.rotate(batch=1)
        except KeyboardInterrupt:
            kills += 1
            assert await values(vault) == expected
            table.writes_left = -1
            done = await vault.rotate()
            assert done.is_resumed is (writes > 0)
        table.writes_left = -1
        assert len({one.key_id for one in table.secrets}) == 1
        assert start.isdisjoint({one.key_id for one in table.secrets})
        assert len([one for one in table.rows.values() if one.kind == KEY]) == 1
        assert await values(vault) == expected
    assert kills >= 5


async def test_the_secrets_of_a_renamed_server_are_sealed_for_their_new_place(vault: Vault, table: Table) -> None:
    await vault.set("a", "ONE", Secret("1"))
    await vault.set("a", "ONE", Secret("2"))
    await vault.set("b", "TWO", Secret("3"))
    assert await vault.rename_server("a", "c") == 1
    assert await values(vault, "c") == {"ONE": "2"}
    assert await values(vault, "a") == {}
    assert [value_of(one) for one in await vault.load_kept()] == ["1"]
    await vault.set("b", "ONE", Secret("4"))
    with pytest.raises(LookupError, match="ONE"):
        await vault.rename_server("c", "b")


async def test_attack_86_a_loaded_secret_prints_as_stars(vault: Vault) -> None:
    await vault.set("a", "TOKEN", Secret("canary-value"))
    loaded = await vault.load_all("a")
    assert "canary" not in f"{loaded} {loaded['TOKEN']} {loaded['TOKEN']!r:>20}"
