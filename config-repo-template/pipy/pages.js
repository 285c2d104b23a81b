// What was loaded, and who takes part.

import { services, counts, skipped } from './fleet.js'
import version from './version.js'

export var summary = () => ({ version: version(), ...counts, skipped })

export function servicePage(name) {
  var routes = services[name]
  return routes && {
    service: name,
    routes: Object.fromEntries(routes.map(([route, backend]) => [route, backendPage(backend)])),
  }
}

// The share is what a cluster gets when all is well: of the clusters that have a target and a weight.
function backendPage({ shares }) {
  var total = shares.reduce((sum, share) => sum + weightOf(share), 0)
  return Object.fromEntries(shares.map(share => [share.cluster, {
    share: total > 0 ? weightOf(share) / total : 0,
    targets: Object.fromEntries(share.targets.map(target => [target.address, stateOf(target)])),
  }]))
}

var weightOf = ({ weight, targets }) => targets.length > 0 ? weight : 0

export var stateOf = ({ until }) => until > Date.now() ? 'ejected' : 'ok'
