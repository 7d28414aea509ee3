"""Values that people use as words: masking one of them would spoil harmless results and hide nothing."""

import re
from typing import Final
from urllib.parse import urlsplit

WORDS: Final = frozenset(
    """
    a an and any api app application applications as at auth authentication authorization authorized authuri base
    basic bearer beta bot bucket by cache ca cert certificate certificates certs change changeme charset cipher client
    cloud cluster code com common compute config connect console core credential credentials crypto data database db
    debug default demo deny dev development disable disabled do docker dot domain dsa ec email empty enable enabled
    encrypt encrypted end endpoint env environment error europe example external eu false file files for forbidden
    form from full gateway get global google googleapis grant group guest here host hostname http https id identity
    in info insert installed internal invalid io iss issuer it json jwt key keys kubernetes level list local localhost
    localdomain log login main manager master member message meta metadata mode mongodb mysql name net network new no
    node none not null oauth oauth2 of off office ok on open openid openssh optional or org organization owner
    parameter pass passphrase password passwords path pgp placeholder plain plaintext policy pool port postgres
    postgresql prefer preferred prod production profile program project protocol provider proxy public query read
    readonly readwrite redirect redis refresh region release remote request require required response revoke role
    robot root rsa run sample sandbox scope secret secrets self server service session settings sha sign signing site
    sql sqlite sslmode ssl staging standard start state static status storage store string subject super system
    target tcp team temp temporary tenant test testing text the this tls to token tokens trial true type undefined
    universal universe unknown unset unused update upload uri url us usage use user username users utf v1 v2 v3 value
    verify version warning web webhook west east north south central with word worker workspace world write www x509
    yes your zone begin ssh private access account accounts admin administrator
    """.split()  # noqa: SIM905  # two hundred quotation marks less
)
_WORD: Final = re.compile(r"[A-Za-z0-9]+")
_WORDS: Final = re.compile(r"[A-Za-z0-9\s./:_-]*")
_SMALL_NUMBER: Final = 4
_MAIL: Final = re.compile(r"[^@\s:/]+@[a-z0-9.-]+\.[a-z]{2,}", re.IGNORECASE)
_HOST: Final = re.compile(r"(?:[a-z0-9-]+\.)+[a-z]{2,}(?::\d+)?", re.IGNORECASE)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-][\d:]+)?)?")
_ARMOUR: Final = re.compile(r"-----(?:BEGIN|END) [A-Z0-9 ]+-----")
#: Members of a document that say who and where; the credential stands beside them.
_PUBLIC_NAMES: Final = frozenset(
    """
    type kind project project_id project_number client_email email universe_domain auth_uri token_uri region zone
    location endpoint issuer iss aud audience host hostname domain user username name title description account
    account_id database dbname bucket scope scopes auth_provider_x509_cert_url client_x509_cert_url quota_project_id
    """.split()  # noqa: SIM905
)


def is_common(text: str) -> bool:
    """Return whether ``text`` is made of nothing but words that people use, and small numbers."""
    if _WORDS.fullmatch(text) is None:
        return False
    words = _WORD.findall(text)
    return all(
        word.lower() in WORDS or (word.isdecimal() and len(word) < _SMALL_NUMBER and len(words) > 1) for word in words
    )


def is_public(text: str, name: str = "") -> bool:
    """Return whether a string inside a secret document, called ``name`` there, says who or where and is no secret."""
    if name.lower() in _PUBLIC_NAMES and "\n" not in text and not _has_user(text):
        return True
    if _ARMOUR.fullmatch(text) or is_common(text):
        return True
    if _MAIL.fullmatch(text) or _HOST.fullmatch(text) or _TIME.fullmatch(text):
        return True
    return "://" in text and not _has_user(text) and _names_a_place(text)


def _has_user(text: str) -> bool:
    return "@" in text and "://" in text


def _names_a_place(text: str) -> bool:
    """Whether a URL without a password names only a host and common words: the path of a webhook is its credential."""
    try:
        url = urlsplit(text)
    except ValueError:
        return False
    return not url.query and not url.fragment and is_common(url.path)
