"""All vectors of Wycheproof for JSON Web Signatures, through the reading and the check that every token passes.

The vectors with a shared secret are driven too, with a key that only this file can make: a provider's document cannot
bring one (``test_a_shared_secret_cannot_be_published``), nor can rules name its algorithm.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcpward.identity.jwt import compact, public_key, signature
from mcpward.identity.jwt.algorithm import ALGORITHMS
from mcpward.identity.jwt.errors import KeysRefused, KeyUnusable, TokenRefused
from mcpward.identity.jwt.issuer_rules import IssuerRules
from mcpward.identity.jwt.key_set import KeySet
from mcpward.identity.jwt.public_key import PublicKey
from mcpward.identity.jwt.verify import peek

EVERY = frozenset(ALGORITHMS)
ANOTHER_NAME = "the key names another algorithm than the token, or one that there is not"
STRAY = "a character of another alphabet in a segment, which a lax decoder skips"
#: Valid by the file, refused here.
STRICTER = {346: ANOTHER_NAME, 347: ANOTHER_NAME, 350: ANOTHER_NAME, 351: ANOTHER_NAME, 372: STRAY, 373: STRAY}
Vectors = list[tuple[dict[str, Any], dict[str, Any]]]


@pytest.fixture(scope="module")
def vectors(corpora: Path) -> Vectors:
    groups = json.loads((corpora / "wycheproof" / "json_web_signature_test.json").read_text())["testGroups"]
    return [(group.get("public") or group["private"], test) for group in groups for test in group["tests"]]


def published(member: dict[str, Any]) -> PublicKey | None:
    """The key, if a provider's document could bring it."""
    try:
        return None if member["kty"] == "oct" else public_key.read(member, EVERY)
    except KeyUnusable:
        return None


def accepts(key: PublicKey | None, token: Any) -> bool:
    text = token if isinstance(token, str) else json.dumps(token)  # some vectors are of the JSON serialization
    try:
        return signature.holds(compact.read(text.encode()), key) if key is not None else False
    except TokenRefused:
        return False


def accepted(vectors: Vectors, result: str, key_of: Callable[[dict[str, Any]], PublicKey | None]) -> set[int]:
    return {test["tcId"] for key, test in vectors if test["result"] == result and accepts(key_of(key), test["jws"])}


def test_the_vectors_are_all_there(vectors: Vectors):
    assert Counter(test["result"] for _, test in vectors) == {"invalid": 355, "valid": 46}


def test_no_invalid_vector_is_accepted(vectors: Vectors):
    assert not accepted(vectors, "invalid", published)


def test_no_token_of_a_symmetric_algorithm_is_read_whoever_made_it(vectors: Vectors):
    """A public key must never do as a shared secret (attack 2): the algorithm is refused before any key is asked."""
    shared = [test["jws"] for key, test in vectors if key["kty"] == "oct" and isinstance(test["jws"], str)]
    assert len(shared) > 10
    for token in shared:
        with pytest.raises(TokenRefused):
            compact.read(token.encode())


def test_every_valid_vector_is_accepted_but_for_those_that_are_named(vectors: Vectors):
    valid = {test["tcId"] for _, test in vectors if test["result"] == "valid"}
    shared = {test["tcId"] for key, test in vectors if key["kty"] == "oct"}
    assert valid - accepted(vectors, "valid", published) == STRICTER.keys() | (valid & shared)


def test_what_is_refused_although_valid_is_refused_for_the_reason_that_is_named(vectors: Vectors):
    for member, test in vectors:
        if STRICTER.get(test["tcId"]) == STRAY:
            with pytest.raises(TokenRefused, match="base64url"):
                compact.read(test["jws"].encode())
        elif test["tcId"] in STRICTER:
            renamed = member | {"alg": compact.read(test["jws"].encode()).header.algorithm}
            assert accepts(published(renamed), test["jws"])


def test_no_vector_gets_past_the_door_with_a_shared_secret_or_without_claims(vectors: Vectors):
    """A token that :func:`peek` lets pass could be presented; no payload of the vectors is a set of claims."""
    for _, test in vectors:
        with pytest.raises(TokenRefused):
            peek(str(test["jws"]).encode())


def test_a_shared_secret_cannot_be_published(vectors: Vectors):
    rules = IssuerRules(issuer="https://id.example.com", audience="x", algorithms=EVERY)
    secrets = [member for member, _ in vectors if member["kty"] == "oct"]
    assert secrets
    for member in secrets:
        with pytest.raises(KeyUnusable, match="symmetric-key"):
            public_key.read(member, EVERY)
        with pytest.raises(KeysRefused, match="no-usable-key"):
            KeySet.parse({"keys": [member]}, rules)


def test_every_vector_s_private_key_is_refused_as_a_public_one(corpora: Path):
    groups = json.loads((corpora / "wycheproof" / "json_web_signature_test.json").read_text())["testGroups"]
    rules = IssuerRules(issuer="https://id.example.com", audience="x", algorithms=EVERY)
    private = [group["private"] for group in groups if group["private"]["kty"] != "oct"]
    for member in private:
        with pytest.raises(KeyUnusable, match="private-key"):
            public_key.read(member, EVERY)
        with pytest.raises(KeysRefused, match="no-usable-key"):
            KeySet.parse({"keys": [member]}, rules)
