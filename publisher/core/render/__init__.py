"""Layouts: how a :class:`~publisher.core.config.Config` is written as files for Pipy, and read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from publisher.core.config import Config, ConfigTree
from publisher.core.model import Finding, ServiceKey
from publisher.core.policy import Layout, Policy
from publisher.core.render.native import Native, Subject
from publisher.core.render.tutorial import Tutorial
from publisher.core.resolve import Desired
from publisher.core.validate import SchemaOf


class Renderer(Protocol):
    """One layout."""

    whole: bool
    """Its files make sense only together: where one may not be written, none is."""

    def read(self, tree: ConfigTree, policy: Policy) -> tuple[Config, tuple[Finding, ...]]:
        """Read back what this publisher has published, leaving out what is somebody else's."""

    def subject(self, path: str, policy: Policy) -> Subject:
        """Tell what a file of ours is about."""

    def places(self, policy: Policy, name: str = "") -> tuple[str, ...]:
        """Give the files of a service or cluster; without a name, files and folders of all that is generated."""

    def edited(self, tree: ConfigTree, policy: Policy) -> Mapping[ServiceKey, str]:
        """Give services whose entries in a shared file are not as we left them, each with that file."""

    def write(
        self, desired: Desired, current: Config, tree: ConfigTree, policy: Policy
    ) -> tuple[dict[str, bytes | None], tuple[Finding, ...]]:
        """Give the files of this publisher that have to be there (bytes) or have to go (None)."""


def renderer(layout: Layout, schema_of: SchemaOf | None = None) -> Renderer:
    """Give the renderer of a layout. With schemas, it leaves out and reports files of ours that do not fit theirs."""
    match layout:
        case Layout.NATIVE:
            return Native(schema_of)
        case Layout.TUTORIAL:
            return Tutorial(schema_of)
