/**
 * A process that rotates the sealing key of the site in the folder named by its argument, again and
 * again, and adds sealed values meanwhile. It prints the id of each that is stored.
 */
import { openSealedSite } from "./_sealed_site.ts";

const site = await openSealedSite(Deno.args[0]!);
const encoder = new TextEncoder();
const say = (text: string) => void Deno.stdout.writeSync(encoder.encode(`${text}\n`));

async function rotate(): Promise<never> {
  for (;;) await site.rotate();
}

async function add(): Promise<never> {
  for (;;) {
    const id = crypto.randomUUID();
    await site.add(id);
    say(id);
  }
}

await Promise.all([rotate(), add(), add()]);
