from collections.abc import Callable, Mapping

import pytest

from mcpward.core.errors import Misconfigured
from mcpward.core.secret import Secret
from mcpward.crypto.envelope import Envelope
from mcpward.crypto.keyring import KeyRing
from mcpward.vault.store import Vault

OLD, NEW = b"o" * 32, b"n" * 32


class Shelf:
    """The port, in memory."""

    def __init__(self) -> None:
        self.blobs: dict[tuple[str, str], bytes] = {}

    async def set(self, server: str, name: str, blob: bytes) -> None:
        self.blobs[server, name] = blob

    async def list(self, server: str) -> Mapping[str, bytes]:
        return {name: blob for (of, name), blob in sorted(self.blobs.items()) if of == server}

    async def remove(self, server: str, name: str) -> bool:
        return self.blobs.pop((server, name), None) is not None

    async def rename_server(self, old: str, new: str, reseal: Callable[[str, bytes], bytes]) -> int:
        named = await self.list(old)
        for name, blob in named.items():
            self.blobs[new, name] = reseal(name, blob)
            del self.blobs[old, name]
        return len(named)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def vault(shelf: Shelf) -> Vault:
    return Vault(shelf, Envelope(KeyRing([NEW])))


async def test_a_secret_comes_back_for_its_server_alone(vault: Vault) -> None:
    await vault.set("a", "TOKEN", Secret("first"))
    await vault.set("a", "TOKEN", Secret("välue\n"))
    await vault.set("b", "OTHER", Secret(""))
    loaded = await vault.load_all("a")
    assert {name: secret.reveal() for name, secret in loaded.items()} == {"TOKEN": "välue\n"}
    assert loaded["TOKEN"].name == "TOKEN"
    assert await vault.list("a") == ("TOKEN",)
    assert await vault.remove("a", "TOKEN")
    assert not await vault.remove("a", "TOKEN")
    assert await vault.load_all("a") == {}


async def test_the_table_holds_nothing_readable(vault: Vault, shelf: Shelf) -> None:
    await vault.set("a", "TOKEN", Secret("canary-value"))
    assert b"canary" not in shelf.blobs["a", "TOKEN"]


@pytest.mark.parametrize("other", [("a", "SECOND"), ("b", "FIRST")])
async def test_two_sealed_values_cannot_be_swapped(vault: Vault, shelf: Shelf, other: tuple[str, str]) -> None:
    """Attack 87: an attacker who can write the database cannot put one secret in the place of another."""
    await vault.set("a", "FIRST", Secret("one"))
    await vault.set(*other, Secret("two"))
    shelf.blobs["a", "FIRST"], shelf.blobs[other] = shelf.blobs[other], shelf.blobs["a", "FIRST"]
    with pytest.raises(Misconfigured, match="FIRST of a cannot be opened"):
        await vault.load_all("a")


async def test_no_other_pair_of_server_and_name_is_the_same_place(vault: Vault, shelf: Shelf) -> None:
    await vault.set("ab", "C", Secret("value"))
    shelf.blobs["a", "bC"] = shelf.blobs["ab", "C"]
    with pytest.raises(Misconfigured):
        await vault.load_all("a")


async def test_every_secret_that_cannot_be_opened_is_named_at_once(vault: Vault, shelf: Shelf) -> None:
    """Attack 88."""
    for name in ("ONE", "TWO", "THREE"):
        await vault.set("a", name, Secret("canary-value"))
    for name in ("ONE", "TWO"):
        shelf.blobs["a", name] = shelf.blobs["a", name][:-1] + bytes([shelf.blobs["a", name][-1] ^ 1])
    with pytest.raises(Misconfigured) as refused:
        await vault.load_all("a")
    assert [finding.what.split()[2] for finding in refused.value.findings] == ["ONE", "TWO"]
    assert "canary" not in repr(refused.value.findings)


async def test_secrets_outlive_a_rotation_of_the_master_key_and_need_the_old_one(shelf: Shelf) -> None:
    await Vault(shelf, Envelope(KeyRing([OLD]))).set("a", "TOKEN", Secret("value"))
    both = Vault(shelf, Envelope(KeyRing([NEW, OLD])))
    assert (await both.load_all("a"))["TOKEN"].reveal() == "value"
    with pytest.raises(Misconfigured):
        await Vault(shelf, Envelope(KeyRing([NEW]))).load_all("a")


async def test_a_loaded_secret_prints_as_stars(vault: Vault) -> None:
    """Attack 86."""
    await vault.set("a", "TOKEN", Secret("canary-value"))
    loaded = await vault.load_all("a")
    assert "canary" not in f"{loaded} {loaded['TOKEN']} {loaded['TOKEN']!r:>20}"
