// Picks a target in two steps: weights share the requests out among the clusters, whatever their sizes; within a
// cluster the targets take turns.

import { commonDivisor } from './backend.js'
import { comeBack } from './eject.js'
import { backends, shares } from './numbered.js'

var LONGEST = 512

// Gives undefined where there is no target.
export default function (backend, ctx) {
  if (backend.plain) backend.sequence = sequenceOf(backend.order)
  backend.plain = false
  if (!backend.sequence) return carefully(backend, ctx)
  return backend.sequence[backend.turn = backend.turn % backend.sequence.length]
}

// The targets in the sequence in which they are picked, where that is short: to follow it is cheaper.
function sequenceOf(order) {
  var rounds = order.reduce((found, { live }) => found / commonDivisor(found, live.length) * live.length, 1)
  if (rounds * order.length > LONGEST) return null
  return new Array(rounds).fill(order).flat().map(nextOf)
}

var nextOf = share => share.live[share.turn = (share.turn + 1) % share.live.length]

function carefully(backend, ctx) {
  if (backend.until && backend.until <= Date.now()) comeBack(backend)
  if (backend.stick) {
    var stuck = backend.stick.find(ctx)
    if (stuck && hasRoom(stuck)) return stuck
  }
  var { up, order, most } = backend
  if (up.length === 0) return
  var share = order ? order[backend.turn = (backend.turn + 1) % order.length] : byWeight(backend)
  return within(share) || elsewhere(up, share)
}

// Another one than the one that failed: in another cluster if possible, as clusters fail as a whole.
export function other(failed) {
  var share = shares[failed.share]
  return elsewhere(backends[share.backend].up, share) || within(share, failed)
}

function byWeight({ weights }) {
  var turn = weights.allocate()
  turn.free()
  return turn.target
}

function within(share, failed) {
  var { live } = share
  var n = live.length
  for (var i = 0; i < n; i++) {
    var target = live[share.turn = (share.turn + 1) % n]
    if (target !== failed && hasRoom(target)) return target
  }
}

// The other clusters, by weight.
function elsewhere(up, share) {
  for (var i = 0; i < up.length; i++) {
    var target = up[i] !== share && within(up[i])
    if (target) return target
  }
}

var hasRoom = ({ active, most }) => !most || active < most
