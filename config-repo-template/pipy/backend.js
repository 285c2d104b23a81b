// A backend is one port of a service: clusters with their shares of the requests, and their targets.

import { answers } from './metrics.js'
import { backends, shares } from './numbered.js'
import { rewriteOf } from './rewrite.js'
import { stickiness } from './sticky.js'

// parts: [{cluster, weight, targets: [[name, address]]}]
export function backendOf(service, settings, times, parts) {
  var { connect, read, keep } = settings.timeouts
  var backend = {
    number: backends.length,
    service,
    settings,
    rewrite: rewriteOf(settings),
    host: settings.host === 'preserve' ? '' : settings.host,
    // idleTimeout, as Pipy's readTimeout runs on while a connection waits to be used again
    connect: { connectTimeout: connect, idleTimeout: read },
    mux: settings.protocol === 'http2' ? { version: 2, maxIdle: keep, maxQueue: 100 } : { version: 1, maxIdle: keep },
    most: settings.limits.requests, // under way, per target
    largest: settings.limits.body || Infinity,
    http2: settings.protocol === 'http2',
    retry: settings.retry,
    plain: false, // whether a sequence may be enough, and there is none yet
    sequence: null, // of targets: who is next needs no other thought
    until: 0, // when the next target comes back that was taken out
    answers: answers(), // without a target
    times,
  }
  backend.changes = backend.rewrite || backend.host || backend.http2
  backends.push(backend)
  backend.shares = parts.map(part => shareOf(backend, part))
  backend.size = backend.shares.reduce((sum, share) => sum + share.targets.length, 0)
  backend.stick = stickiness(backend)
  refresh(backend)
  return backend
}

// Where the turns begin: not with the same target on all workers.
var anywhere = () => Math.floor(Math.random() * 1000)

// What one cluster takes of a service's requests.
function shareOf({ number, service, most }, { cluster, weight, targets }) {
  var share = {
    backend: number, service, cluster, weight, live: [], turn: anywhere(), answers: answers(), retried: 0, ejected: 0,
  }
  share.targets = targets.map(([name, address]) => ({
    name,
    address,
    share: shares.length,
    cluster,
    answers: share.answers,
    active: 0, // requests under way
    most,
    unreached: 0, // in a row
    failed: 0, // in a row
    times: 0, // how often it was taken out
    until: 0, // when it comes back, while it is out
    back: 0, // when it came back last
  }))
  shares.push(share)
  return share
}

// Works out anew who takes part. The turns start afresh: who comes back is not made to catch up with the others.
export function refresh(backend) {
  var shares = backend.shares.filter(share => share.weight > 0)
  shares.forEach(share => share.live = share.targets.filter(target => !target.until))
  if (shares.every(share => share.live.length === 0)) { // better a target that may fail than none
    shares.forEach(share => share.live = share.targets)
  }
  backend.up = shares.filter(share => share.live.length > 0).sort((a, b) => b.weight - a.weight)
  backend.weights = new algo.LoadBalancer(backend.up, { weight: share => share.weight })
  backend.order = orderOf(backend)
  backend.turn = anywhere()
  backend.sequence = null
  backend.plain = backend.order && backend.up.length > 0 && !backend.until && !backend.stick && !backend.most
  backend.stick?.renew?.()
}

// One round of turns, where it is short: to follow it is cheaper than to ask the load balancer each time.
function orderOf({ up, weights }) {
  var common = up.reduce((found, { weight }) => commonDivisor(found, weight), 0)
  var round = up.reduce((sum, { weight }) => sum + weight / common, 0)
  return round <= 1000 ? weights.schedule(round) : null
}

export var commonDivisor = (a, b) => b ? commonDivisor(b, a % b) : a
