"""The Karmada API server and its member clusters."""

from publisher.edge.karmada.connection import Connection, Timing, from_kubeconfig
from publisher.edge.karmada.fleet import KarmadaFleet

__all__ = ["Connection", "KarmadaFleet", "Timing", "from_kubeconfig"]
