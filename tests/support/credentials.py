"""Invented credentials of every published shape. They are put together while a test runs: none stands in a file."""

import base64
import binascii
import json
import random
import string
from collections.abc import Callable

from mcpward.core.ids import BASE62

_HEX = "0123456789abcdef"
_URL = string.ascii_letters + string.digits + "-_"
_B64 = string.ascii_letters + string.digits + "+/"
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_BECH32 = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"
Make = Callable[[random.Random], str]


def _of(chance: random.Random, letters: str, count: int) -> str:
    return "".join(chance.choice(letters) for _ in range(count))


def _plain(prefix: str, letters: str, count: int, end: str = "") -> Make:
    return lambda chance: prefix + _of(chance, letters, count) + end


def crc62(text: str) -> str:
    """Return the CRC-32 of a text as six digits of base 62, as GitHub and npm write it."""
    number, digits = binascii.crc32(text.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = BASE62[digit] + digits
    return digits


def _with_crc(prefix: str) -> Make:
    def make(chance: random.Random) -> str:
        body = _of(chance, BASE62, 30)
        return f"{prefix}{body}{crc62(body)}"

    return make


def _own_key(chance: random.Random) -> str:
    body = f"sk-mcpward-{_of(chance, BASE62, 12)}_{_of(chance, BASE62, 43)}"
    return body + crc62(body)


def _pypi(chance: random.Random) -> str:
    return "pypi-" + base64.urlsafe_b64encode(b"\x02\x01\x08pypi" + b".org" + chance.randbytes(120)).decode().rstrip(
        "="
    )


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _jwt(chance: random.Random) -> str:
    return f"{_part({'alg': 'RS256', 'kid': '1'})}.{_part({'sub': _of(chance, _HEX, 8)})}.{_of(chance, _URL, 342)}"


def pem(chance: random.Random, kind: str = "PRIVATE KEY") -> str:
    """Return a private key in PEM; what it holds is drawn, and no key."""
    body = base64.b64encode(chance.randbytes(600)).decode()
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----"


def _url(chance: random.Random) -> str:
    return _of(chance, BASE62 + "!_", 14)


#: By kind, what is masked whole. Those of ``BESIDE`` are masked without what stands beside them.
MAKERS: dict[str, Make] = {
    "aws-access-key": _plain("AKIA", _UPPER, 16),
    "aws-secret-key": _plain("", _B64[:62], 40),
    "aws-session-token": _plain("IQoJb3JpZ2luX2Vj", _B64, 300),
    "google-api-key": _plain("AIza", _URL, 34, "a"),
    "google-client-secret": _plain("GOCSPX-", _URL, 27, "a"),
    "google-access-token": _plain("ya29.", _URL, 120),
    "azure-storage-key": _plain("", _B64, 86, "=="),
    "azure-shared-key": _plain("", _B64, 43, "="),
    "azure-signature": _plain("", _B64[:62], 43, "%3D"),
    "azure-client-secret": _plain("a1b8Q~", _URL, 33, "a"),
    "github-token": _with_crc("ghp_"),
    "github-fine-grained-token": lambda chance: f"github_pat_{_of(chance, BASE62, 22)}_{_of(chance, BASE62, 59)}",
    "gitlab-token": _plain("glpat-", _URL, 20),
    "slack-token": lambda chance: f"xoxb-{_of(chance, string.digits, 12)}-{_of(chance, BASE62 + '-', 37)}",
    "slack-webhook": lambda chance: f"T{_of(chance, _UPPER, 9)}/B{_of(chance, _UPPER, 9)}/{_of(chance, BASE62, 24)}",
    "stripe-key": _plain("sk_live_", BASE62, 40),
    "webhook-secret": _plain("whsec_", _B64, 40),
    "npm-token": _with_crc("npm_"),
    "pypi-token": _pypi,
    "openai-key": lambda chance: f"sk-proj-{_of(chance, _URL, 58)}T3BlbkFJ{_of(chance, _URL, 58)}",
    "anthropic-key": _plain("sk-ant-api03-", _URL, 93, "AA"),
    "openrouter-key": _plain("sk-or-v1-", _HEX, 64),
    "huggingface-token": _plain("hf_", string.ascii_letters, 34),
    "sendgrid-key": lambda chance: f"SG.{_of(chance, _URL, 22)}.{_of(chance, _URL, 43)}",
    "twilio-key": _plain("SK", _HEX, 32),
    "telegram-bot-token": lambda chance: f"{_of(chance, string.digits, 10)}:AA{_of(chance, _URL, 33)}",
    "mcpward-key": _own_key,
    "private-key": pem,
    "putty-key": lambda chance: "\n".join(_of(chance, _B64, 64) for _ in range(8)),
    "age-key": _plain("AGE-SECRET-KEY-1", _BECH32, 58),
    "jwt": _jwt,
    "digitalocean-token": _plain("dop_v1_", _HEX, 64),
    "docker-token": _plain("dckr_pat_", _URL, 27),
    "vault-token": _plain("hvs.", _URL, 90),
    "databricks-token": _plain("dapi", _HEX, 32),
    "grafana-token": lambda chance: f"glsa_{_of(chance, BASE62, 32)}_{_of(chance, _HEX, 8)}",
    "atlassian-token": lambda chance: f"ATATT3xFfGF0{_of(chance, _URL, 170)}={_of(chance, '0123456789ABCDEF', 8)}",
    "shopify-token": _plain("shpat_", _HEX, 32),
    "tailscale-key": lambda chance: f"tskey-auth-{_of(chance, BASE62, 12)}-{_of(chance, BASE62, 32)}",
    "linear-key": _plain("lin_api_", BASE62, 40),
    "discord-webhook": lambda chance: f"{_of(chance, string.digits, 18)}/{_of(chance, _URL, 68)}",
    "teams-webhook": lambda chance: f"webhookb2/{_of(chance, _HEX, 73)}/IncomingWebhook/{_of(chance, _HEX, 32)}/a",
    "password-in-url": _url,
    "password-in-connection-string": _url,
}  # fmt: skip
BESIDE: dict[str, tuple[str, str]] = {
    "aws-secret-key": ("aws_secret_access_key = ", ""),
    "azure-storage-key": (
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=",
        ";EndpointSuffix=core.windows.net",
    ),
    "azure-shared-key": ("Endpoint=sb://a.servicebus.windows.net/;SharedAccessKeyName=r;SharedAccessKey=", ""),
    "azure-signature": ("https://a.blob.core.windows.net/c?sv=2024-11-04&se=2026-01-01&sr=c&sig=", ""),
    "slack-webhook": ("https://hooks.slack.com/services/", ""),
    "telegram-bot-token": ("https://api.telegram.org/bot", "/getMe"),
    "putty-key": ("PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: 8\n", "\nPrivate-MAC: 00"),
    "discord-webhook": ("https://discord.com/api/webhooks/", ""),
    "teams-webhook": ("https://a.webhook.office.com/", ""),
    "password-in-url": ("postgresql://app:", "@db.example.com:5432/orders"),
    "password-in-connection-string": ("Server=db;Database=orders;User Id=app;Password=", ";Encrypt=true"),
}


def credential(kind: str, seed: int = 0) -> str:
    """Return one credential of a kind, the same for the same seed."""
    return MAKERS[kind](random.Random(f"{kind} {seed}"))


def beside(kind: str, value: str) -> str:
    """Return a credential with what makes it known beside it."""
    before, after = BESIDE.get(kind, ("", ""))
    return f"{before}{value}{after}"
