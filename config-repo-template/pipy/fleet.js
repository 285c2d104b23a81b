// Joins config/clusters and config/services: `router` finds the backend of a request.

import { eachDocument } from './files.js'
import { backendOf } from './backend.js'
import { answers, times } from './metrics.js'
import { ofService, skipped as withoutSettings } from './settings.js'

var clusters = {}
var routes = {}

// [[route, backend]] of each service.
export var services = {}

// One for each port of each service.
export var backends = []

// Counts what finds no backend.
export var nowhere = { answers: answers() }

// '$end' closes every map that grows, so that a new entry is one line of a diff. It is not an entry.
var entries = map => Object.entries(map).filter(([name]) => name !== '$end')

var hostPort = (ip, port) => ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`

function addCluster({ cluster, state, nodes }) {
  clusters[cluster] = { drained: state === 'drained', nodes: Object.fromEntries(entries(nodes)) }
}

// [name, address] of every target; the name says which it is and not where.
function targetsOf(part, { nodes }, port) {
  if (part.addresses) return part.addresses.map(address => [address, address])
  var number = part.ports[port]
  var names = part.nodes || Object.keys(nodes)
  return number ? names.filter(name => nodes[name]).map(name => [name, hostPort(nodes[name], number)]) : []
}

// Nothing is kept of a service before all of it is known to be good.
function addService(document) {
  var name = document.service
  var settings = ofService(name)
  var known = entries(document.clusters).filter(([cluster]) => {
    if (!clusters[cluster]) console.log(`${name}: left out cluster ${cluster}, it has no good file`)
    return clusters[cluster]
  })
  var sharesOf = port => known.map(([cluster, part]) => ({
    cluster,
    weight: clusters[cluster].drained ? 0 : part.weight ?? 100,
    targets: targetsOf(part, clusters[cluster], port),
  }))
  var ports = {}
  var took = times()
  var found = document.routes.map(({ host, path, port }) => [
    `${host || ''}${path}`,
    (ports[port] ??= backendOf(name, settings, took, sharesOf(port))),
  ])
  new algo.URLRouter(Object.fromEntries(found)) // throws where a route is not one
  services[name] = found.filter(([route, backend]) => {
    if (routes[route]) console.log(`${name}: left out route ${route}, another service has it`)
    else routes[route] = backend
    return routes[route] === backend
  })
  Object.values(ports).forEach(backend => backends.push(backend))
}

export var skipped = eachDocument('clusters', addCluster).concat(eachDocument('services', addService), withoutSettings)

export var router = new algo.URLRouter(routes)

export var counts = {
  clusters: Object.keys(clusters).length,
  services: Object.keys(services).length,
  targets: backends.reduce((sum, { size }) => sum + size, 0),
}
