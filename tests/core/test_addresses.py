"""Which addresses may be targets."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.core.config import address_refusal, join_host_port
from publisher.core.rules import target_refusal

ALLOWED = [
    ("10.0.0.1", ()),
    ("192.0.2.1", ()),
    ("8.8.8.8", ()),
    ("100.64.0.1", ()),
    ("2001:db8::1", ()),
    ("fd00::1", ()),
    ("::ffff:10.0.0.1", ()),
    ("10.1.2.3", ("10.0.0.0/8",)),
    ("10.1.2.3", ("192.168.0.0/16", "10.0.0.0/8")),
    ("10.1.2.3", ("10.1.2.3",)),
    ("10.1.2.3", ("10.1.2.3/32",)),
    ("2001:db8::1", ("2001:db8::/32", "10.0.0.0/8")),
    ("::ffff:10.1.2.3", ("10.0.0.0/8",)),
    # a rig on one machine names just these networks
    ("127.0.0.1", ("127.0.0.0/8",)),
    ("127.0.0.2", ("127.0.0.2/32", "10.0.0.0/8")),
    ("169.254.1.1", ("169.254.0.0/16",)),
    ("::1", ("::1/128",)),
    ("fe80::1", ("fe80::/64",)),
    ("::ffff:127.0.0.1", ("127.0.0.0/8",)),
]
REFUSED = [
    ("0.0.0.0", (), "unspecified"),
    ("0.1.2.3", (), "unspecified"),
    ("::", (), "unspecified"),
    ("224.0.0.1", (), "multicast"),
    ("239.255.255.255", (), "multicast"),
    ("ff02::1", (), "multicast"),
    ("255.255.255.255", (), "broadcast"),
    ("::ffff:224.0.0.1", (), "multicast"),
    ("::ffff:0.0.0.0", (), "unspecified"),
    ("127.0.0.1", (), "loopback"),
    ("127.255.255.254", (), "loopback"),
    ("::1", (), "loopback"),
    ("169.254.169.254", (), "link-local"),
    ("fe80::1", (), "link-local"),
    ("febf::1", (), "link-local"),
    ("::ffff:127.0.0.1", (), "loopback"),
    ("::ffff:169.254.169.254", (), "link-local"),
    # a wide network lets none of them in
    ("127.0.0.1", ("0.0.0.0/0",), "loopback"),
    ("127.0.0.1", ("126.0.0.0/7",), "loopback"),
    ("169.254.169.254", ("0.0.0.0/0",), "link-local"),
    ("::1", ("::/0",), "loopback"),
    ("::ffff:127.0.0.1", ("::/0",), "loopback"),
    ("127.0.0.1", ("127.0.0.2/32",), "loopback"),
    ("224.0.0.1", ("224.0.0.0/4",), "multicast"),
    ("0.0.0.0", ("0.0.0.0/0",), "unspecified"),
    ("ff02::1", ("::/0",), "multicast"),
    # outside
    ("10.1.2.3", ("192.168.0.0/16",), "outside"),
    ("10.1.2.3", ("2001:db8::/32",), "outside"),
    ("2001:db8::1", ("10.0.0.0/8",), "outside"),
    ("10.1.2.3", ("127.0.0.0/8",), "outside"),
    ("::ffff:10.1.2.3", ("192.168.0.0/16",), "outside"),
]


@pytest.mark.parametrize(("ip", "allowed"), ALLOWED)
def test_may_be_a_target(ip: str, allowed: tuple[str, ...]) -> None:
    """No reason against it."""
    assert address_refusal(ip, allowed) == ""
    assert target_refusal(join_host_port(ip, 80), allowed) == ""


@pytest.mark.parametrize(("ip", "allowed", "word"), REFUSED)
def test_may_never_be_a_target(ip: str, allowed: tuple[str, ...], word: str) -> None:
    """A reason that says what kind of address it is."""
    assert word in address_refusal(ip, allowed)
    assert word in target_refusal(join_host_port(ip, 80), allowed)


@pytest.mark.parametrize(
    "target",
    ["10.0.0.1", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:http", "10.0.0.1:-1", "10.0.0.1:²", "1.2.3:80",
     "300.0.0.1:80", "::1", "127.1:80", ":80", "10.0.0.01:80", ""],
)  # fmt: skip
def test_is_no_target(target: str) -> None:
    """Neither ip:port nor host:port."""
    assert target_refusal(target, ())


@pytest.mark.parametrize("target", ["flask:80", "flask.default.svc:8080", "a1.example.com:1"])
def test_a_name_may_be_a_target(target: str) -> None:
    """Pipy looks it up; whoever wrote the tutorial's files by hand may use names."""
    assert target_refusal(target, ("10.0.0.0/8",)) == ""


@given(st.ip_addresses(v=4), st.lists(st.ip_addresses(v=4, network="10.0.0.0/8"), max_size=3))
def test_a_mapped_address_is_judged_as_what_it_stands_for(
    address: ipaddress.IPv4Address, networks: list[ipaddress.IPv4Address]
) -> None:
    """IPv4 in IPv6 is no way around a rule."""
    allowed = tuple(f"{network}/32" for network in networks)
    plain = address_refusal(str(address), allowed)
    mapped = address_refusal(f"::ffff:{address}", allowed)
    assert bool(plain) == bool(mapped)


@given(st.ip_addresses())
def test_without_networks_only_special_addresses_are_refused(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """As the standard library tells them."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return
    special = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    if special:
        assert address_refusal(str(address), ())
    elif not str(address).startswith("0.") and str(address) != "255.255.255.255":
        assert address_refusal(str(address), ()) == ""
