"""The whole fleet: Clusters from Karmada, and of each what its members have, side by side."""

from __future__ import annotations

import base64
import gc
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from kubernetes.client import Configuration

from publisher.core import labels, topology
from publisher.core.model import Cluster, Finding, Service, Topology, Unknown
from publisher.core.policy import Access, Policy
from publisher.core.redact import redact
from publisher.core.select.clusters import cluster_refusal
from publisher.core.topology import Member
from publisher.edge.karmada.connection import Connection, Timing
from publisher.edge.karmada.lists import CLUSTERS, ENDPOINT_SLICES, NODES, SERVICES, Resource, list_all
from publisher.errors import ApiError

R = TypeVar("R")
T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Called with the number of clusters read, and of all."""


@dataclass(frozen=True, slots=True)
class KarmadaFleet:
    """Reads the fleet behind one Karmada API server."""

    karmada: Connection
    policy: Policy
    timing: Timing

    def read(self, progress: Progress) -> Topology:
        """Read everything that publisher.yaml selects.

        Each kind of each cluster ends as what a complete list named, or as Unknown with the reason. Raises ApiError
        where the Clusters cannot be read, or nothing of any of them.
        """
        clusters: dict[str, Cluster] = {}
        to_read: list[Member] = []
        for member, refusal in self.members():
            if refusal:
                clusters[member.name] = _unread(member, "it did not count when the snapshot was taken")
            elif not member.ready:
                clusters[member.name] = _unread(member, redact(member.reason, 200))
            else:
                to_read.append(member)
        findings: list[Finding] = []
        progress(0, len(to_read))
        with _no_cycle_search():
            try:
                results = side_by_side(self._read_member, to_read, self.policy.karmada.concurrency)
                for done, (cluster, found) in enumerate(results, start=1):
                    clusters[cluster.name] = cluster
                    findings += found
                    progress(done, len(to_read))
            except BaseException:  # an interrupt must not wait for what is under way
                self.karmada.close()
                raise
        read = [clusters[member.name] for member in to_read]
        if read and all(isinstance(item.nodes, Unknown) and isinstance(item.services, Unknown) for item in read):
            reasons = sorted({item.nodes.reason for item in read if isinstance(item.nodes, Unknown)})
            raise ApiError(f"none of {len(read)} member clusters could be read: {'; '.join(reasons[:3])}")
        return Topology(dict(sorted(clusters.items())), tuple(sorted(findings)))

    def members(self) -> Iterator[tuple[Member, str]]:
        """List the Clusters, each with the reason why it does not count; empty where it does."""
        prefix = self.policy.annotation_prefix
        try:
            members = list_all(self.karmada, "", CLUSTERS, lambda item: topology.member(item, prefix))
        except ApiError as error:
            if error.status != 404:
                raise
            raise ApiError(f"{error}: no Clusters there; is it the API server of Karmada?", status=404) from error
        wanted = self.policy.karmada.clusters
        selector = labels.parse(wanted.labels)
        for member in members:
            yield member, cluster_refusal(member.name, member.labels, member.annotations, selector, wanted.exclude)

    def _read_member(self, member: Member) -> tuple[Cluster, tuple[Finding, ...]]:
        try:
            reader = self.reader(member)
        except ApiError as error:
            return _unread(member, str(error)), ()
        try:
            prefix = self.policy.annotation_prefix
            nodes = reader.read(NODES, lambda item: topology.node(item, prefix))
            services = reader.read(SERVICES, lambda item: topology.service(item, prefix))
            named = {} if isinstance(services, Unknown) else {item.key: item for item in services}
            slices = reader.read(ENDPOINT_SLICES, lambda item: topology.endpoint_slice(item, named))
        finally:
            reader.close()
        findings = () if isinstance(nodes, Unknown) else topology.node_count(member, len(nodes))
        cluster = _cluster(
            member,
            nodes=nodes if isinstance(nodes, Unknown) else {item.name: item for item in nodes},
            services=services if isinstance(services, Unknown) else named,
            endpoints=_endpoints(services, slices, named),
        )
        return cluster, findings

    def reader(self, member: Member) -> MemberReader:
        """Give what reads a member by the chosen access; close it."""
        if self.policy.karmada.access is Access.PROXY:
            return MemberReader(self.karmada, f"{CLUSTERS.path}/{member.name}/proxy", member.name, shared=True)
        configuration = self._direct(member)
        connection = Connection(member.name, configuration, 1, self.timing, self.karmada.closed)
        return MemberReader(connection, "", member.name, shared=False)

    def _direct(self, member: Member) -> Any:
        """Build what ``access: direct`` needs from the Cluster and its Secret."""
        if not member.endpoint or member.secret is None:
            raise ApiError(f"{member.name}: spec.apiEndpoint or spec.secretRef is missing; use access: proxy")
        namespace, name = member.secret
        if not (topology.valid_name(namespace) and topology.valid_name(name)):
            raise ApiError(f"{member.name}: spec.secretRef names no Secret")
        secret = self.karmada.parse(self.karmada.get(f"/api/v1/namespaces/{namespace}/secrets/{name}", {}))
        configuration: Any = Configuration()
        try:
            configuration.host = _endpoint(member)
        except ValueError as error:  # the client looks at it, for HTTPS_PROXY
            raise ApiError(f"{member.name}: spec.apiEndpoint is not an https address") from error
        token = _secret(secret, "token", member.name)
        if not token:
            raise ApiError(f"{member.name}: the Secret of spec.secretRef has no token")
        configuration.api_key = {"BearerToken": f"Bearer {token}"}
        bundle = _secret(secret, "caBundle", member.name) or _decoded(member.ca_bundle, member.name)
        if member.insecure and self.policy.karmada.insecure:
            configuration.verify_ssl = False
        elif not bundle:
            raise ApiError(f"{member.name}: no caBundle to verify its certificate with")
        else:
            configuration.ca_cert_data = bundle
        if not isinstance(member.proxy_headers, Mapping):
            raise ApiError(f"{member.name}: spec.proxyHeader is not an object")
        if member.proxy_url:
            configuration.proxy = member.proxy_url
            configuration.proxy_headers = dict(member.proxy_headers)
            configuration.no_proxy = None  # NO_PROXY is about our own proxy, this one is the Cluster's
        return configuration


@contextmanager
def _no_cycle_search() -> Iterator[None]:
    """Spare the collector: what is read has no cycles, and searching it over and over takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def side_by_side(work: Callable[[T], R], items: Iterable[T], limit: int) -> Iterator[R]:
    """Do the work for all items, at most ``limit`` at a time; results come as they are ready.

    Whoever stops listening does not wait for the rest, and nor does the end of the program: an executor would.
    """
    todo: SimpleQueue[T] = SimpleQueue()
    done: SimpleQueue[tuple[R, None] | tuple[None, BaseException]] = SimpleQueue()
    for item in items:
        todo.put(item)
    count = todo.qsize()

    def run() -> None:
        while True:
            try:
                item = todo.get_nowait()
            except Empty:
                return
            try:
                done.put((work(item), None))
            except BaseException as error:
                done.put((None, error))

    for _ in range(min(limit, count)):
        threading.Thread(target=run, name="cluster", daemon=True).start()
    for _ in range(count):
        result, failure = done.get()
        if failure is not None:
            raise failure
        yield result  # type: ignore[misc]


