"""The command line: builds the edges, prints, and maps errors to exit codes. Only this package prints."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

from publisher.cli import actions
from publisher.core.redact import redact
from publisher.errors import PublisherError

EXIT_BUG = 3
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    from publisher.cli.verbs import app

    try:
        app(args=list(sys.argv[1:] if arguments is None else arguments), prog_name="publisher")
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else 0
        if code == EXIT_INTERRUPTED:
            print("publisher: interrupted", file=sys.stderr)
        return code
    except PublisherError as error:
        complain(error)
        return error.exit_code
    except Exception:
        lines = traceback.format_exc().splitlines()
        print("\n".join(redact_line(line) for line in lines), file=sys.stderr)
        print("publisher: this is a bug; please report it with the lines above", file=sys.stderr)
        return EXIT_BUG
    return 0


def complain(error: PublisherError) -> None:
    """Say what has failed."""
    for finding in error.findings:
        print(actions.harmless(f"error: {finding}"), file=sys.stderr)
    print(actions.harmless(f"publisher: {redact(str(error))}"), file=sys.stderr)
    actions.fail(error)


def redact_line(line: str) -> str:
    """Redact one line of a traceback, keeping its indent."""
    indent = line[: len(line) - len(line.lstrip())]
    return indent + redact(line)


def run() -> None:
    """Entry point of the console script."""
    raise SystemExit(main())
