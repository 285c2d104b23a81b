// Joins config/clusters and config/services: `router` finds the backend of a request, a backend picks a target.

import { eachJSON } from './files.js'

var clusters = {}
var routes = {}
var services = 0
var targets = 0

// '$end' closes every map that grows, so that a new entry is one line of a diff. It is not an entry.
var entries = map => Object.entries(map).filter(([name]) => name !== '$end')

var hostPort = (ip, port) => ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`

function addCluster({ cluster, state, nodes }) {
  clusters[cluster] = { drained: state === 'drained', nodes: Object.fromEntries(entries(nodes)) }
}

function targetsOf(part, { nodes }, port) {
  if (part.addresses) return part.addresses
  var number = part.ports[port]
  var names = part.nodes || Object.keys(nodes)
  return number ? names.filter(name => nodes[name]).map(name => hostPort(nodes[name], number)) : []
}

// What one cluster takes of a service's requests.
function shareOf(part, cluster, port) {
  var found = targetsOf(part, cluster, port)
  return {
    weight: cluster.drained ? 0 : part.weight ?? 100,
    size: found.length,
    targets: new algo.LoadBalancer(found),
  }
}

// Two steps: weights share the requests out among the clusters, whatever their sizes; within a cluster the targets
// take turns.
function backendOf(parts, port) {
  var shares = parts.map(([name, part]) => shareOf(part, clusters[name], port)).filter(share => share.size > 0)
  var outer = new algo.LoadBalancer(shares, { weight: share => share.weight })
  return {
    size: shares.reduce((sum, share) => sum + share.size, 0),
    pick: () => outer.schedule(1)[0]?.targets?.allocate?.(),
  }
}

// Nothing is kept of a service before all of it is known to be good.
function addService(document) {
  var known = entries(document.clusters).filter(([name]) => {
    if (!clusters[name]) console.log(`${document.service}: left out cluster ${name}, it has no good file`)
    return clusters[name]
  })
  var backends = {}
  var found = document.routes.map(({ host, path, port }) => [
    `${host || ''}${path}`,
    (backends[port] ??= backendOf(known, port)),
  ])
  new algo.URLRouter(Object.fromEntries(found)) // throws where a route is not one
  found.forEach(([route, backend]) => {
    if (routes[route]) console.log(`${document.service}: left out route ${route}, another service has it`)
    else routes[route] = backend
  })
  services++
  targets += Object.values(backends).reduce((sum, backend) => sum + backend.size, 0)
}

var skipped = eachJSON('config/clusters', addCluster).concat(eachJSON('config/services', addService))

export var router = new algo.URLRouter(routes)

export var summary = { clusters: Object.keys(clusters).length, services, targets, skipped }
