// Reads the JSON files of this codebase, and others of this machine.

export function readFile(path) {
  var data = path.startsWith('/') ? os.readFile(path) : pipy.load(path)
  if (!data) throw new Error(`${path}: no such file`)
  return data
}

export function readJSON(path) {
  return JSON.decode(readFile(path))
}

// All documents of config/<kind>, by path: from config/bundle.json where there is one, else file by file.
// One that cannot be read has the error in its place.
var bundle = pipy.load('config/bundle.json')
if (bundle) bundle = JSON.decode(bundle)

function documents(kind) {
  var folder = `config/${kind}`
  if (bundle) {
    return Object.entries(bundle[kind] || {}).sort(byName).map(([name, found]) => [`${folder}/${name}.json`, () => found])
  }
  return pipy.list(folder).filter(name => name.endsWith('.json')).sort().map(
    name => [`${folder}/${name}`, () => readJSON(`${folder}/${name}`)]
  )
}

var byName = ([a], [b]) => a < b ? -1 : 1

// Hands each document of a kind to `use`, in the order of their names. One that cannot be used is logged and skipped.
// Returns the paths of those.
export function eachDocument(kind, use) {
  return documents(kind).filter(([path, read]) => {
    try {
      use(read())
      return false
    } catch (error) {
      console.log(`${path}: skipped:`, error.message.trim())
      return true
    }
  }).map(([path]) => path)
}
