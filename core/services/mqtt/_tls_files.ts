/**
 * The files for TLS with a broker elsewhere. They are read for every connection, so that renewed
 * certificates need no restart, and once at the start, so that a wrong path is found then.
 */
import { readFileSync } from "node:fs";
import { messageOf } from "../../base/errors.ts";
import type { BrokerUrl } from "./_broker_url.ts";
import { MqttError } from "./_errors.ts";

/** Paths of PEM files. */
export interface TlsFiles {
  /** A private CA, trusted besides those of the system. */
  caFile?: string;
  /** Our own certificate and its key, where the broker asks for one. */
  certFile?: string;
  keyFile?: string;
}

export interface TlsMaterial {
  ca?: string;
  cert?: string;
  key?: string;
}

/** @throws MqttError "mqtt_tls" */
export function readTlsFiles({ caFile, certFile, keyFile }: TlsFiles): TlsMaterial {
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new MqttError(
      "mqtt_tls",
      "Cannot use a client certificate without its key, or a key alone",
      {
        hint: "set both cert_file and key_file under [mqtt]",
      },
    );
  }
  return {
    ...(caFile !== undefined && { ca: pem(caFile, "CERTIFICATE") }),
    ...(certFile !== undefined && { cert: pem(certFile, "CERTIFICATE") }),
    ...(keyFile !== undefined && { key: pem(keyFile, "PRIVATE KEY") }),
  };
}

/** Checks the files and that the address has a use for them. @throws MqttError "mqtt_tls" */
export function checkTlsFiles(files: TlsFiles | undefined, { protocol }: BrokerUrl): void {
  if (files === undefined || Object.values(files).every((file) => file === undefined)) return;
  if (protocol !== "mqtts" && protocol !== "wss") {
    throw new MqttError("mqtt_tls", `Cannot use TLS files with ${protocol}://`, {
      hint: "reach the broker over mqtts:// or wss://, or remove the files from [mqtt]",
    });
  }
  readTlsFiles(files);
}

function pem(file: string, kind: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new MqttError("mqtt_tls", `Cannot read a file for TLS: ${messageOf(error)}`, {
      hint: "the file must exist and be readable by the user running edgeward",
    });
  }
  if (!new RegExp(`-----BEGIN [A-Z ]*${kind}-----`).test(text)) {
    throw new MqttError(
      "mqtt_tls",
      `Cannot use ${file} for TLS: it holds no ${kind.toLowerCase()}`,
      {
        hint: "the file must be in PEM form",
      },
    );
  }
  return text;
}
