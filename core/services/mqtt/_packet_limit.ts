/**
 * A limit on the size of MQTT packets, which neither aedes 1.x nor mqtt.js has: without it one peer
 * that announces 256 MiB makes the other side hold them. The meter only looks at fixed headers
 * (MQTT 3.1.1 §2.2), copies nothing, and takes its bytes in pieces of any size.
 */

/** Bytes of the largest packet that either side accepts: a Noise message of 64 KiB fits four times. */
export const defaultPacketLimit = 256 * 1024;

/**
 * Follows one direction of a connection. The function returns the announced size in bytes of the
 * first packet above the limit (Infinity when the length field is malformed), else undefined.
 * @param onPacket hears of each packet, by its first byte and its size, when its header is complete
 */
export function packetMeter(
  limit: number,
  onPacket?: (first: number, size: number) => void,
): (bytes: Uint8Array) => number | undefined {
  let first = 0;
  let header = 0; // bytes of the fixed header seen so far, 0 between packets
  let length = 0; // the remaining length as far as it is known
  let body = 0; // bytes of the body still to come

  return (bytes) => {
    let at = 0;
    while (at < bytes.length) {
      if (body > 0) {
        const step = Math.min(body, bytes.length - at);
        body -= step;
        at += step;
        continue;
      }
      const byte = bytes[at++]!;
      if (header === 0) {
        first = byte;
        header = 1;
        length = 0;
        continue;
      }
      length += (byte & 0x7f) * 128 ** (header - 1);
      header++;
      if (header + length > limit) return header + length;
      if ((byte & 0x80) === 0) {
        onPacket?.(first, header + length);
        body = length;
        header = 0;
      } else if (header === 5) {
        return Infinity;
      }
    }
    return undefined;
  };
}
