// config/proxy.json on top of defaults.json. Where it is wrong the program does not load, and a Pipy that runs keeps
// the one before; what it says of a single service is skipped instead.

import { readJSON } from './files.js'

var defaults = readJSON('defaults.json')
var found = readJSON('config/proxy.json')
var common = Object.fromEntries(Object.entries(found).filter(([name]) => name !== '$schema' && name !== 'services'))

var choices = { sticky: ['off', 'cookie', 'source'], protocol: ['http1', 'http2'] }

var kindOf = value => value === null ? 'null' : value instanceof Array ? 'array' : typeof value

function checked(name, value, known) {
  if (kindOf(known) === 'undefined') throw new Error(`unknown setting ${name}`)
  if (kindOf(value) !== kindOf(known)) throw new Error(`${name} is not of type ${kindOf(known)}`)
  if (value < 0) throw new Error(`${name} is less than 0`)
  if (choices[name] && !choices[name].includes(value)) throw new Error(`${name} is not one of ${choices[name].join(', ')}`)
  return value
}

// What is given, on top of what is known; all that is given has to be known, and of the same type.
function merge(known, given) {
  if (kindOf(given) !== 'object') throw new Error('not an object')
  return {
    ...known,
    ...Object.fromEntries(
      Object.entries(given).map(
        ([name, value]) => [name, kindOf(known[name]) === 'object' ? merge(known[name], value) : checked(name, value, known[name])]
      )
    ),
  }
}

var settings = merge(defaults, common)

export default settings

// Services whose settings could not be used.
export var skipped = []

var overrides = {}

Object.entries(found.services || {}).forEach(([name, given]) => {
  try {
    overrides[name] = merge(settings.service, given)
  } catch (error) {
    console.log(`config/proxy.json: skipped the settings of ${name}:`, error.message.trim())
    skipped.push(`config/proxy.json: ${name}`)
  }
})

export var ofService = name => overrides[name] || settings.service
