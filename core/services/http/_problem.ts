/** Errors as `application/problem+json` (RFC 9457). */

/** @param code stable, for programs; `detail` is a sentence for people, `hint` the next step */
export function problem(
  status: number,
  code: string,
  detail: string,
  extra: { hint?: string; headers?: Record<string, string> } = {},
): Response {
  const { hint, headers } = extra;
  const title = titles[status] ?? "Error";
  const body = { type: "about:blank", title, status, code, detail, hint };
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
  });
}

const titles: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  409: "Conflict",
  413: "Content Too Large",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
};
