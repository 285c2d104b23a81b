"""What the token may do, as far as GitHub tells without being asked to do it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from publisher.core.forge import TokenAccess
from publisher.edge.github.api import Api, at
from publisher.errors import ApiError


def token_access(api: Api, needed: Collection[str]) -> TokenAccess:
    """Compare with what is needed: ``contents`` and ``pull_requests``, to write.

    An App says so in its installation. A classic token has scopes, in a header that comes with every answer. Of any
    other token GitHub only tells whether its owner may push. Raises ApiError where the repository is not to be seen, or
    takes no changes.
    """
    repository, headers = api.described()
    if at(repository, bool | None, "archived"):
        raise ApiError(
            f"GitHub: {api.repository} is archived and takes no changes (unarchive it, or publish elsewhere)"
        )
    if installation := api.installation():
        granted: Mapping[str, object] = at(installation, dict, "permissions")
        lacking = [f"{name.replace('_', '-')}: write" for name in sorted(needed) if granted.get(name) != "write"]
        return TokenAccess("App", tuple(lacking))
    may_push = at(repository, bool | None, "permissions", "push")
    lacking = ["write access to the repository for its owner"] if may_push is False else []
    if (scopes := headers.get("x-oauth-scopes")) is None:
        return TokenAccess("token", tuple(lacking), told=may_push is not None)
    enough = {"repo"} | (set() if at(repository, bool, "private") else {"public_repo"})
    if not enough & {scope.strip() for scope in scopes.split(",")}:
        lacking.insert(0, f"the scope {' or '.join(sorted(enough))}")
    return TokenAccess("classic token", tuple(lacking))
