"""Which repository, which API, and in whose name, as the environment and the remote's URL say."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from github.Auth import AppAuth, Auth, Token

from publisher.core.redact import redact
from publisher.edge.github.api import Api, Timing
from publisher.edge.github.forge import GitHub
from publisher.errors import UsageError

_APP = "PUBLISHER_GITHUB_APP_ID"
_KEY = "PUBLISHER_GITHUB_APP_PRIVATE_KEY"
_SCP = re.compile(r"(?:[^@/\s]+@)?(?P<host>[^:/\s]+):(?P<path>[^/].*)")
_NAME = re.compile(r"(?!\.\.?/)[\w.-]+/(?!\.\.?$)[\w.-]+", re.ASCII)


def from_environment(remote_url: str, environment: Mapping[str, str], timing: Timing | None = None) -> GitHub:
    """Give the repository behind a remote; asks nothing of GitHub yet.

    Raises UsageError that names the variables to set where the repository or the credentials are not to be told.
    """
    host, name = _place(remote_url)
    told = environment.get("GITHUB_REPOSITORY", "")
    server = urlsplit(environment.get("GITHUB_SERVER_URL") or "https://github.com").hostname
    if told and (not name or host != server):  # in a workflow it names the one that runs, not the one published to
        name = told
    if not _NAME.fullmatch(name):
        what = redact(told or remote_url, 200)
        raise UsageError(f"{what} names no repository of GitHub; set GITHUB_REPOSITORY to owner/name")
    url = _checked(environment.get("GITHUB_API_URL") or _api(host or "github.com"))
    return GitHub(Api(url, name, _auth(environment), timing or Timing()))


def _place(url: str) -> tuple[str, str]:
    """Read host (with its port, for https) and owner/name from a remote's URL; empty where it names neither."""
    if "://" in url:
        try:
            parts = urlsplit(url)
            host, port, path = parts.hostname or "", parts.port, parts.path
        except ValueError:
            return "", ""
        if parts.scheme == "https" and port not in (None, 443):
            host = f"{host}:{port}"
    elif found := _SCP.fullmatch(url):
        host, path = found["host"].lower(), found["path"]
    else:
        return "", ""
    name = path.strip("/").removesuffix(".git")
    host = "github.com" if host in ("ssh.github.com", "www.github.com") else host
    return (host, name) if host and _NAME.fullmatch(name) else ("", "")


def _api(host: str) -> str:
    """Give the address of a host's API."""
    if host == "github.com" or host.endswith(".ghe.com"):
        return f"https://api.{host}"
    return f"https://{host}/api/v3"


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    if not host or parts.scheme not in ("http", "https") or "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(f"GITHUB_API_URL: {redact(url, 200)} is no address of an API; such as https://HOST/api/v3")
    if parts.scheme == "http" and not _loopback(host):
        raise UsageError(f"GITHUB_API_URL: {redact(url, 200)} would send the token in clear; use https")
    return url.rstrip("/")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _auth(environment: Mapping[str, str]) -> Auth:
    for variable in ("PUBLISHER_GITHUB_TOKEN", _APP, "GITHUB_TOKEN"):
        value = environment.get(variable, "").strip()
        if value and variable == _APP:
            return _app(value, environment)
        if value:
            if not re.fullmatch(r"[\x21-\x7e]+", value):
                raise UsageError(f"{variable} is not a token: it has a space or a line break in it")
            return Token(value)
    raise UsageError(
        "no credentials for GitHub; set PUBLISHER_GITHUB_TOKEN or GITHUB_TOKEN, or for an App "
        f"{_APP} with {_KEY} or {_KEY}_FILE"
    )


def _app(app: str, environment: Mapping[str, str]) -> Auth:
    variable, key = _KEY, environment.get(_KEY, "")
    if not key and (file := environment.get(f"{_KEY}_FILE")):
        variable = f"{_KEY}_FILE"
        try:
            key = Path(file).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise UsageError(f"{variable}: {redact(file, 200)}: {reason}") from error
    if not key.strip():
        raise UsageError(f"{_APP} is set without a key; set {_KEY} or {_KEY}_FILE to the App's private key")
    try:
        auth = AppAuth(app, key)
        auth.create_jwt()
    except Exception as error:  # what reads the key raises as it comes
        raise UsageError(f"{variable} holds no private key that can be used; it is a PEM text (RSA)") from error
    return auth
