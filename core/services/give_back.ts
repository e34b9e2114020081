/**
 * Giving memory back before the garbage collector comes by. A stream of large buffers grows a process by
 * hundreds of megabytes while the collector, which sees small objects, has no reason to hurry.
 */

/** Frees the memory behind bytes that nobody uses any more: they are empty then. */
export function giveBack(bytes: Uint8Array): void {
  const { buffer } = bytes;
  // what is a part of something larger is not ours to free
  if (buffer instanceof ArrayBuffer && bytes.length === buffer.byteLength) buffer.transfer(0);
}
