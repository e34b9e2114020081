/**
 * Ways around what is wrong with the sockets that servers of node:net and node:http accept in Deno.
 *
 * - 2.8.3 keeps the native half of each for ever, and with it the socket and all that listened to it:
 *   seven kilobytes for every connection to a broker.
 * - 2.8.3 does not close one that is destroyed while it has bytes to send until the peer has read
 *   them: a peer that reads nothing keeps its connection. A reset closes it.
 * - 2.7.11 writes two chunks of an upgraded connection together, and when that fails nobody handles
 *   the rejection, which ends the process.
 */
import { Socket } from "node:net";

/** Bytes that may still be on their way when a connection ends in peace: the last words to a peer. */
const lastWords = 64 * 1024;
const isOld = Deno.version.deno.startsWith("2.7.");

/** What late callbacks of a closed socket find in its place. */
const nobody = new Socket().destroy();

interface Inside {
  _handle?: Record<symbol, unknown> | null;
  _writev?: unknown;
}

const mended = new WeakSet<Socket>();

/** Call it for each socket of a "connection" or "upgrade" event; twice does no harm. */
export function mendAccepted(socket: Socket): void {
  if (mended.has(socket)) return;
  mended.add(socket);
  const inside = socket as unknown as Inside;
  if (isOld) {
    inside._writev = null;
    return;
  }
  const handle = inside._handle ?? {};
  socket.once("close", () => {
    for (const key of Object.getOwnPropertySymbols(handle)) {
      if (handle[key] === socket) handle[key] = nobody;
    }
  });
  const destroy = socket.destroy.bind(socket);
  let reason: Error | undefined;
  let isReset = false;
  socket.destroy = (error?: Error) => {
    // resetAndDestroy() comes back here.
    if (isReset || socket.destroyed || socket.writableLength <= lastWords) {
      return destroy(error ?? reason);
    }
    isReset = true;
    reason = error;
    return socket.resetAndDestroy();
  };
}
