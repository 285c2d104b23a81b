"""A Karmada fleet in memory: what its API server and those of its members hold."""

from __future__ import annotations

import base64
import itertools
import secrets
import threading
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Protocol

from publisher.demo.plane import MEMBER_RESOURCES, RESOURCES, Object, Plane, Resource, encode, template

__all__ = ["Fleet", "Host", "Plane"]

_SECRETS = "karmada-cluster"
_NOT_READY = "cluster.karmada.io/not-ready"
_EPOCH = datetime(2026, 1, 5, 8, tzinfo=UTC)
_READY = {
    True: ("ClusterReady", "cluster is healthy and ready to accept workloads"),
    False: ("ClusterNotReachable", "cluster is not reachable"),
}
_NODE_READY = {
    True: ("KubeletReady", "KubeletReady"),
    False: ("KubeletNotReady", "container runtime is down"),
}


class Host(Protocol):
    """Whoever makes the members reachable."""

    def open(self, name: str, plane: Plane) -> str:
        """Serve a member and return its URL."""

    def close(self, name: str) -> None:
        """Stop serving a member that left."""


class Fleet:
    """Objects of a Karmada API server and its members.

    Thread-safe. Every write gets the next resourceVersion of its API server and is kept for watches. One clock ticks
    for all clusters, a second at each look at it, so that equal calls give equal objects.
    """

    def __init__(self) -> None:
        """Make a fleet without members."""
        self._lock = threading.RLock()
        self._ticks = itertools.count()
        self._host: Host | None = None
        self._members: dict[str, Plane] = {}
        self.karmada = self._plane("karmada", RESOURCES)
        self.members: Mapping[str, Plane] = MappingProxyType(self._members)

    def attach(self, host: Host | None) -> None:
        """Let a host serve the members there are and those that join; None lets nobody."""
        with self._lock:
            self._host = host
            for name, plane in self._members.items() if host else ():
                cluster = self._cluster(name)
                cluster["spec"]["apiEndpoint"] = host.open(name, plane) if host else ""
                self.karmada.put("clusters", cluster)

    def add_member(
        self, name: str, *, labels: Mapping[str, str] = {}, region: str = "", nodes: Mapping[str, str] = {}
    ) -> None:
        """Join a cluster, with nodes by name and InternalIP."""
        with self._lock:
            if name in self._members or name == "karmada":
                raise ValueError(f"there is a plane {name} already")
            plane = self._plane(name, MEMBER_RESOURCES)
            for node, address in nodes.items():
                plane.put("nodes", self._node(node, address))
            owner = _id("cluster", name)
            access = {"caBundle": _base64(plane.ca.cert_pem.bytes()), "token": _base64(plane.token.encode())}
            for secret, data in ((name, access), (f"{name}-impersonator", {"token": _base64(_token(secret_of=name))})):
                obj = template("secret", name=secret, cluster=name, owner=owner)
                self.karmada.put("secrets", obj | {"data": data})
            cluster = template("cluster", cluster=name, id=_id("id", name), now=self._now())
            cluster["metadata"] |= {"uid": owner} | ({"labels": dict(labels)} if labels else {})
            cluster["spec"] |= {"region": region} if region else {}
            cluster["spec"]["apiEndpoint"] = self._host.open(name, plane) if self._host else ""
            cluster["status"]["nodeSummary"] = _summary(plane)
            self._members[name] = plane
            self.karmada.put("clusters", cluster)

    def remove_member(self, name: str) -> None:
        """Unjoin a cluster."""
        with self._lock:
            del self._members[name]
            host = self._host
            self.karmada.delete("clusters", "", name)
            for secret in (name, f"{name}-impersonator"):
                self.karmada.delete("secrets", _SECRETS, secret)
        if host:
            host.close(name)

    def add_node(
        self,
        cluster: str,
        name: str,
        address: str,
        *,
        labels: Mapping[str, str] = {},
        annotations: Mapping[str, str] = {},
        ready: bool = True,
    ) -> None:
        """Add a node to a cluster, or replace it."""
        with self._lock:
            node = self._node(name, address)
            node["metadata"]["labels"] |= labels
            node["metadata"]["annotations"] |= annotations
            _set_condition(node, ready, self._now(), _NODE_READY)
            self._members[cluster].put("nodes", node)
            self._summarise(cluster)

    def remove_node(self, cluster: str, name: str) -> None:
        """Take a node out of a cluster, with the endpoints on it."""
        with self._lock:
            plane = self._members[cluster]
            plane.delete("nodes", "", name)
            for endpoint_slice in plane.list("endpointslices"):
                left = [endpoint for endpoint in endpoint_slice["endpoints"] if endpoint["nodeName"] != name]
                if len(left) < len(endpoint_slice["endpoints"]):
                    plane.put("endpointslices", endpoint_slice | {"endpoints": left})
            self._summarise(cluster)

    def add_service(
        self,
        cluster: str,
        key: str,
        *,
        node_port: int,
        port: int = 80,
        port_name: str = "http",
        type: str = "NodePort",
        labels: Mapping[str, str] = {},
        annotations: Mapping[str, str] = {},
        external_traffic_policy: str = "Cluster",
        endpoint_nodes: Sequence[str] | None = None,
    ) -> None:
        """Add or replace Service namespace/name of a cluster, with a ready endpoint on each of the nodes, or on all."""
        namespace, name = key.split("/")
        with self._lock:
            plane = self._members[cluster]
            ids = {part: _id(part, key) for part in ("policy", "binding", "template")}
            service = template(
                "service",
                name=name,
                namespace=namespace,
                cluster=cluster,
                address=f"10.96.{plane.revision // 250 % 250 + 1}.{plane.revision % 250 + 1}",
                work=_id("work", cluster, key),
                **ids,
            )
            service["metadata"]["labels"] |= labels
            service["metadata"]["annotations"] |= annotations
            spec = service["spec"]
            spec |= {"type": type, "externalTrafficPolicy": external_traffic_policy}
            spec["ports"][0] |= {"name": port_name, "port": port, "nodePort": node_port}
            if type == "ClusterIP":
                del spec["externalTrafficPolicy"], spec["ports"][0]["nodePort"]
            service = plane.put("services", service)
            names = [node["metadata"]["name"] for node in plane.list("nodes")]
            on = names if endpoint_nodes is None else endpoint_nodes
            plane.put("endpointslices", self._endpoint_slice(cluster, service, on))

    def remove_service(self, cluster: str, key: str) -> None:
        """Delete a Service and its EndpointSlices."""
        namespace, name = key.split("/")
        with self._lock:
            plane = self._members[cluster]
            plane.delete("services", namespace, name)
            for endpoint_slice in plane.list("endpointslices", namespace):
                if endpoint_slice["metadata"]["labels"]["kubernetes.io/service-name"] == name:
                    plane.delete("endpointslices", namespace, endpoint_slice["metadata"]["name"])

    def set_ready(self, cluster: str, ready: bool) -> None:
        """Turn the condition Ready of a Cluster, and then its taint: two writes, as Karmada's controllers make them."""
        with self._lock:
            now, obj = self._now(), self._cluster(cluster)
            _set_condition(obj, ready, now, _READY)
            obj = self.karmada.put("clusters", obj)
            taints = [taint for taint in obj["spec"].pop("taints", ()) if taint["key"] != _NOT_READY]
            if not ready:
                taints.append({"key": _NOT_READY, "effect": "NoSchedule", "timeAdded": now})
            obj["spec"] |= {"taints": taints} if taints else {}
            self.karmada.put("clusters", obj)

    def _plane(self, name: str, resources: Sequence[Resource]) -> Plane:
        plane = Plane(name, resources, self._now)
        plane.token = _token(secret_of=name).decode()
        plane.put("services", template("kubernetes-service"))
        return plane

    def _cluster(self, name: str) -> Object:
        cluster = self.karmada.get("clusters", "", name)
        if cluster is None:
            raise KeyError(name)
        return cluster

    def _summarise(self, cluster: str) -> None:
        obj = self._cluster(cluster)
        obj["status"]["nodeSummary"] = _summary(self._members[cluster])
        self.karmada.put("clusters", obj)

    def _node(self, name: str, address: str) -> Object:
        return template("node", name=name, address=address, now=self._now())

    def _endpoint_slice(self, cluster: str, service: Object, nodes: Sequence[str]) -> Object:
        meta = service["metadata"]
        name, namespace = meta["name"], meta["namespace"]
        key = f"{namespace}/{name}"
        built = template(
            "endpointslice",
            name=name,
            namespace=namespace,
            owner=meta["uid"],
            now=self._now(),
            suffix=_id(cluster, key)[:5],
        )
        built["metadata"]["labels"] = meta["labels"] | built["metadata"]["labels"]
        built["ports"][0]["name"] = service["spec"]["ports"][0]["name"]
        for number, node in enumerate(nodes):
            uid = _id(cluster, key, node)
            address = f"10.{101 + number // 250}.{number % 250 + 1}.2"
            endpoint = {"name": name, "namespace": namespace, "node": node, "address": address}
            built["endpoints"].append(template("endpoint", uid=uid, suffix=uid[:5], **endpoint))
        return built

    def _now(self) -> str:
        return (_EPOCH + timedelta(seconds=next(self._ticks))).strftime("%Y-%m-%dT%H:%M:%SZ")


def _id(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))


def _summary(plane: Plane) -> Object:
    nodes = plane.list("nodes")
    ready = sum(_condition(node)["status"] == "True" for node in nodes)
    return {"totalNum": len(nodes), "readyNum": ready}


def _condition(obj: Object) -> Object:
    found: Object = next(item for item in obj["status"]["conditions"] if item["type"] == "Ready")
    return found


def _set_condition(obj: Object, ready: bool, now: str, words: Mapping[bool, tuple[str, str]]) -> None:
    reason, message = words[ready]
    _condition(obj).update(status=str(ready), lastTransitionTime=now, reason=reason, message=message)


def _token(*, secret_of: str) -> bytes:
    """Make a token that looks like a service account's."""
    claims = {"iss": "kubernetes/serviceaccount", "sub": f"system:serviceaccount:{_SECRETS}:karmada-{secret_of}"}
    head = (base64.urlsafe_b64encode(encode(part)).rstrip(b"=") for part in ({"alg": "RS256"}, claims))
    return b".".join((*head, secrets.token_urlsafe(64).encode()))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
