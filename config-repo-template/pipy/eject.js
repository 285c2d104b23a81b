// Takes targets out that fail, each time for longer, and back in.

import { refresh } from './backend.js'
import { backends, shares } from './numbered.js'

// An answer came. Only called where it says something: it is a 5xx, or the first good one since a failure.
export function answered(target, status) {
  target.unreached = 0
  if (status < 500) {
    target.failed = 0
  } else {
    var { backend, live, targets } = shares[target.share]
    var { serverErrors, keep } = backends[backend].settings.ejection
    target.failed++
    if (serverErrors && target.failed >= serverErrors && (live.length - 1) * 100 >= targets.length * keep) eject(target)
  }
}

// No answer came: it could not be reached, hung up or took too long.
export function unreached(target) {
  var { connectErrors } = backends[shares[target.share].backend].settings.ejection
  target.unreached++
  if (connectErrors && target.unreached >= connectErrors) eject(target)
}

function eject(target) {
  if (target.until) return
  var share = shares[target.share]
  var backend = backends[share.backend]
  var { base, max } = backend.settings.ejection
  var now = Date.now()
  if (now - target.back > max * 1000) target.times = 0
  target.times++
  var seconds = Math.min(base * target.times, max)
  target.until = now + seconds * 1000
  backend.until = backend.until ? Math.min(backend.until, target.until) : target.until
  console.log(`${backend.service}: ${target.address} in ${share.cluster} is out for ${seconds} s`)
  share.ejected++
  refresh(backend)
}

// Lets those in again whose time is over. One more failure takes them out again.
export function comeBack(backend) {
  var { connectErrors, serverErrors } = backend.settings.ejection
  var now = Date.now()
  backend.until = 0
  backend.shares.forEach(share => share.targets.forEach(target => {
    if (target.until > now) {
      backend.until = backend.until ? Math.min(backend.until, target.until) : target.until
    } else if (target.until) {
      target.until = 0
      target.back = now
      target.unreached = Math.max(connectErrors - 1, 0)
      target.failed = Math.max(serverErrors - 1, 0)
    }
  }))
  refresh(backend)
}
