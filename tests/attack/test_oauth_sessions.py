"""Legacy sessions of two apps that act for one person, of which one may do less (attacks 27, 60, 63, 64)."""

from collections.abc import Iterator

import pytest

from support.guarded import Door, guarded, issuers, oauth_server
from support.issuer import Issuer, listening
from support.talk import Talker


class Pair:
    """Two apps with tokens of the same person."""

    def __init__(self, door: Door, issuer: Issuer) -> None:
        self.door = door
        self._mint = issuer.mint(door.resource)
        self.talker = Talker(door.ward, self.token("desk", "demo:read demo:write demo:audit"), path=door.path)

    def token(self, client: str, scope: str) -> str:
        return self._mint.token(client_id=client, scope=scope)

    def ask(self, client: str, scope: str, method: str = "ping") -> int:
        """Return the status of a request in the first app's session."""
        headers = self.talker.headers | {"authorization": f"Bearer {self.token(client, scope)}"}
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {}}
        return self.door.ward.post(body, path=self.door.path, headers=headers).status_code


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    issuer = Issuer()
    folder = tmp_path_factory.mktemp("sessions")
    with (
        listening(issuer),
        guarded(folder, oauth_server("demo", "main"), issuers(main=issuer.metadata)) as ward,
    ):
        yield Pair(Door(ward), issuer)


def test_attack_60_a_session_is_of_the_app_that_began_it(pair: Pair):
    assert pair.ask("desk", "demo:read demo:write demo:audit") == 200
    assert pair.ask("desk", "demo:read") == 200  # a token that was renewed, with fewer scopes
    assert pair.ask("toy", "demo:read") == 404
    assert pair.ask("toy", "demo:read demo:write demo:audit") == 404
    assert pair.ask("desk", "demo:read") == 200


@pytest.mark.parametrize("event", ["x", "a.b.1"])
def test_attack_63_another_app_resumes_nothing(pair: Pair, event: str):
    shown = {"accept": "text/event-stream", "last-event-id": event}
    said = {}
    for client in ("desk", "toy"):
        headers = pair.talker.headers | shown | {"authorization": f"Bearer {pair.token(client, 'demo:read')}"}
        with pair.door.ward.client() as http:
            said[client] = http.get(pair.door.path, headers=headers).json()["error"]["data"]["reason"]
    assert said == {"desk": "event-unknown", "toy": "session-unknown"}
