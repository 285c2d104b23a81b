// What the proxy itself answers: short JSON that says nothing of what stands behind it.

export default function (status, body, headers) {
  return new Message(
    { status, headers: { 'content-type': 'application/json', ...headers } },
    JSON.stringify(body) + '\n'
  )
}
