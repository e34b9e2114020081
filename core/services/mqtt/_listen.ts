/** Opens the TCP listener of the embedded broker and says in words why it cannot. */
import type { Server } from "node:net";
import { MqttError } from "./_errors.ts";

/** Resolves with the real port. @throws MqttError "port_busy", "listen_failed" */
export function listenOn(
  server: Server,
  { hostname, port }: { hostname: string; port: number },
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: Error & { code?: string }) => {
      const where = `Cannot listen on ${hostname}:${port}`;
      reject(
        error.code === "EADDRINUSE"
          ? new MqttError("port_busy", `${where}: the port is in use`, {
            hint: "stop the other broker, or set listen under [mqtt] to another port",
          })
          : new MqttError("listen_failed", `${where}: ${error.message}`, { cause: error }),
      );
    });
    server.listen({ host: hostname, port }, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}
