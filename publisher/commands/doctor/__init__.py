"""``publisher doctor``: whether everything that publishing takes is there. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from publisher.commands.doctor import fleet, pipy, repository
from publisher.commands.doctor.check import Check, State
from publisher.commands.doctor.ports import World

__all__ = ["Check", "State", "World", "doctor"]


def doctor(world: World) -> Iterator[Check]:
    """Give each check as soon as it is made; all are made, whatever fails."""
    policy, tree, check = repository.read_settings(world)
    yield check
    yield from repository.folder(policy, tree, world.laid)
    yield from repository.remote(policy, world)
    yield from repository.host(policy, world)
    yield from fleet.look(policy, world.fleet)
    yield from pipy.look(world)
