// A client's connection, and how to break it off within an answer. It holds no function that knows it: Pipy does not
// forget what leads back to itself before it reloads.

export default ({ remoteAddress, localPort }, scheme) => ({
  client: remoteAddress,
  port: localPort.toString(),
  scheme,
  broken: false,
  end: null,
})

// Called when the first bytes go to the client.
export var ended = connection => new Promise(resolve => void (connection.end = resolve))

// Takes the end of an answer: passes it on where nothing of any answer has gone out yet.
export function breakOff(connection, last) {
  connection.broken = true
  if (!connection.end) return last
  connection.end(new StreamEnd)
  return []
}
