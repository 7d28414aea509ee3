"""The published shapes of credentials that others issue, each with the page that describes it.

A shape is found by one of its ``anchors``, texts of which one stands in every such credential; then by its ``pattern``,
whose last group without a name is what is masked (all of it if there is none); then by ``check``: a checksum, or what
it decodes to.

Invariant: every pattern takes time in proportion to the text. A repetition without a bound is followed by nothing that
could fail, or begins where the text before it cannot belong to it.
"""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from mcpward.core.ids import BASE62

Match = re.Match[str]
#: Before a token: no letter or digit, but the letter of an escape sequence such as ``\n`` in quoted JSON.
_START: Final = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf]))"
#: The same for tokens of base64url, so that none begins within another.
_START_URL: Final = r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrtbf]))"
_END: Final = r"(?![A-Za-z0-9])"
_END_URL: Final = r"(?![A-Za-z0-9_-])"
_DIGIT: Final = {letter: at for at, letter in enumerate(BASE62)}
#: The head of a macaroon of version 2, with the length and the beginning of its location.
_PYPI: Final = (b"\x02\x01\x08pypi", b"\x02\x01\x0dtest.pypi")
#: Between the lines of a key: white space, what quotes it, and escape sequences.
_BREAK: Final = r"""(?:[\s"',>|+]|\\+[nrt"])"""
_decode: Final = msgspec.json.Decoder().decode


class Shape(Struct, frozen=True):
    """One kind of credential."""

    kind: str
    source: str
    anchors: tuple[str, ...]
    pattern: str
    check: Callable[[Match], bool] | None = None


def _crc_of_secret(found: Match) -> bool:
    """The last six digits are the CRC-32 in base 62 of those after the prefix."""
    return _is_crc(found["body"][:-6], found["body"][-6:])


def _crc_of_all(found: Match) -> bool:
    return _is_crc(found[0][:-6], found[0][-6:])


def _is_crc(text: str, digits: str) -> bool:
    number = 0
    for digit in digits:
        number = number * 62 + _DIGIT[digit]
    return number == binascii.crc32(text.encode())


def _is_jose(found: Match) -> bool:
    """The first part is the JSON of a header that names its algorithm (RFC 7515 §4.1.1)."""
    try:
        header = _decode(_octets(found["header"]))
    except (ValueError, msgspec.MsgspecError, RecursionError):
        return False
    return isinstance(header, dict) and isinstance(header.get("alg"), str)


def _is_macaroon(found: Match) -> bool:
    try:
        return _octets(found["macaroon"][:64]).startswith(_PYPI)
    except ValueError:
        return False


