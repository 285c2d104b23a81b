// What of a request's path and host is changed before it goes to a target.

var bare = path => path.endsWith('/') ? path.substring(0, path.length - 1) : path

export function rewriteOf({ rewrite: { prefix, to } }) {
  if (!prefix) return null
  var old = bare(prefix)
  var made = bare(to)
  return path => {
    var rest = path.substring(old.length)
    if (!path.startsWith(old) || (rest && !rest.startsWith('/') && !rest.startsWith('?'))) return path
    return (made + rest).startsWith('/') ? made + rest : `/${rest}`
  }
}

export var hostOf = (host, { address }) => host === 'target' ? address : host
