"""The config repository: its settings and files, its remote, and the host that the remote is on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from publisher import __version__, settings
from publisher.commands import record, review
from publisher.commands.doctor.check import Check, fail, ok, skipped, warn
from publisher.commands.doctor.ports import Rehearsing, World
from publisher.core.canonical import ParseError, load_json
from publisher.core.check import check_tree, schema_name
from publisher.core.codebase import MAIN
from publisher.core.policy import Layout, Mode, Policy
from publisher.core.render import native
from publisher.core.report import count, listed
from publisher.errors import PublisherError
from publisher.resources import schema

_FOLDER = ("program", "schemas", "files")
_GIT = ("git", "push", "signing", "user")
_ALL = "publisher validate lists all"


def read_settings(world: World) -> tuple[Policy | None, Mapping[str, bytes], Check]:
    """Read publisher.yaml, and with it the files that the other checks of the folder look at."""
    try:
        reader = world.reader()
        policy, findings = settings.check(reader.settings(), reader.settings_file)
        if policy is None:
            more = f" (and {count(len(findings) - 1, 'other mistake')})" if len(findings) > 1 else ""
            return None, {}, fail("settings", f"{findings[0]}{more}", f"mend {reader.settings_file}; {_ALL}")
        tree = reader.tree(reader.head(), (policy.output, "schemas"))
    except PublisherError as error:
        return None, {}, fail("settings", error)
    said = f"publisher {policy.publisher} in {reader.settings_file}, access {policy.karmada.access}, "
    said += f"layout {policy.layout}, mode {policy.publish.mode}"
    others = sorted(_publishers(tree, policy.output) - {policy.publisher})
    return policy, tree, ok("settings", f"{said}; shared with {', '.join(others)}" if others else said)


def _publishers(tree: Mapping[str, bytes], output: str) -> set[str]:
    """Give the ids of all publishers that files of the repository name."""
    found = set()
    for path, data in tree.items():
        if schema_name(path, output) not in ("cluster", "service", "publishers"):
            continue
        try:
            document = load_json(data)
        except ParseError:
            continue
        if isinstance(document, dict) and isinstance(document.get("publisher"), str):
            found.add(document["publisher"])
    return found


def folder(policy: Policy | None, tree: Mapping[str, bytes], laid: Mapping[str, bytes]) -> Iterator[Check]:
    """Look at the files."""
    if policy is None:
        yield from skipped(_FOLDER, "it takes settings")
        return
    yield _program(policy, tree, laid)
    yield _schemas(tree, laid)
    yield _files(policy, tree)


def _program(policy: Policy, tree: Mapping[str, bytes], laid: Mapping[str, bytes]) -> Check:
    main = f"{policy.output}/{MAIN}"
    if main not in tree:
        advice = "copy the program of publisher init into it, or write one"
        said = f"there is no {main}, which Pipy starts with"
        return fail("program", said, advice) if policy.layout is Layout.NATIVE else warn("program", said, advice)
    ours = {path.removeprefix("pipy/"): data for path, data in laid.items() if path.startswith("pipy/")}
    code = [path for path in ours if path.endswith(".js")]
    missing = [f"{policy.output}/{path}" for path in sorted(code) if f"{policy.output}/{path}" not in tree]
    if tree[main] == ours[MAIN] and missing:
        advice = "copy them from what publisher init lays down in an empty folder"
        return fail("program", f"{main} takes files that are not there: {', '.join(missing)}", advice)
    same = sum(tree.get(f"{policy.output}/{path}") == ours[path] for path in code)
    return ok(
        "program", f"{main} is there; {same} of {count(len(code), 'file')} as publisher {__version__} lays them down"
    )


def _schemas(tree: Mapping[str, bytes], laid: Mapping[str, bytes]) -> Check:
    ours = {path: data for path, data in laid.items() if path.startswith("schemas/")}
    stale = sorted(path.removeprefix("schemas/") for path, data in ours.items() if tree.get(path) != data)
    if not stale:
        return ok("schemas", f"all {len(ours)} are those of publisher {__version__}")
    return warn(
        "schemas",
        f"{len(stale)} of {len(ours)} are not those of publisher {__version__}: {listed(stale, 3)}",
        "publisher init lays them down in an empty folder: copy its schemas/ here and commit",
    )


def _files(policy: Policy, tree: Mapping[str, bytes]) -> Check:
    findings = check_tree(tree, policy.output, policy.allowed_networks, schema)
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        return fail("files", f"{count(len(errors), 'error')}, first {errors[0]}", _ALL)
    if findings:
        return warn("files", f"{count(len(findings), 'warning')}, first {findings[0]}", _ALL)
    number = {
        kind: sum(path.startswith(f"{policy.output}/{place}/") for path in tree)
        for kind, place in (("cluster", native.CLUSTERS), ("service", native.SERVICES))
    }
    if policy.layout is Layout.NATIVE and not any(number.values()):
        return warn(
            "files", "nothing is published yet", "publisher plan shows what would be, publisher publish does it"
        )
    return ok("files", f"{', '.join(count(many, kind) for kind, many in number.items())}: all valid")


def remote(policy: Policy | None, world: World) -> Iterator[Check]:
    """Look at git: what is fetched, what may be pushed, who commits."""
    if policy is None:
        yield from skipped(_GIT, "it takes settings")
        return
    branch = policy.git.branch
    try:
        repository = world.repository()
        base = repository.newest(branch, policy.publisher)
        there = repository.on_remote(branch)
    except PublisherError as error:
        yield fail("git", error)
        yield from skipped(_GIT[1:], "it takes git")
        return
    if there is False:
        yield warn("git", f"the remote has no branch {branch} yet", "the first publish pushes it; or push it yourself")
    else:
        yield ok("git", f"{branch} is at {base[:12]}")
    yield _push(policy, repository, base)
    yield _signing(policy, repository, base)
    if user := repository.user():
        yield ok("user", f"git knows you as {user}")
    else:
        yield warn(
            "user",
            "git does not know who you are, which publisher rollback takes",
            "git config user.name NAME, and git config user.email MAIL",
        )


def _push(policy: Policy, repository: Rehearsing, base: str) -> Check:
    branches = _branches(policy)
    refs = [f"refs/heads/{branch}" for branch in branches]
    if policy.publish.refspec:
        branches = refs = [policy.publish.refspec]
    try:
        there = repository.try_push(base, refs, policy.publish.push_options)
    except PublisherError as error:
        return fail("push", error, "" if error.exit_code == 2 else f"let this account push to {', '.join(branches)}")
    if not there:
        return warn("push", "no remote: what is published stays here", "git remote add origin URL")
    return ok("push", f"{', '.join(branches)}: this account may push (hooks and branch rules are not asked)")


def _branches(policy: Policy) -> list[str]:
    """Give the branches that git pushes to."""
    asked = review.branch_of(policy)
    published = {
        Mode.DIRECT: [policy.git.branch],
        Mode.PULL_REQUEST: [asked],
        Mode.AUTO: [policy.git.branch, asked],
    }[policy.publish.mode]
    return [*([] if policy.publish.api_commits else published), record.branch_of(policy.publisher)]


def _signing(policy: Policy, repository: Rehearsing, base: str) -> Check:
    try:
        signed = repository.try_signing(base, policy.git.author)
    except PublisherError as error:
        return fail("signing", error)
    if policy.publish.api_commits:
        return ok("signing", "GitHub signs what it commits")
    return ok("signing", "git signs as it is told to" if signed else "git is not told to sign (commit.gpgSign)")


def host(policy: Policy | None, world: World) -> Iterator[Check]:
    """Look at what the token for the host of the repository may do."""
    if policy is None:
        yield from skipped(("forge",), "it takes settings")
        return
    needed = {"contents"} if policy.publish.api_commits else set()
    needed |= set() if policy.publish.mode is Mode.DIRECT else {"pull_requests"}
    if not needed:
        yield ok("forge", f"no token is needed: mode {policy.publish.mode} pushes with git alone")
        return
    see = "see Whose token in docs/github-actions.md"
    try:
        access = world.tokens().access(needed)
    except PublisherError as error:
        yield fail("forge", error, see)
        return
    words = " and ".join(f"{name.replace('_', '-')}: write" for name in sorted(needed))
    if access.lacking:
        yield fail("forge", f"the {access.kind} lacks {' and '.join(access.lacking)}", f"give it {words}; {see}")
    elif access.told:
        yield ok("forge", f"the {access.kind} may do what mode {policy.publish.mode} takes ({words})")
    else:
        yield warn("forge", f"the host does not say what the {access.kind} may do", f"make sure of {words}; {see}")
