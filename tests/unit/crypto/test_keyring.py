import hashlib
import hmac
import os
import stat
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from mcpward.core.errors import Misconfigured
from mcpward.crypto.keyring import KeyRing, load_or_create

NEW, OLD = bytes(range(32)), bytes(range(32, 64))


def text(key: bytes) -> str:
    return urlsafe_b64encode(key).rstrip(b"=").decode()


def test_derived_keys_follow_rfc_5869() -> None:
    """Worked out here by the RFC's own words, without the library that the package uses."""
    prk = hmac.digest(b"\0" * 32, NEW, "sha256")
    expected = hmac.digest(prk, b"mcpward/v1/pepper" + b"\x01", "sha256")
    assert KeyRing([NEW]).derive("pepper") == expected


def test_purposes_and_keys_give_unrelated_bytes() -> None:
    ring = KeyRing([NEW, OLD])
    derived = {ring.derive("a"), ring.derive("b"), *ring.derive_all("a"), *ring.derive_all("b")}
    assert len(derived) == 4
    assert ring.derive_all("a")[0] == ring.derive("a") == KeyRing([NEW]).derive("a")


def test_ids_name_keys_and_give_nothing_away() -> None:
    ring = KeyRing([NEW, OLD])
    assert ring.ids == (*KeyRing([NEW]).ids, *KeyRing([OLD]).ids)
    assert all(len(key_id) == 8 for key_id in ring.ids)
    assert hashlib.sha256(NEW).hexdigest()[:8] != ring.ids[0]
    assert NEW.hex() not in repr(ring)
    assert str(NEW) not in repr(ring)


@pytest.mark.parametrize("roots", [[], [b""], [NEW[:31]], [NEW + b"x"], [NEW, b"short"], [NEW, NEW]])
def test_a_ring_of_anything_but_whole_different_keys_is_not_made(roots: list[bytes]) -> None:
    with pytest.raises(ValueError, match="key"):
        KeyRing(roots)


def test_the_first_start_makes_a_private_key_and_the_second_reads_it(tmp_path: Path) -> None:
    data = tmp_path / "site"
    ring = load_or_create(data, {})
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "master.key").stat().st_mode) == 0o600
    assert load_or_create(data, {}).ids == ring.ids
    assert [path.name for path in data.iterdir()] == ["master.key"]


def test_workers_that_start_at_once_get_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        rings = list(pool.map(lambda _: load_or_create(tmp_path / "site", {}), range(32)))
    assert len({ring.ids for ring in rings}) == 1


def test_a_draft_left_by_a_crash_is_not_taken_for_a_key(tmp_path: Path) -> None:
    data = tmp_path / "site"
    data.mkdir(mode=0o700)
    (data / "master.key.new").write_bytes(b"half")
    assert len(load_or_create(data, {}).ids) == 1
    assert not (data / "master.key.new").exists()


def test_several_keys_are_read_newest_first(tmp_path: Path) -> None:
    ring = load_or_create(tmp_path, {"MCPWARD_MASTER_KEY": f"{text(NEW)}, {text(OLD)}="})
    assert ring.ids == KeyRing([NEW, OLD]).ids
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("begin,end", [("", "\n"), ("\ufeff", "\r\n"), ("", "")])
def test_a_mounted_key_file_is_read(tmp_path: Path, begin: str, end: str) -> None:
    path = tmp_path / "mounted"
    path.write_bytes(f"{begin}{text(NEW)}{end}".encode())
    path.chmod(0o444)
    assert load_or_create(tmp_path, {"MCPWARD_MASTER_KEY_FILE": str(path)}).ids == KeyRing([NEW]).ids


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        ",",
        "short",
        text(NEW)[:-1],
        text(NEW) + "A",
        text(NEW) + "==",
        "é" * 43,
        text(NEW) + ",",
        text(NEW).replace("A", "+"),
        f"{text(NEW)},{text(NEW)}",
    ],
)
def test_a_malformed_key_is_refused_without_being_quoted(tmp_path: Path, value: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        load_or_create(tmp_path, {"MCPWARD_MASTER_KEY": value})
    assert len(refused.value.findings) == 1
    assert refused.value.__cause__ is None
    assert len(value) < 3 or value not in repr(refused.value.findings)


def test_two_places_for_the_key_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="set twice"):
        load_or_create(tmp_path, {"MCPWARD_MASTER_KEY": text(NEW), "MCPWARD_MASTER_KEY_FILE": "x"})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o644])
