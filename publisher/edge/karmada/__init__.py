"""The Karmada API server and its member clusters."""

from publisher.edge.karmada.connection import Connection, Timing, from_kubeconfig
from publisher.edge.karmada.fleet import KarmadaFleet
from publisher.edge.karmada.probe import Probe

__all__ = ["Connection", "KarmadaFleet", "Probe", "Timing", "from_kubeconfig"]
