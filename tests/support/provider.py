"""A real identity provider in a process of its own: npm `oidc-provider`, and a scripted person who logs in there."""

import base64
import hashlib
import json
import queue
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx2

from support.clients import node_binary
from support.ports import free_port
from support.tokens import ABSENT, Signer, b64, signer, signing_input
from support.ward import environment

_SCRIPT = Path(__file__).with_name("provider.mjs")
_START_S = 20.0
_FORM = re.compile(r'<form[^>]*\baction="([^"]+)"')
_PROMPT = re.compile(r'name="prompt" value="(\w+)"')
REDIRECT = "http://127.0.0.1:9/callback"
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
SECRET = "the secret of a machine, forty characters"
SCOPES = ("demo:read", "demo:write", "orders:read", "orders:write")

#: One public client for people and one confidential one for machines, per algorithm; and one that may look at tokens.
CLIENTS: tuple[dict[str, Any], ...] = (
    *(
        {
            "client_id": f"app-{alg}", "token_endpoint_auth_method": "none", "redirect_uris": [REDIRECT],
            "grant_types": ["authorization_code", "refresh_token"],
        }
        for alg in ALGORITHMS
    ),
    *(
        {
            "client_id": f"machine-{alg}", "client_secret": SECRET, "grant_types": ["client_credentials"],
            "token_endpoint_auth_method": "client_secret_basic", "redirect_uris": [], "response_types": [],
        }
        for alg in ALGORITHMS
    ),
    {
        "client_id": "mcpward", "client_secret": SECRET, "grant_types": ["client_credentials", EXCHANGE],
        "token_endpoint_auth_method": "client_secret_basic", "redirect_uris": [], "response_types": [],
    },
)  # fmt: skip
#: The keys that sign the tokens of each of them.
SIGNS = {f"{kind}-{alg}": alg for kind in ("app", "machine") for alg in ALGORITHMS}


def keys_of(name: str) -> tuple[Signer, ...]:
    """Return a set of signing keys, one of each kind. Another name, other keys."""
    return tuple(signer(alg, f"{name}-{alg}") for alg in ("RS256", "ES256", "EdDSA"))


