// Reads the JSON files of this codebase.

export function readJSON(path) {
  var data = pipy.load(path)
  if (!data) throw new Error(`${path}: no such file`)
  return JSON.decode(data)
}

// Hands each file of a folder to `use`, in the order of their names. One that cannot be used is logged and skipped.
// Returns the paths of those.
export function eachJSON(folder, use) {
  var paths = pipy.list(folder).filter(name => name.endsWith('.json')).sort().map(name => `${folder}/${name}`)
  return paths.filter(path => {
    try {
      use(readJSON(path))
      return false
    } catch (error) {
      console.log(`${path}: skipped:`, error.message.trim())
      return true
    }
  })
}
