// Which version of the codebase this is. Pipy does not tell its programs: a Repo says it as the ETag of the codebase;
// of a folder, the path that it really has says it, where each version lies in a folder named by its commit.

var version = null

var { source } = pipy

if (source.startsWith('http://')) {
  var url = new URL(source)
  new http.Agent(url.host).request('HEAD', url.pathname).then(({ head }) => {
    if (head.status === 200) version = head.headers.etag || null
  }).catch(() => {})
} else if (!source.startsWith('https://')) {
  try {
    version = new RegExp('/([0-9a-f]{40}[^/]*)/').exec(pipy.exec(['readlink', '-f', source]).toString())?.[1] || null
  } catch {
    console.log('the version is unknown, as there is no readlink')
  }
}

export default () => version