def test_a_key_file_open_to_others_is_refused_and_left_alone(tmp_path: Path, mode: int) -> None:
    load_or_create(tmp_path, {})
    path = tmp_path / "master.key"
    before = path.read_bytes()
    path.chmod(mode)
    with pytest.raises(Misconfigured, match="other users"):
        load_or_create(tmp_path, {})
    assert path.read_bytes() == before


def test_a_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o770)
    with pytest.raises(Misconfigured, match="other users"):
        load_or_create(tmp_path, {})
    assert list(tmp_path.iterdir()) == []


def test_a_mounted_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mounted"
    path.write_text(text(NEW))
    path.chmod(0o666)
    with pytest.raises(Misconfigured, match="other users"):
        load_or_create(tmp_path, {"MCPWARD_MASTER_KEY_FILE": str(path)})


@pytest.mark.parametrize("content", [b"", b"x" * 43, b"\xff" * 43, os.urandom(5000)])
def test_attack_91_a_damaged_key_file_is_refused_and_never_replaced(tmp_path: Path, content: bytes) -> None:
    """A new key in place of a damaged one would lock every issued credential out."""
    path = tmp_path / "master.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(Misconfigured) as refused:
        load_or_create(tmp_path, {})
    assert len(refused.value.findings) == 1
    assert path.read_bytes() == content


def test_a_link_in_the_keys_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(text(NEW))
    (tmp_path / "elsewhere").chmod(0o600)
    (tmp_path / "master.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Misconfigured):
        load_or_create(tmp_path, {})


def test_a_missing_mounted_file_is_one_finding(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read"):
        load_or_create(tmp_path, {"MCPWARD_MASTER_KEY_FILE": str(tmp_path / "none")})


class Keyring(KeyringBackend):
    """A keyring in memory: those of desktops need one."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.is_locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.is_locked:
            raise KeyringLocked("canary")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@pytest.fixture
def desktop() -> Iterator[Keyring]:
    before, one = keyring.get_keyring(), Keyring()
    keyring.set_keyring(one)
    yield one
    keyring.set_keyring(before)


def test_the_keyring_of_the_operating_system_holds_the_key(tmp_path: Path, desktop: Keyring) -> None:
    keyring.set_password("mcpward", "prod", text(NEW))
    assert load_or_create(tmp_path, {"MCPWARD_MASTER_KEY_KEYRING": "prod"}).ids == KeyRing([NEW]).ids
    assert not (tmp_path / "master.key").exists()


def test_a_keyring_without_the_entry_or_locked_is_told_and_no_key_is_made(tmp_path: Path, desktop: Keyring) -> None:
    with pytest.raises(Misconfigured, match="no entry prod") as refused:
        load_or_create(tmp_path, {"MCPWARD_MASTER_KEY_KEYRING": "prod"})
    assert refused.value.findings[0].hint == "save one: keyring set mcpward prod"
    desktop.is_locked = True
    with pytest.raises(Misconfigured, match="KeyringLocked") as locked:
        load_or_create(tmp_path, {"MCPWARD_MASTER_KEY_KEYRING": "prod"})
    assert "canary" not in str(locked.value)
    assert not (tmp_path / "master.key").exists()


def test_a_credential_of_systemd_is_the_key(tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    environment = {"CREDENTIALS_DIRECTORY": str(folder)}
    made = load_or_create(tmp_path / "data", environment)  # a service may have credentials of its own
    (folder / "mcpward_master_key").write_text(f"{text(NEW)}\n")
    (folder / "mcpward_master_key").chmod(0o440)
    assert load_or_create(tmp_path / "data", environment).ids == KeyRing([NEW]).ids != made.ids
    with pytest.raises(Misconfigured, match="set twice"):
        load_or_create(tmp_path, environment | {"MCPWARD_MASTER_KEY": text(NEW)})
