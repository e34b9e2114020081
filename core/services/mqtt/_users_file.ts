/**
 * The file of users for clients of the embedded broker that are neither the site nor its peers: an
 * operator's tool, a dashboard. One user a line, words apart by blanks:
 *
 *     # name     hash                                   topics
 *     dashboard  $scrypt$ln=15,r=8,p=1$SALT$HASH        read=edgeward/# read=sensors/+/power
 *     nodered    $scrypt$ln=15,r=8,p=1$SALT$HASH        read=# write=commands/#
 *
 * `hashPassword()` makes the hash. `read=` names a topic filter that the user may subscribe to, or to
 * any part of; `write=` one that it may publish to. A user without topics may log in and no more. A
 * line that begins with `#` is a comment.
 */
import { messageOf } from "../../base/errors.ts";
import { MqttError } from "./_errors.ts";
import { parseHash, type PasswordHash } from "./_password.ts";
import { isFilter } from "./_topic.ts";

export interface User {
  readonly name: string;
  readonly hash: PasswordHash;
  /** Filters that cover what it may subscribe to. */
  readonly read: readonly string[];
  /** Filters that match what it may publish to. */
  readonly write: readonly string[];
  /** Its line, which changes when anything about it does. */
  readonly line: string;
}

export type Users = ReadonlyMap<string, User>;

const maxFile = 1024 * 1024;

/** Reads the whole file. @throws MqttError "mqtt_users", which says the line */
export async function readUsers(file: string): Promise<Users> {
  let text: string;
  try {
    const { size } = await Deno.stat(file);
    if (size > maxFile) throw new Error("it is larger than 1 MiB");
    text = await Deno.readTextFile(file);
  } catch (error) {
    throw new MqttError("mqtt_users", `Cannot read the users file ${file}: ${messageOf(error)}`, {
      hint: "the file must exist and be readable by the user running edgeward",
    });
  }
  return parseUsers(text, file);
}

/** @param file what errors call it @throws MqttError "mqtt_users" */
export function parseUsers(text: string, file: string): Users {
  const users = new Map<string, User>();
  for (const [i, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const refuse = (why: string, hint?: string) => {
      const where = `${file}:${i + 1}`;
      return new MqttError("mqtt_users", `${where}: ${why}`, hint === undefined ? {} : { hint });
    };
    const [name = "", hashText = "", ...topics] = line.split(/\s+/);
    if (!/^[A-Za-z0-9_.@-]{1,64}$/.test(name)) {
      throw refuse(
        "the line does not begin with a user name",
        "a name has 1 to 64 letters, digits and any of _ . @ -",
      );
    }
    if (users.has(name)) throw refuse(`the user "${name}" is there twice`);
    const hash = parseHash(hashText);
    if (hash === undefined) {
      throw refuse(
        `the password hash of "${name}" is none`,
        "a hash looks like $scrypt$ln=15,r=8,p=1$SALT$HASH and asks for 64 MiB at most",
      );
    }
    const user = { name, hash, line, read: [] as string[], write: [] as string[] };
    for (const topic of topics) {
      const [, right, filter = ""] = /^(read|write)=(.+)$/.exec(topic) ?? [];
      if (right === undefined) {
        throw refuse(`expected read=FILTER or write=FILTER after the hash of "${name}"`);
      }
      if (!isFilter(filter) || filter.startsWith("$")) {
        throw refuse(
          `"${filter}" is not a topic filter that "${name}" can have`,
          "+ stands for one whole level, # for the rest; topics that begin with $ are the broker's",
        );
      }
      user[right as "read" | "write"].push(filter);
    }
    users.set(name, user);
  }
  return users;
}
