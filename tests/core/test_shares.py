"""What each target takes of the requests."""

from __future__ import annotations

from publisher.core.config import ClusterConfig, Part, RoutedPort, ServiceConfig, target_shares
from publisher.core.model import Route, ServiceKey

CLUSTERS = {
    "two": ClusterConfig("two", {"a": "10.0.0.1", "b": "10.0.0.2"}),
    "tired": ClusterConfig("tired", {"c": "10.0.0.3"}, state="drained"),
    "empty": ClusterConfig("empty", {}),
}


def shares(ports: tuple[str, ...], **parts: Part) -> dict[str, dict[str, float]]:
    """Give the shares by address; a route for each port."""
    routes = tuple(RoutedPort(Route("", f"/{port}"), port) for port in ports)
    found = target_shares(ServiceConfig(ServiceKey("default/x"), routes, parts), CLUSTERS)
    return {target.address: by_port for target, by_port in found.items()}


def test_shares_are_of_clusters_that_take_requests() -> None:
    """Weights count where a cluster has targets and is not drained, and its targets take turns."""
    ports = {"http": 1}
    outright = Part(30, addresses=("10.9.9.9:9",))
    assert shares(("http",), two=Part(70, ports), tired=Part(50, ports), empty=Part(50, ports), out=outright) == {
        "10.0.0.1:1": {"http": 0.35},
        "10.0.0.2:1": {"http": 0.35},
        "10.0.0.3:1": {"http": 0.0},
        "10.9.9.9:9": {"http": 0.3},
    }


def test_nothing_takes_a_share_where_all_is_drained() -> None:
    """Targets are listed all the same."""
    assert shares(("http",), tired=Part(50, {"http": 1}), two=Part(0, {"http": 1})) == {
        f"10.0.0.{number}:1": {"http": 0.0} for number in (1, 2, 3)
    }


def test_shares_are_by_port() -> None:
    """A cluster takes what its ports are asked for; one that no route leads to takes nothing."""
    more = Part(50, {"http": 1, "other": 2, "idle": 3}, nodes=("a",))
    assert shares(("http", "other"), two=more, out=Part(50, addresses=("10.9.9.9:9",)), tired=Part(1, {"http": 1})) == {
        "10.0.0.1:1": {"http": 0.5},
        "10.0.0.1:2": {"other": 0.5},
        "10.0.0.1:3": {},
        "10.0.0.3:1": {"http": 0.0},
        "10.9.9.9:9": {"http": 0.5, "other": 0.5},
    }
