"""A secret: its value comes out by ``reveal`` only, and a template follows a renewed value."""

import copy
import json
import pickle
import traceback
from dataclasses import asdict, dataclass

import msgspec
import pydantic
import pytest

from mcpward.core.secret import HttpOnly, Secret, value_of

VALUE = "sk_live_51HxyzCanary"


@pytest.mark.parametrize("secret", [Secret(VALUE, "KEY"), Secret(VALUE, "KEY").template("Bearer {}")])
@pytest.mark.parametrize(
    "shown",
    [
        repr, str, ascii, "{}".format, "{0!r:>40}".format, "%s %%".__mod__, lambda one: f"{one}{one!r}{one!s:10}",
        lambda one: repr([one]), lambda one: json.dumps(one, default=str), lambda one: repr(one._held),
        lambda one: repr(dir(one)), lambda one: repr(asdict(dataclass_of(one))), lambda one: repr(copy.deepcopy(one)),
        lambda one: repr(copy.copy(one)), lambda one: repr(pydantic.TypeAdapter(object).dump_python(one)),
    ],
)  # fmt: skip
def test_a_secret_shows_no_value(secret, shown):
    assert VALUE not in shown(secret)


@dataclass
class Holder:
    key: object


def dataclass_of(secret):
    return Holder(secret)


@pytest.mark.parametrize(
    "encode",
    [
        json.dumps, msgspec.json.encode, msgspec.msgpack.encode, msgspec.to_builtins, pickle.dumps, list, bytes, vars,
        lambda one: one.__getstate__(), lambda one: one.__reduce_ex__(4), pydantic.TypeAdapter(object).dump_json,
        "".join, lambda one: one + "x", lambda one: one[0], len, lambda one: VALUE in one,
    ],
)  # fmt: skip
def test_a_secret_is_not_encoded(encode):
    with pytest.raises((TypeError, ValueError)) as refused:
        encode(Secret(VALUE, "KEY"))
    assert VALUE not in "".join(traceback.format_exception(refused.value))


def test_a_template_puts_the_value_in_its_place():
    secret = Secret(VALUE, "KEY", hosts=["API.Stripe.com"])
    bearer = secret.template("Bearer {}")
    assert (bearer.reveal(), bearer.name, bearer.hosts) == (f"Bearer {VALUE}", "KEY", ("api.stripe.com",))
    assert bearer.template("<{}>").reveal() == f"<Bearer {VALUE}>"


@pytest.mark.parametrize("text", ["{self.__class__} {}", "{{7*7}} {}", "{0} {}", "%s {}", "{!r} {}", "{:>9} {}"])
def test_attack_82_other_braces_of_a_template_are_literal(text):
    assert Secret(VALUE).template(text).reveal() == text[:-2] + VALUE


@pytest.mark.parametrize("text", ["", "Bearer", "Bearer { }", "{}{}", "{0}"])
def test_a_template_without_its_one_place_is_refused(text):
    with pytest.raises(ValueError, match=r"contains \{\} once"):
        Secret(VALUE).template(text)


def test_a_value_that_contains_braces_is_not_a_template():
    assert Secret("{}").template("a{}b").template("<{}>").reveal() == "<a{}b>"


def test_a_renewed_value_is_seen_through_every_template():
    secret = Secret("old", "KEY", hosts=["a.example"])
    bearer = secret.template("Bearer {}")
    secret._renew("new", hosts=["b.example:8443"], header="X-Shop")
    assert (secret.reveal(), bearer.reveal()) == ("new", "Bearer new")
    assert (bearer.hosts, bearer.header) == (("b.example:8443",), "x-shop")


def test_a_secret_for_http_only_is_not_revealed():
    secret = Secret(VALUE, "KEY", is_http_only=True)
    for one in (secret, secret.template("Bearer {}")):
        with pytest.raises(HttpOnly, match="KEY is for HTTP only") as refused:
            one.reveal()
        assert VALUE not in str(refused.value)
    assert value_of(secret.template("Bearer {}")) == f"Bearer {VALUE}"


def test_secrets_are_equal_by_their_values():
    assert Secret(VALUE, "A") == Secret(VALUE, "A")
    assert Secret("Bearer x", "A") == Secret("x", "A").template("Bearer {}")
    assert Secret(VALUE, "A") != Secret("other", "A")
    assert Secret(VALUE) != VALUE
    assert hash(Secret(VALUE, "A")) == hash(Secret("other", "A"))


def test_hosts_are_a_list():
    with pytest.raises(TypeError, match="hosts is a list"):
        Secret(VALUE, hosts="api.stripe.com")