@dataclass(slots=True)
class MemberReader:
    """Reads the lists of one member; after one that got no answer at all, the rest is not tried."""

    connection: Connection
    prefix: str
    cluster: str
    shared: bool
    silent: str = ""

    def read(self, resource: Resource, convert: Callable[[Any], T]) -> list[T] | Unknown:
        """Read a complete list, or say why it is unknown."""
        if self.silent:
            return Unknown(self.silent)
        try:
            return list_all(self.connection, self.prefix, resource, convert)
        except ApiError as error:
            if error.status == 0:
                self.silent = str(error)
            return Unknown(str(error))

    def close(self) -> None:
        """Let go of a connection that is the member's own."""
        if not self.shared:
            self.connection.release()


def _endpoints(
    services: list[Service] | Unknown, slices: list[topology.Slice | None] | Unknown, named: Mapping[Any, Service]
) -> Any:
    if isinstance(services, Unknown):
        return services
    return slices if isinstance(slices, Unknown) else topology.endpoints(slices, named)


def _unread(member: Member, reason: str) -> Cluster:
    unknown = Unknown(reason)
    return _cluster(member, nodes=unknown, services=unknown, endpoints=unknown)


def _cluster(member: Member, *, nodes: Any, services: Any, endpoints: Any) -> Cluster:
    return Cluster(
        name=member.name,
        nodes=nodes,
        services=services,
        endpoints=endpoints,
        region=member.region,
        labels=member.labels,
        annotations=member.annotations,
        remedies=member.remedies,
    )


def _endpoint(member: Member) -> str:
    """Give the URL of a member; Karmada takes a host alone too. Its token is never sent in the clear."""
    url = member.endpoint.rstrip("/")
    url = url if "://" in url else f"https://{url}"
    if not url.lower().startswith("https://"):
        raise ApiError(f"{member.name}: spec.apiEndpoint is not an https address; use access: proxy")
    return url


def _secret(secret: Any, key: str, cluster: str) -> str:
    try:
        return _decoded(secret["data"].get(key) or "", cluster)
    except (KeyError, TypeError, AttributeError) as error:
        raise ApiError(f"{cluster}: the Secret of spec.secretRef has no data") from error


def _decoded(text: str, cluster: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("ascii").strip()
    except (ValueError, TypeError) as error:
        raise ApiError(
            f"{cluster}: the token or caBundle in the Secret of spec.secretRef is not base64 text"
        ) from error
