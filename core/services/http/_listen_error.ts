/** Why a listener could not open. */
import { CodedError } from "../../base/errors.ts";
import type { Listen } from "./_listener.ts";

/** Says why a listener could not open. */
export function listenError(error: unknown, { hostname, port }: Listen): CodedError {
  const code = (error as { code?: string }).code;
  const busy = code === "EADDRINUSE" || (error as Error).name === "AddrInUse";
  return new CodedError(
    busy ? "port_busy" : "port_unusable",
    `Cannot listen on ${hostname}:${port}: ${
      busy ? "the port is in use" : (error as Error).message
    }`,
    {
      hint: busy
        ? "stop the other program, or choose another port in the configuration"
        : "choose an address of this machine and a port that this user may open",
      cause: error,
    },
  );
}
