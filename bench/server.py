"""A canned fleet in a process of its own: a Karmada API server whose cluster proxy answers for any number of members.

Bodies are made once, from the objects of the embedded fleet, and only names and addresses are filled in.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import ssl
import sys
from pathlib import Path

import trustme

from publisher.demo.fleet import Fleet

TOKEN = "bench"
_PROXY = re.compile(r"/apis/cluster\.karmada\.io/v1alpha1/clusters/c(\d+)/proxy(/[^?]*)")


class Bodies:
    """Answers for every path."""

    def __init__(self, clusters: int, nodes: int, services: int) -> None:
        fleet = Fleet()
        fleet.add_member("CLUSTER", nodes={f"CLUSTER-node{i:03}": f"10.253.254.{i + 1}" for i in range(nodes)})
        for number in range(services):
            fleet.add_service(
                "CLUSTER",
                f"default/service{number:03}",
                node_port=30000 + number,
                labels={"app": f"service{number:03}"},
                endpoint_nodes=[f"CLUSTER-node{i:03}" for i in range(4)],
            )
        member = fleet.members["CLUSTER"]
        managed = json.loads((Path(__file__).parent / "managed_fields.json").read_bytes())

        def listed(kind: str, resource: str) -> bytes:
            """Write a list; real objects carry managedFields, which nobody here reads and everybody has to fetch."""
            items = [
                {**item, "metadata": {**item["metadata"], "managedFields": managed[resource]}}
                for item in member.list(resource)
            ]
            return json.dumps({"kind": kind, "metadata": {"resourceVersion": "1"}, "items": items}).encode()

        self._lists = {
            "/api/v1/nodes": listed("NodeList", "nodes"),
            "/api/v1/services": listed("ServiceList", "services"),
            "/apis/discovery.k8s.io/v1/endpointslices": listed("EndpointSliceList", "endpointslices"),
        }
        item = json.dumps(fleet.karmada.list("clusters")[0]).encode()
        items = b",".join(item.replace(b"CLUSTER", b"c%d" % number) for number in range(clusters))
        self.clusters = b'{"kind":"ClusterList","metadata":{"resourceVersion":"1"},"items":[' + items + b"]}"

    def of(self, path: str) -> bytes:
        """Give the body for a path."""
        found = _PROXY.match(path)
        if found is None:
            return self.clusters
        number = int(found[1])
        body = self._lists[found[2]].replace(b"CLUSTER", b"c%d" % number)
        return body.replace(b"10.253.254.", b"10.%d.%d." % divmod(number, 250))


async def serve(bodies: Bodies, delay: float, folder: Path) -> None:
    """Serve until the parent goes away."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                while (await reader.readline()).strip():
                    pass
                await asyncio.sleep(delay)
                body = bodies.of(line.split()[1].decode())
                head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
                writer.write(head + body)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context, limit=1 << 20)
    port = server.sockets[0].getsockname()[1]
    (folder / "ca.pem").write_bytes(authority.cert_pem.bytes())
    (folder / "kubeconfig").write_text(json.dumps(_kubeconfig(port, str(folder / "ca.pem"))))
    print(port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def _kubeconfig(port: int, ca: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bench",
        "clusters": [
            {"name": "bench", "cluster": {"server": f"https://127.0.0.1:{port}", "certificate-authority": ca}}
        ],
        "users": [{"name": "bench", "user": {"token": TOKEN}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
    }


def main() -> None:
    """Serve as the arguments say."""
    parser = argparse.ArgumentParser()
    for name, kind in (("clusters", int), ("nodes", int), ("services", int), ("delay", float), ("folder", Path)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    given = parser.parse_args()
    asyncio.run(serve(Bodies(given.clusters, given.nodes, given.services), given.delay / 1000, given.folder))


if __name__ == "__main__":
    main()
