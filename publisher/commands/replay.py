"""``publisher replay``: what a commit of the publisher says, made again from what it was made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from publisher import settings
from publisher.commands import record
from publisher.commands.held import layout_of
from publisher.commands.pipeline import Outcome, Say, allowances, build, config_paths, only, past_of
from publisher.commands.ports import Repository
from publisher.core.history import ALLOW_TRAILER, ID_TRAILER, RESUME_TRAILER, SNAPSHOT_TRAILER, Commit, trailers
from publisher.core.policy import Mode
from publisher.core.resolve import Back

Verdict = Literal["same", "differs", "not ours", "no snapshot"]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of making a commit again."""

    commit: Commit
    verdict: Verdict
    why: str = ""
    """Why it could not be replayed."""
    files: tuple[str, ...] = ()
    """Generated files that the commit changed."""
    differs: tuple[str, ...] = ()
    """Those of them that are not as the replay has them."""
    left_out: tuple[str, ...] = ()
    """Files that the replay would change and the commit does not: those of another commit, of a pull request, or held
    back for other reasons. No difference, since a commit may hold a part of a plan."""

    def document(self) -> dict[str, Any]:
        """Build the JSON document."""
        return {
            "commit": self.commit.id,
            "subject": self.commit.subject,
            "verdict": self.verdict,
            "why": self.why,
            "files": list(self.files),
            "differs": list(self.differs),
            "leftOut": list(self.left_out),
        }


def replay(repository: Repository, names: Iterable[str]) -> tuple[Replayed, ...]:
    """Make commits again: from publisher.yaml, tree and history before each, and the snapshot that it names.

    A squash merge of a pull request counts as the publisher's commit. Raises UsageError for a commit that is not there.
    """
    policy = settings.load(repository.settings(), repository.settings_file)
    repository.newest(policy.git.branch, policy.publisher)
    return tuple(_replay(repository, repository.find(name)) for name in names)


def _replay(repository: Repository, name: str) -> Replayed:
    commit = repository.log(name, most=2)[0]  # two, so that a shallow clone has the one before as well
    if len(commit.parents) != 1:
        why = f"a merge is a person's; replay {commit.parents[1][:12]}" if commit.parents else "nothing is before it"
        return Replayed(commit, "not ours", why)
    (parent,) = commit.parents
    file = repository.settings_file
    data = repository.tree(parent, (file,)).get(file)
    if data is None:
        return Replayed(commit, "not ours", f"there is no {file} before it")
    policy = settings.load(data, file)
    if policy.publisher not in trailers(commit.message, ID_TRAILER):
        return Replayed(commit, "not ours", f"it has no trailer {ID_TRAILER}: {policy.publisher}")
    digest = next(iter(trailers(commit.message, SNAPSHOT_TRAILER)), "")
    if not digest or not record.find(repository, policy.publisher, digest):
        what = f"snapshot {digest}" if digest else "the snapshot that it does not name"
        return Replayed(commit, "no snapshot", f"{what} is not on the branch {record.branch_of(policy.publisher)}")
    topology = record.load(repository, policy.publisher, digest)

    layout = layout_of(policy)
    places = layout.places(policy)
    before, after = repository.tree(parent, places), repository.tree(name, places)
    files = tuple(path for path in sorted({*before, *after}) if before.get(path) != after.get(path))
    tree = repository.tree(parent, config_paths(policy))
    past = past_of(repository, parent, policy, commit.time)
    resumed = frozenset(trailers(commit.message, RESUME_TRAILER))
    say = Say(tuple(allowances(trailers(commit.message, ALLOW_TRAILER))), resumed)
    whole = build(policy, data, topology, tree, past, say)
    left_out = tuple(file.path for file in whole.plan.files if file.path not in files)
    differs = _differs(files, after, whole)
    if differs and (policy.publish.mode is Mode.AUTO or resumed):
        # what guards say of the whole plan they need not say of the part that was committed
        chosen = {layout.subject(path, policy).name for path in files}

        def again(back: Back) -> Outcome:
            return build(policy, data, topology, tree, past, say._replace(back=back))

        part = only(again, whole, chosen, policy)
        differs = _differs(files, after, part)
    return Replayed(commit, "differs" if differs else "same", "", files, differs, left_out)


def _differs(files: Iterable[str], after: Mapping[str, bytes], outcome: Outcome) -> tuple[str, ...]:
    planned = {file.path: file.content for file in outcome.plan.files}
    return tuple(path for path in files if path not in planned or planned[path] != after.get(path))
