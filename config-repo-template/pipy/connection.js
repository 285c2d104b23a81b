// A client's connection, and how to break it off within an answer.

export default function ({ remoteAddress, localPort }, tls) {
  var end
  var connection = {
    client: remoteAddress,
    port: localPort.toString(),
    tls,
    broken: false,
    // Called when the first bytes go to the client.
    ended: () => new Promise(resolve => void (end = resolve)),
    // Takes the end of an answer: passes it on where nothing of any answer has gone out yet.
    breakOff: last => {
      connection.broken = true
      if (!end) return last
      end(new StreamEnd)
      return []
    },
  }
  return connection
}
