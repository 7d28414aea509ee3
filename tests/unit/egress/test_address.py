from ipaddress import ip_address, ip_network

import pytest

from mcpward.egress.address import METADATA, carried, is_named, is_public


@pytest.mark.parametrize(
    "text",
    [
        "1.1.1.1", "8.8.8.8", "93.184.215.14", "100.63.255.255", "100.128.0.0", "128.0.0.0", "172.15.255.255",
        "172.32.0.0", "192.0.1.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "168.63.129.15",
        "2606:4700::1111", "2001:4860:4860::8888", "2a00:1450::1", "2001:200::", "2003::1",
    ],
)  # fmt: skip
def test_an_address_of_the_internet_is_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1",
        "127.255.255.255", "169.254.0.1", "169.254.169.254", "169.254.170.2", "172.16.0.0", "172.31.255.255",
        "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.0.0", "192.168.255.255", "198.18.0.1", "198.19.255.255",
        "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
        "168.63.129.16", "100.100.100.200", "192.0.0.192",
        "::", "::1", "::2", "::7f00:1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:7f00:1",
        "64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378::1", "2001:2::1",
        "2001:10::1", "2001:20::1", "2001:1ff::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3ffe::1",
        "3fff::1", "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fdff::1", "fe80::1", "fe80::1%1",
        "fec0::1", "ff02::1", "1fff::1",
    ],
)  # fmt: skip
def test_80_an_address_of_somebodys_own_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize(
    "text, inner",
    [
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::10.0.0.1", "10.0.0.1"),
        ("2002:a00:1::", "10.0.0.1"),
        ("64:ff9b::10.0.0.1", "10.0.0.1"),
        ("2001:0:4136:e378:8000:63bf:f5ff:fffe", "10.0.0.1"),
        ("::1", None),
        ("::", None),
        ("fd00::1", None),
        ("10.0.0.1", None),
    ],
)
def test_an_address_that_leads_to_another_names_it(text: str, inner: str | None) -> None:
    assert str(carried(ip_address(text))) == str(inner)


@pytest.mark.parametrize("address", sorted(METADATA, key=str), ids=str)
def test_80_where_credentials_are_handed_out_needs_an_entry_of_its_own(address) -> None:
    assert not is_public(address)
    assert not is_named(address, (ip_network("0.0.0.0/0"), ip_network("::/0"), ip_network("169.254.0.0/16")))
    assert is_named(address, (ip_network(address),))


def test_a_network_names_the_addresses_in_it() -> None:
    networks = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert is_named(ip_address("10.1.2.3"), networks)
    assert is_named(ip_address("fd12::1"), networks)
    assert not is_named(ip_address("11.0.0.1"), networks)
    assert not is_named(ip_address("10.1.2.3"), ())