def _octets(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_")


def _is_no_blank(found: Match) -> bool:
    """What people fill in is none: ``<password>``, ``${PASSWORD}``, ``***``, and user:password as manuals write it. Nor
    is the user's name once more, as in ``guest:guest``, which anyone tries first.
    """
    user, password = found["user"], found[2]
    if (
        _BLANK.fullmatch(password)
        or user == password
        or (user, password) == ("scott", "tiger")
        or _PORT.match(password)
    ):
        return False
    is_manual = _ANY_USER.fullmatch(user) or _EXAMPLE_HOST.match(found.string, found.end())
    return not (is_manual and _ANY_PASSWORD.fullmatch(password))


def _is_of_connection(found: Match) -> bool:
    """Other keywords of a connection string stand beside it: code passes passwords by name, too."""
    if _BLANK.fullmatch(found[1]) or _ANY_PASSWORD.fullmatch(found[1]):
        return False
    before = found.string[max(0, found.start() - _BESIDE) : found.start()]
    after = found.string[found.end() : found.end() + _BESIDE]
    return bool(_KEYWORD_AFTER.match(after) or _KEYWORD_BEFORE.search(before))


IN_URL: Final = ("://", ":\\/", ":\\\\/")
"""The anchors of a URL: so common that there is a closer look before the pattern."""
_BLANK: Final = re.compile(
    r"(?i)([*.xX•…_-])\1*|<.*|\[.*|\{.*|\$.*|%[sdv]|%\(?\w*\)?s|%[A-Z_]+%|your[\w-]*|redacted|example[\w-]*"
)
_ANY_USER: Final = re.compile(r"(?i)|user(?:name)?|usr|login|u|me|foo|alice|bob|your[\w-]*|db_?user|[\[{$%].*")
_ANY_PASSWORD: Final = re.compile(r"(?i)pass(?:wor[dt]|wd)?|pwd|pw|p|secret|changeme|bar|token|key|\d{1,4}")
#: The port of the first of several hosts, of which the second has a user.
_PORT: Final = re.compile(r"\d{1,5},")
_EXAMPLE_HOST: Final = re.compile(r"example\.(?:com|net|org)(?![\w.-])")
_BESIDE: Final = 96
_KEYWORD: Final = r"(?i:server|data source|addr|address|host|hostaddr|user id|uid|user|database|initial catalog|dbname)"
_KEYWORD_BEFORE: Final = re.compile(
    rf"(?:^|[;\s\"'])(?:{_KEYWORD}\s*=[^;]{{0,128}};\s*|(?:host|hostaddr|port|user|dbname|sslmode)=[^\s,;()]{{1,128}}\s)$"
)
_KEYWORD_AFTER: Final = re.compile(rf";\s*{_KEYWORD}\s*=|\s(?:host|hostaddr|port|user|dbname|sslmode)=[^\s,;()]")

SHAPES: Final = (
    Shape(
        "aws-access-key",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html",
        ("AKIA", "ASIA", "ABIA", "ACCA"),
        rf"{_START}(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{{16}}{_END}",
    ),
    Shape(
        "aws-secret-key",
        "https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html",
        ("ecretAccessKey", "ecret_access_key", "SECRET_ACCESS_KEY", "ecretaccesskey"),
        r"(?i:secret_?access_?key)[\"'\\\s:=>]{1,8}([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
    ),
    Shape(
        "aws-session-token",
        "https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html",
        ("IQoJb3JpZ2luX2Vj", "FwoGZXIvYXdz"),
        r"(?:IQoJb3JpZ2luX2Vj|FwoGZXIvYXdz)[A-Za-z0-9/+=%]{100,}",
    ),
    Shape(
        "google-api-key",
        "https://cloud.google.com/docs/authentication/api-keys",
        ("AIza",),
        rf"{_START}AIza[0-9A-Za-z_-]{{35}}{_END_URL}",
    ),
    Shape(
        "google-client-secret",
        "https://developers.google.com/identity/protocols/oauth2/web-server",
        ("GOCSPX-",),
        rf"{_START}GOCSPX-[A-Za-z0-9_-]{{28}}{_END_URL}",
    ),
    Shape(
        "google-access-token",
        "https://developers.google.com/identity/protocols/oauth2",
        ("ya29.",),
        rf"{_START}ya29\.[A-Za-z0-9_-]{{30,}}",
    ),
    Shape(
        "azure-storage-key",
        "https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string",
        ("AccountKey=",),
        r"AccountKey=([A-Za-z0-9+/]{86}==)",
    ),
    Shape(
        "azure-shared-key",
        "https://learn.microsoft.com/azure/service-bus-messaging/service-bus-sas",
        ("SharedAccessKey=", "SharedSecretIssuer="),
        r"SharedAccessKey=([A-Za-z0-9+/]{43}=)",
    ),
    Shape(
        "azure-signature",
        "https://learn.microsoft.com/rest/api/storageservices/create-service-sas",
        ("sig=",),
        r"(?:[?&;]|\\u0026|&amp;)sig=((?:[A-Za-z0-9+/_-]|%2[BbFf]){43}(?:=|%3[Dd])?)(?![A-Za-z0-9])",
    ),
    Shape(
        "azure-client-secret",
        "https://learn.microsoft.com/entra/identity-platform/quickstart-register-app",
        ("7Q~", "8Q~"),
        r"(?<![A-Za-z0-9_~.-])[A-Za-z0-9_~.-]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}(?![A-Za-z0-9_~.-])",
    ),
    Shape(
        "github-token",
        "https://github.blog/engineering/behind-githubs-new-authentication-token-formats/",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
        rf"gh[pousr]_(?P<body>[A-Za-z0-9]{{36}}){_END}",
        _crc_of_secret,
    ),
    Shape(
        "github-fine-grained-token",
        "https://docs.github.com/code-security/secret-scanning/introduction/supported-secret-scanning-patterns",
        ("github_pat_",),
        rf"github_pat_[A-Za-z0-9]{{22}}_[A-Za-z0-9]{{59}}{_END}",
    ),
    Shape(
        "gitlab-token",
        "https://docs.gitlab.com/security/tokens/#token-prefixes",
        ("glpat-", "gldt-", "glrt-", "glptt-", "glcbt-", "gloas-", "glsoat-", "glagent-"),
        rf"{_START}gl(?:pat|dt|rt|ptt|cbt|oas|soat|agent)-[A-Za-z0-9_-]{{20,}}(?:\.[0-9a-z]{{2}}\.[0-9a-z]{{9}})?",
    ),
    Shape(
        "slack-token",
        "https://docs.slack.dev/authentication/tokens",
        ("xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxe", "xapp-"),
        rf"{_START}(?:xox[abprs]-|xoxe(?:\.xox[bp])?-|xapp-)\d[0-9A-Za-z]{{0,13}}-[A-Za-z0-9-]{{15,}}",
    ),
    Shape(
        "slack-webhook",
        "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks",
        ("hooks.slack.com",),
        r"hooks\.slack\.com\\?/(?:services|workflows|triggers)\\?/([A-Z0-9]{8,}(?:\\?/[A-Za-z0-9]{8,}){1,3})",
    ),
    Shape(
        "stripe-key",
        "https://docs.stripe.com/keys",
        ("sk_live_", "rk_live_", "sk_test_", "rk_test_"),
        rf"{_START}[sr]k_(?:live|test)_[A-Za-z0-9]{{20,}}",
    ),
    Shape(
        "webhook-secret",
        "https://docs.stripe.com/webhooks/signature",
        ("whsec_",),
        rf"{_START}whsec_[A-Za-z0-9+/]{{32,}}=*",
    ),
    Shape(
        "npm-token",
        "https://github.blog/changelog/2021-09-23-npm-has-a-new-access-token-format/",
        ("npm_",),
        rf"npm_(?P<body>[A-Za-z0-9]{{36}}){_END}",
        _crc_of_secret,
    ),
    Shape(
        "pypi-token",
        "https://packaging.python.org/en/latest/specifications/pypirc/",
        ("pypi-AgE",),
        r"pypi-(?P<macaroon>AgE[A-Za-z0-9_-]{64,})",
        _is_macaroon,
    ),
    Shape(
        "openai-key",
        "https://platform.openai.com/docs/api-reference/authentication",
        ("T3BlbkFJ",),  # "OpenAI" in base64
        rf"{_START_URL}sk-[A-Za-z0-9_-]{{16,180}}?T3BlbkFJ[A-Za-z0-9_-]{{16,}}",
    ),
    Shape(
        "anthropic-key",
        "https://docs.anthropic.com/en/api/overview",
        ("sk-ant-",),
        rf"{_START}sk-ant-[a-z]{{2,12}}\d\d-[A-Za-z0-9_-]{{60,}}",
    ),
    Shape(
        "openrouter-key",
        "https://openrouter.ai/docs/api-reference/authentication",
        ("sk-or-v1-",),
        rf"{_START}sk-or-v1-[0-9a-f]{{64}}{_END}",
    ),
    Shape(
        "huggingface-token",
        "https://huggingface.co/docs/hub/security-tokens",
        ("hf_",),
        rf"{_START_URL}hf_[A-Za-z]{{34}}{_END_URL}",
    ),
    Shape(
        "sendgrid-key",
        "https://www.twilio.com/docs/sendgrid/ui/account-and-settings/api-keys",
        ("SG.",),
        rf"{_START}SG\.[A-Za-z0-9_-]{{22}}\.[A-Za-z0-9_-]{{43}}{_END_URL}",
    ),
    Shape(
        "twilio-key",
        "https://www.twilio.com/docs/iam/api-keys",
        tuple(f"SK{digit}" for digit in "0123456789abcdef"),
        rf"{_START}SK[0-9a-f]{{32}}{_END}",
    ),
    Shape(
        "telegram-bot-token",
        "https://core.telegram.org/bots/features#botfather",
        (":AA",),
        r"(?<![0-9A-Za-z])(?:bot)?(\d{8,10}:AA[A-Za-z0-9_-]{33})(?![A-Za-z0-9_-])",
    ),
    Shape(
        "mcpward-key",
        "docs/keys.md",
        ("sk-mcpward-",),
        rf"sk-mcpward-[0-9A-Za-z]{{12}}_[0-9A-Za-z]{{49}}{_END}",
        _crc_of_all,
    ),
    Shape(
        "private-key",
        "https://www.rfc-editor.org/rfc/rfc7468",
        ("-----BEGIN ",),
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        rf"{_BREAK}*+(?:[A-Z][A-Za-z-]{{3,20}}: [^\n\\]{{0,80}}{_BREAK}++){{0,4}}+"
        rf"[A-Za-z0-9+/=]{{16,}}+(?:{_BREAK}++[A-Za-z0-9+/=]{{16,}}+)*+"
        rf"(?:(?:{_BREAK}*+[A-Za-z0-9+/=]{{1,15}}+){{0,2}}+{_BREAK}*+-----END [A-Z0-9 ]{{0,40}}-----)?",
    ),
    Shape(
        "putty-key",
        "https://tartarus.org/~simon/putty-snapshots/htmldoc/AppendixC.html",
        ("Private-Lines: ",),
        rf"Private-Lines: \d+{_BREAK}++([A-Za-z0-9+/=]{{16,}}+(?:{_BREAK}++[A-Za-z0-9+/=]{{4,}}+(?![-:]))*+)",
    ),
    Shape(
        "age-key",
        "https://github.com/C2SP/C2SP/blob/main/age.md",
        ("AGE-SECRET-KEY-1",),
        r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}",
    ),
    Shape(
        "jwt",
        "https://www.rfc-editor.org/rfc/rfc7519",
        ("eyJ",),
        rf"{_START_URL}(?P<header>eyJ[A-Za-z0-9_-]{{8,}}+)\.[A-Za-z0-9_-]*+\.[A-Za-z0-9_-]{{8,}}+"
        r"(?:\.[A-Za-z0-9_-]++\.[A-Za-z0-9_-]++)?",
        _is_jose,
    ),
    Shape(
        "digitalocean-token",
        "https://docs.digitalocean.com/reference/api/create-personal-access-token/",
        ("dop_v1_", "doo_v1_", "dor_v1_"),
        rf"do[opr]_v1_[a-f0-9]{{64}}{_END}",
    ),
    Shape(
        "docker-token",
        "https://docs.docker.com/security/access-tokens/",
        ("dckr_pat_", "dckr_oat_"),
        r"dckr_[po]at_[A-Za-z0-9_-]{27,}",
    ),
    Shape(
        "vault-token",
        "https://developer.hashicorp.com/vault/docs/concepts/tokens",
        ("hvs.", "hvb."),
        rf"{_START}hv[sb]\.[A-Za-z0-9_-]{{24,}}",
    ),
    Shape(
        "databricks-token",
        "https://docs.databricks.com/aws/en/dev-tools/auth/pat",
        ("dapi",),
        rf"{_START}dapi[0-9a-f]{{32}}(?:-\d)?{_END}",
    ),
    Shape(
        "grafana-token",
        "https://grafana.com/docs/grafana/latest/administration/service-accounts/",
        ("glsa_",),
        rf"glsa_[A-Za-z0-9]{{32}}_[0-9a-fA-F]{{8}}{_END}",
    ),
    Shape(
        "atlassian-token",
        "https://support.atlassian.com/atlassian-account/docs/manage-api-tokens-for-your-atlassian-account/",
        ("ATATT3xFfGF0",),
        r"ATATT3xFfGF0[A-Za-z0-9_-]{40,}+(?:=[0-9A-F]{8})?",
    ),
    Shape(
        "shopify-token",
        "https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens",
        ("shpat_", "shpca_", "shppa_", "shpss_"),
        rf"{_START}shp(?:at|ca|pa|ss)_[0-9a-fA-F]{{32}}{_END}",
    ),
    Shape(
        "tailscale-key",
        "https://tailscale.com/kb/1085/auth-keys",
        ("tskey-",),
        rf"{_START}tskey-[a-z]{{2,12}}-[A-Za-z0-9]{{6,}}-[A-Za-z0-9]{{20,}}",
    ),
    Shape(
        "linear-key",
        "https://linear.app/developers/graphql",
        ("lin_api_",),
        rf"{_START}lin_api_[A-Za-z0-9]{{40}}{_END}",
    ),
    Shape(
        "discord-webhook",
        "https://discord.com/developers/docs/resources/webhook",
        ("/webhooks",),
        r"discord(?:app)?\.com\\?/api\\?/(?:v\d+\\?/)?webhooks\\?/(\d{17,20}\\?/[A-Za-z0-9_-]{60,})",
    ),
    Shape(
        "teams-webhook",
        "https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook",
        (".webhook.office.com",),
        r"\.webhook\.office\.com\\?/(webhookb2\\?/[0-9a-f@-]{36,80}\\?/IncomingWebhook\\?/[0-9A-Za-z]{20,}[0-9A-Za-z/\\-]*)",
    ),
    Shape(
        "password-in-url",
        "https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1",
        IN_URL,
        r""":(?://|\\{1,3}/\\{1,3}/)(?P<user>[^\s/?#"'`@:\\<>\[\]]{0,128}+):([^\s/?#"'`@\\]{1,256}+)@""",
        _is_no_blank,
    ),
    Shape(
        "password-in-connection-string",
        "https://learn.microsoft.com/dotnet/framework/data/adonet/connection-string-syntax",
        ("assword=", "ASSWORD=", "Pwd=", "PWD=", "pwd="),
        r"""(?<![A-Za-z-])(?i:password|pwd)=([^\s;&"'`\\,()]{1,256}+)""",
        _is_of_connection,
    ),
)
