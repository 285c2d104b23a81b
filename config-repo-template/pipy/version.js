// Which version of the codebase this is. Pipy does not tell its programs: a Repo says it as the ETag of the codebase;
// of a folder, the name that its path really leads to says it, where each version has a folder of its own.

var version = null

var source = pipy.source

if (source.startsWith('http://')) {
  var url = new URL(source)
  new http.Agent(url.host).request('HEAD', url.pathname).then(({ head }) => {
    if (head.status === 200) version = head.headers.etag || null
  }).catch(() => {})
}

export default () => version
