"""Credentials, and what would break a line or a terminal, are kept out of everything that is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.core.redact import one_line, redact

JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJl_-w"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----"

SECRETS = [
    (f"token {JWT} refused", "eyJ", "token *** refused"),
    (f"Authorization: Bearer {JWT}", "eyJ", "Authorization: Bearer ***"),
    ("Authorization: Bearer abcdef.0123456789abcdef", "0123", "Authorization: Bearer ***"),
    ("authorization: basic dXNlcjpwYXNzd29yZA==", "dXNl", "authorization: basic ***"),
    ("BEARER   a-b_c.d~e+f/g==", "a-b_c", "BEARER ***"),
    (f"x={JWT},y", "eyJ", "x=***,y"),
    ("eyJhbGciOiJSUzI1NiJ9", "eyJ", "***"),
    ("https://user:password@git.example.com/x.git", "password", "https://***@git.example.com/x.git"),
    ("https://token@git.example.com/x", "token@", "https://***@git.example.com/x"),
    ("https://user:p@ss:w@rd@git.example.com/x", "rd@", "https://***@git.example.com/x"),
    ("https://user:@git.example.com", "user", "https://***@git.example.com"),
    ("ssh://git@git.example.com:22/x", "git@", "ssh://***@git.example.com:22/x"),
    ("two: https://a:b@c/ https://d:e@f/", "e@", "two: https://***@c/ https://***@f/"),
    ("ghp_0123456789abcdefABCDEF0123456789abcd", "ghp_", "***"),
    ("github_pat_11AAAAAAA0abcdefgh_xyz", "github_pat", "***"),
    ("remote: glpat-abcdefgh_ijklmnop rejected", "glpat", "remote: *** rejected"),
    (f"key {PEM} end", "MIIE", "key *** end"),
    (f"{PEM.splitlines()[0]}\nMIIEow", "MIIE", "***"),
    ("-----BEGIN CERTIFICATE-----\nMIIB", "MIIB", "***"),
    ("caBundle LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUI=", "LS0t", "caBundle ***"),
    ("token=abcdefgh1234&x=1", "abcdefgh", "token=***&x=1"),
    ('{"token": "abcdefgh1234"}', "abcdefgh", '{"token": "***"}'),
    ("password: hunter2hunter2", "hunter2", "password: ***"),
    ("client-key-data: LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCg==", "LS0t", "client-key-data: ***"),
]


@pytest.mark.parametrize(("text", "secret", "shown"), SECRETS)
def test_secrets_are_blanked(text: str, secret: str, shown: str) -> None:
    """The rest of the text stays, so that an error still says what is wrong."""
    assert secret not in redact(text)
    assert redact(text) == shown
    assert redact(redact(text)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "member1: HTTP 403: nodes is forbidden: User \"publisher\" cannot list resource",
        "dial tcp 127.0.0.1:5483: connect: connection refused",
        "the token is gone",
        "https://karmada.example.com:5443/apis/cluster.karmada.io/v1alpha1/clusters?limit=500",
        "mail publisher@example.com about https://example.com/",
        "service default/flask: route /env/* belongs to team-a/web [route-conflict]",
        "no Secret, no password, no bearer",
        "~ cluster member1",
    ],
)  # fmt: skip
def test_the_rest_stays(text: str) -> None:
    """Nothing that is no secret is blanked."""
    assert redact(text) == text


CONTROL = [
    ("a\nb", "a b"),
    ("a\r\n\tb", "a b"),
    ("\x1b[31mred\x1b[0m", "[31mred [0m"),
    ("a\x00b", "a b"),
    ("a\u202eb", "a b"),
    ("a\u2028b\u2029c\x85d", "a b c d"),
    ("a\u200bb", "a b"),
    ("\ud800x", "x"),
    ("  a   b  ", "a b"),
    ("ü💥", "ü💥"),
]


@pytest.mark.parametrize(("text", "shown"), CONTROL)
def test_control_characters_and_newlines(text: str, shown: str) -> None:
    """What is left is one line that a terminal prints as it stands."""
    assert redact(text) == shown


@given(st.text(max_size=200), st.integers(3, 50))
def test_one_line_of_a_bounded_length(text: str, limit: int) -> None:
    """Whatever comes."""
    shown = redact(text, limit)
    assert len(shown) <= limit
    assert shown.isprintable()
    assert one_line(text).isprintable()
    assert len(one_line(text)) == len(text)


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_secret_is_found_anywhere(before: str, after: str) -> None:
    """Between any two texts, and with any white space in front of it."""
    assert "c2lnbmF0dXJl" not in redact(f"{before} {JWT} {after}")
    assert "hunter2hunter2" not in redact(f"{before} https://user:hunter2hunter2@host/ {after}")
    assert "hunter2hunter2" not in redact(f"{before} Bearer\x00hunter2hunter2 {after}")
