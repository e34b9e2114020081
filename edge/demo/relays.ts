/**
 * What the devices of the demo switch: an HTTP service beside the sites, as a building has one. It counts
 * what it is asked to do and trusts nobody's word for it: two calls of one device with one number are
 * one call that ran twice.
 */

export interface Relays extends AsyncDisposable {
  /** Where calls are posted to. */
  readonly url: string;
  /** Calls that ran, of this device. */
  ran(device: string): number;
  /** How many of all ran that had run before. */
  readonly duplicates: number;
}

export function openRelays(): Relays {
  const ran = new Map<string, Set<number>>();
  let duplicates = 0;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { params } = await request.json() as { params: { device: string; n: number } };
    const numbers = ran.get(params.device) ?? new Set();
    if (numbers.has(params.n)) duplicates++;
    ran.set(params.device, numbers.add(params.n));
    return Response.json({ switched: numbers.size });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/relays`,
    ran: (device) => ran.get(device)?.size ?? 0,
    get duplicates() {
      return duplicates;
    },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
