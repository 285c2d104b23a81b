"""A sync that runs on: its port, its signals, and how often it says something."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from publisher.core.rollout import Rollout

if TYPE_CHECKING:
    from publisher.errors import PublisherError

STUCK_SECONDS = 1800.0
"""For one run, without what workers may take."""


def run_on(
    sync: Callable[[], Rollout],
    tell: Callable[[Rollout | PublisherError], None],
    ref: str,
    interval: float,
    address: str,
    workers_take: float,
) -> NoReturn:
    """Sync again and again until a signal: SIGTERM is a normal end, and ends what is under way at its next step."""
    from publisher.cli import screen
    from publisher.commands.loop import Loop
    from publisher.core import metrics
    from publisher.edge.listener import Listener, Service

    loop = Loop(sync, tell, interval, STUCK_SECONDS + workers_take)
    listener = None
    before = signal.signal(signal.SIGTERM, _end)
    try:
        if address:
            secret = os.environ.get("PUBLISHER_WEBHOOK_SECRET", "").strip()
            service = Service(
                loop.moved, lambda: metrics.text(loop.tally), loop.sick, loop.unready, ref=ref, secret=secret
            )
            listener = Listener(address, service)
            screen.say(f"listening on {listener.url}")
        loop.run()
    finally:
        signal.signal(signal.SIGTERM, before)
        if listener:
            listener.close()


def _end(number: int, frame: object) -> NoReturn:
    raise SystemExit(0)