class Provider:
    """The provider. ``keys`` are what it signs with; ``restart(keys)`` on the same port is a change of keys."""

    def __init__(self, keys: Sequence[Signer] = (), **options: Any) -> None:
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.metadata = f"{self.issuer}/.well-known/oauth-authorization-server"
        self.keys = tuple(keys) or keys_of("first")
        self.options = {"clients": CLIENTS, "algorithms": SIGNS, "scopes": SCOPES, "accounts": {}} | options
        self.asked: Counter[str] = Counter()
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()

    # ---- the process ----

    def start(self) -> Self:
        """Start it and wait until it listens."""
        own = {"port": self.port, "keys": [key.private() for key in self.keys]}
        binary = node_binary()
        assert binary is not None
        self._process = subprocess.Popen(
            [str(binary), str(_SCRIPT), json.dumps(self.options | own)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=environment({"NODE_NO_WARNINGS": "1"}),
        )  # fmt: skip
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        self._expect("ready")
        return self

    def kill(self) -> None:
        """End it without a word."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait(10)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()

    def restart(self, keys: Sequence[Signer]) -> None:
        """Kill it and start it at the same address with other keys."""
        self.kill()
        self.keys = tuple(keys)
        self.start()

    def pause(self) -> None:
        """Hold it: connections are taken by the kernel and nothing is ever answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a held one go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def behave(self, *, delay: float = 0.0, answers: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """From now on wait ``delay`` seconds before each answer, and answer some paths otherwise; nothing: be well."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"delay": delay, "answers": answers or {}}) + "\n")
        self._process.stdin.flush()
        self._expect("changed")

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                said = json.loads(line)
                if "did" in said:
                    self.asked[said["did"]] += 1
                else:
                    self._lines.put(said)
        except (ValueError, OSError):
            pass  # killed in the middle of a line
        finally:
            self._lines.put({"ended": True})

    def _expect(self, word: str) -> None:
        until = time.monotonic() + _START_S
        while (left := until - time.monotonic()) > 0:
            said = self._lines.get(timeout=left)
            if word in said:
                return
            if "ended" in said and self._process is not None and self._process.poll() is not None:
                break
        raise AssertionError(f"the provider did not say {word!r}")

    # ---- tokens ----

    def token(self, user: str, resource: str, scope: str = "demo:read", *, client: str = "app-RS256") -> str:
        """Return the access token of a person who logs in and consents."""
        return str(self.tokens(user, resource, scope, client=client)["access_token"])

    def tokens(self, user: str, resource: str, scope: str, *, client: str = "app-RS256") -> dict[str, Any]:
        """Return the whole answer of the token endpoint to a person's login: authorization code, with PKCE."""
        verifier = "v" * 43
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "client_id": client, "response_type": "code", "redirect_uri": REDIRECT, "scope": scope, "state": "s",
            "resource": resource, "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        arrived = parse_qs(urlsplit(log_in(f"{self.issuer}/auth?{urlencode(asked)}", user)).query)
        assert arrived.get("iss") == [self.issuer], arrived  # RFC 9207
        return self._ask(
            {"grant_type": "authorization_code", "code": arrived["code"][0], "redirect_uri": REDIRECT,
             "client_id": client, "code_verifier": verifier, "resource": resource},
        )  # fmt: skip

    def machine_token(
        self, resource: str, scope: str = "demo:read", *, client: str = "machine-RS256", bound_to: Signer | None = None
    ) -> str:
        """Return the access token of a program (client credentials), bound to a key of its own where one is given."""
        asked = {"grant_type": "client_credentials", "resource": resource, "scope": scope}
        proof = {} if bound_to is None else {"dpop": self._proof(bound_to)}
        return str(self._ask(asked, auth=(client, SECRET), headers=proof)["access_token"])

    def _proof(self, key: Signer) -> str:
        """Return the proof that a client holds a key (RFC 9449 §4)."""
        jwk = key.public(kid=ABSENT, use=ABSENT, alg=ABSENT)
        claims = {"jti": "one", "htm": "POST", "htu": f"{self.issuer}/token", "iat": int(time.time())}
        signing = signing_input({"typ": "dpop+jwt", "alg": key.alg, "jwk": jwk}, claims)
        return f"{signing}.{b64(key.sign(signing.encode()))}"

    def _ask(
        self, form: Mapping[str, str], auth: tuple[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        with httpx2.Client(verify=False, timeout=20) as http:
            sent = auth or httpx2.USE_CLIENT_DEFAULT
            answer = http.post(f"{self.issuer}/token", data=dict(form), auth=sent, headers=dict(headers or {}))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def log_in(url: str, user: str) -> str:
    """Be the person and the browser: follow an authorization URL through login and consent, and return where it ends.

    The end is the first address outside of the provider: the client's own redirect URI with what it was given.
    """
    origin = urlsplit(url).netloc
    with httpx2.Client(verify=False, timeout=20) as browser:
        answer = browser.get(url)
        for _ in range(12):
            if answer.is_redirect:
                url = urljoin(url, answer.headers["location"])
                if urlsplit(url).netloc != origin:
                    return url
                answer = browser.get(url)
                continue
            form, prompt = _FORM.search(answer.text), _PROMPT.search(answer.text)
            assert form is not None, f"{answer.status_code}: {answer.text[-600:]}"
            assert prompt is not None, answer.text
            url = urljoin(url, form[1])
            filled = {"prompt": prompt[1]} | ({"login": user, "password": "x"} if prompt[1] == "login" else {})
            answer = browser.post(url, data=filled)
    raise AssertionError("the login has no end")


@contextmanager
def providing(**options: Any) -> Iterator[Provider]:
    """Run a provider until the end of the block."""
    provider = Provider(**options)
    try:
        yield provider.start()
    finally:
        provider.kill()
