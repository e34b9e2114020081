/** A process that holds the lock of the database at the URL that is its argument until its standard input ends. */
import { createClient } from "@libsql/client";

const client = createClient({ url: Deno.args[0]! });
const transaction = await client.transaction("write");
await Deno.stdout.write(new TextEncoder().encode("locked\n"));
await new Response(Deno.stdin.readable).bytes();
transaction.close();
client.close();
