"""Options that several verbs have."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

EXIT_REFUSED = 4
EXIT_CHANGES = 5


class Format(StrEnum):
    """How a plan is printed."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


class TextOrJson(StrEnum):
    """How anything else is printed."""

    TEXT = "text"
    JSON = "json"


RepoOption = Annotated[
    str,
    typer.Option(
        "--repo", envvar="PUBLISHER_REPO", help="The config repository: a folder, or a file, https or ssh URL."
    ),
]
SnapshotOption = Annotated[
    Path | None, typer.Option("--snapshot", help="Work offline from a snapshot instead of reading the fleet.")
]
KubeconfigOption = Annotated[
    Path | None,
    typer.Option("--kubeconfig", help="kubeconfig of the Karmada API server (default: KUBECONFIG or ~/.kube/config)."),
]
ContextOption = Annotated[
    str, typer.Option("--context", help="Context in it (default: karmada.context in publisher.yaml).")
]
FormatOption = Annotated[Format, typer.Option("--format", help="How to print the plan.")]
TextOrJsonOption = Annotated[TextOrJson, typer.Option("--format", help="How to print the result.")]
AllowOption = Annotated[
    list[str] | None,
    typer.Option("--allow", metavar="GUARD=OBJECT", help="Let a guard pass just this; may be repeated."),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
PipyOption = Annotated[
    list[str] | None,
    typer.Option("--pipy", metavar="URL", help="A codebase: http(s)://HOST:6060/repo/CODEBASE; may be repeated."),
]
PipyCaOption = Annotated[
    Path | None, typer.Option("--pipy-ca", metavar="FILE", help="Who may sign the certificate of a Pipy Repo.")
]
PipyCertOption = Annotated[
    Path | None, typer.Option("--pipy-cert", metavar="FILE", help="Client certificate to show to it.")
]
PipyKeyOption = Annotated[
    Path | None, typer.Option("--pipy-key", metavar="FILE", help="Its key (default: in the same file).")
]
