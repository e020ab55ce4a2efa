/** Nothing here under this name. */
export function notFound(): Response {
  return new Response("404 Not Found\n", {
    status: 404,
    headers: { "content-type": "text/plain; charset=utf-8", "content-length": "14" },
  });
}
