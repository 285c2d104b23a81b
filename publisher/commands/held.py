"""What people hold, told from Git alone: no fleet is asked what it would become."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import NamedTuple

from publisher.commands.pipeline import config_paths
from publisher.commands.ports import History
from publisher.core.history import Word
from publisher.core.holds import released
from publisher.core.policy import Policy
from publisher.core.render import Renderer, renderer
from publisher.resources import schema


class Hold(NamedTuple):
    """A generated file that a person has the last word on."""

    path: str
    name: str
    """``service default/flask``, ``cluster member1``, or ``layout tutorial``."""
    word: Word


def layout_of(policy: Policy) -> Renderer:
    """Give the layout of a repository; it leaves out files that do not fit their schemas."""
    return renderer(policy.layout, schema)


def held(
    repository: History, commit: str, policy: Policy, now: float, paths: Collection[str] | None = None
) -> tuple[Hold, ...]:
    """Give what is held at a commit, of all that the publisher ever wrote or of some files.

    With ``holds.release: changed`` it may be that the next run releases it.
    """
    return tuple(sorted(_held(repository, commit, policy, now, paths)))


def _held(
    repository: History, commit: str, policy: Policy, now: float, paths: Collection[str] | None
) -> Iterator[Hold]:
    layout = layout_of(policy)
    tree = repository.tree(commit, config_paths(policy))
    config, _ = layout.read(tree, policy)
    ours = {path for name in (*config.clusters, *config.services) for path in layout.places(policy, name)}
    edited = layout.edited(tree, policy)
    if paths is None:  # what people removed is in no tree
        log = repository.log(commit, layout.places(policy), besides=policy.publisher)
        paths = ours.union(*(one.paths for one in log))
    subjects = {subject.witness: subject for subject in (layout.subject(path, policy) for path in paths)}
    words = repository.last_words(commit, policy.publisher, {*subjects, *edited.values()})
    by_age = replace(policy.holds, changed=False)
    for path, subject in subjects.items():
        word = words.get(path)
        # of a file that the publisher never wrote, and that does not name it, nothing is held
        if word and (path in ours or word.rejected) and not released(word, None, by_age, now):
            yield Hold(path, f"{subject.kind} {subject.name}", word)
    for key, path in edited.items():
        unknown = Word("", "", 0, "its entries are not as they were published", "")
        yield Hold(path, f"service {key}", words.get(path, unknown))
