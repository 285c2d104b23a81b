// Keeps a client on its target for as long as that takes part: by a cookie, or by the client's address.

import { shares } from './numbered.js'

export function stickiness(backend) {
  switch (backend.settings.sticky) {
    case 'cookie': return byCookie(backend)
    case 'source': return bySource(backend)
  }
}

function digest(text) {
  var hash = new crypto.Hash('sha256')
  hash.update(text)
  return hash.digest('hex')
}

// The cookie names the target by a hash of what it is called: it says nothing of addresses, and is the same on all
// workers.
function byCookie(backend) {
  var name = `pipy-${digest(backend.service).substring(0, 8)}`
  var ids = new Map
  var targets = {}
  backend.shares.forEach(share => share.targets.forEach(target => {
    var id = digest(`${backend.service} ${share.cluster} ${target.name}`).substring(0, 16)
    ids.set(target, id)
    targets[id] = target
  }))
  return {
    find: ctx => {
      var target = targets[cookieOf(ctx.head.headers.cookie, name)]
      if (target && shares[target.share].live.includes(target)) return (ctx.stuck = target)
    },
    // Sends the cookie along where the client has none, or one that is out of date.
    keep: (ctx, headers) => {
      if (ctx.stuck === ctx.target) return
      var cookie = `${name}=${ids.get(ctx.target)}; Path=/; HttpOnly; SameSite=Lax${ctx.connection.scheme === 'https' ? '; Secure' : ''}`
      headers['set-cookie'] = [cookie].concat(headers['set-cookie'] || [])
    },
  }
}

function cookieOf(header, name) {
  if (!header) return ''
  var found = (header instanceof Array ? header.join(';') : header).split(';').find(item => item.trim().startsWith(`${name}=`))
  return found ? found.trim().substring(name.length + 1) : ''
}

// Each client ranks the clusters, and then the targets of one: who goes takes only its own clients along.
function bySource(backend) {
  var found
  var choose = client => highest(
    highest(backend.up, share => share.weight / -Math.log(chance(`${client} ${share.cluster}`)))?.live || [],
    target => chance(`${client} ${shares[target.share].cluster} ${target.name}`)
  )
  return {
    find: ctx => found.get(ctx.client || ctx.connection.client),
    renew: () => found = new algo.Cache(choose, null, { size: 10000 }),
  }
}

// A number between 0 and 1 that is always the same for a text.
var chance = text => (algo.hash(text) + 0.5) / 9007199254740992

function highest(items, score) {
  var best, most = -1
  items.forEach(item => {
    var points = score(item)
    if (points > most) {
      most = points
      best = item
    }
  })
  return best
}
