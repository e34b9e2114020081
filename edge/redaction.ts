/**
 * What may be written about a value: plain data without secrets, of a bounded size. A secret is known
 * by the name of its field or by its form, wherever it is: deep inside, in a message, in a piece of
 * JSON. It is the last net, for what somebody passed by mistake; nothing should ever be caught in it.
 */

type Plain = string | number | boolean | null | readonly Plain[] | {
  readonly [name: string]: Plain;
};

/** The most of everything: characters of a text, of all texts, levels, entries of one level, in all. */
const limits = { text: 2_000, texts: 16_000, depth: 6, width: 50, entries: 300 };
const hidden = "[redacted]";

/** Gives the value without secrets. @param name of the field that it is the value of */
export function redacted(value: unknown, name = ""): Plain {
  return new Redaction().of(value, name);
}

/** Gives the text without what has the form of a secret. */
export function redactedText(text: string): string {
  const rest = text.length - limits.text;
  let safe = text.slice(0, 2 * limits.text);
  for (const [form, replacement] of forms) safe = safe.replace(form, replacement);
  safe = safe.replace(
    quotedField,
    (all, name, sign, quote, value, end) =>
      isSecret(name, value) ? `${name}${sign}${quote}${hidden}${end}` : all,
  );
  safe = safe.replace(
    field,
    (all, name, value) => isSecret(name, value) ? `${name}=${hidden}` : all,
  );
  return rest > 0 ? `${safe.slice(0, limits.text)}… (${rest} more characters)` : safe;
}

const forms: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[^]*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g, hidden],
  // API tokens; who they belong to is no secret
  [/\b(edgeward_[\w-]{8}_)[\w-]{4,}/g, `$1${hidden}`],
  // JSON Web Tokens, and bot tokens of Telegram
  [/\beyJ[\w-]{8,}(\.[\w-]*){1,4}/g, hidden],
  [/\d{6,12}:[\w-]{30,}/g, hidden],
  [/\b(Bearer)\s+[\w.~+/-]{8,}=*/gi, `$1 ${hidden}`],
  [/\b(Basic)\s+(?=[a-z]*[A-Z0-9+/=])[A-Za-z0-9+/]{6,}=*/g, `$1 ${hidden}`],
  // user name and password in a URL
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#"'<>]+@/gi, `$1${hidden}@`],
  // the keys in a text of identity.key
  [/("(?:noise|sign|seal|key)\\?"\s*:\s*\\?")[\w-]{43}/g, `$1${hidden}`],
];

/** `"name": "value"`, also inside a string of JSON and as a runtime prints objects, cut off or not. */
const quotedField = /(?<![\w-])([\w-]{1,64})(\\*["']?\s*[:=]\s*)(\\*["'])([^]*?)(\3|$)/g;
/** `name=value`, as in a query or on a command line. */
const field = /(?<![\w-])([\w-]{1,64})=([^\s"'&,;[\]]+)/g;

const secretNames = new RegExp(
  [
    ...["pass(word|wd|phrase|code)", "secret", "token", "psk", "key$", "private", "credential"],
    ...["authorization", "cookie", "^code$", "^se(al|ed)$", "^pin$", "^otp$"],
  ].join("|"),
  "i",
);

function isSecret(name: string, value: unknown): boolean {
  if (!secretNames.test(name) || /_(file|dir)$/.test(name)) return false;
  if (typeof value !== "string") return typeof value === "object" && value !== null;
  // a key that does a lock any good is long, and only the codes of errors are words
  if (/key$/i.test(name)) return value.length >= 16;
  return !/^code$/i.test(name) || !/^([a-z]+(_[a-z]+)*|\d{1,3})$/.test(value);
}

/** One pass over one value: it counts what it has taken. */
class Redaction {
  readonly #above = new Set<object>();
  #texts = 0;
  #entries = 0;

  of(value: unknown, name: string): Plain {
    if (isSecret(name, value)) return hidden;
    switch (typeof value) {
      case "string":
        return this.#text(value);
      case "number":
        return Number.isFinite(value) ? value : String(value);
      case "boolean":
        return value;
      case "bigint":
        return this.#text(String(value));
      case "object":
        return value === null ? null : this.#guarded(value);
      default:
        return value === undefined ? null : `[${typeof value}]`;
    }
  }

  #text(text: string): string {
    if (this.#texts > limits.texts) return "[cut off]";
    const safe = redactedText(text);
    this.#texts += safe.length;
    return safe;
  }

  /** Whatever an object does when it is looked at, it does not stop the log. */
  #guarded(value: object): Plain {
    if (this.#above.has(value)) return "[circular]";
    if (this.#above.size >= limits.depth) return "[too deep]";
    this.#above.add(value);
    try {
      return this.#object(value);
    } catch {
      return "[unreadable]";
    } finally {
      this.#above.delete(value);
    }
  }

  #object(value: object): Plain {
    // a stack and a cause say more, and quote more: bound values, files
    if (value instanceof Error) return this.#text(`${value.name}: ${value.message}`);
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
      return `[${value.byteLength} bytes]`;
    }
    const { toJSON } = value as { toJSON?: unknown };
    if (typeof toJSON === "function") return this.of(toJSON.call(value), "");
    if (Array.isArray(value)) return this.#list(value);
    if (value instanceof Set) return this.#list([...value]);
    if (value instanceof Map) {
      return this.#table([...value].map(([name, inner]) => [String(name), () => inner]));
    }
    return this.#table(
      Object.keys(value).map((name) => [name, () => Reflect.get(value, name)]),
    );
  }

  #list(values: readonly unknown[]): Plain {
    const list = this.#taken(values).map((value) => this.of(value, ""));
    const rest = values.length - list.length;
    return rest > 0 ? [...list, `[${rest} more]`] : list;
  }

  #table(entries: readonly (readonly [string, () => unknown])[]): Plain {
    const table = this.#taken(entries).map(([name, read]): [string, Plain] => {
      try {
        return [redactedText(name), this.of(read(), name)];
      } catch {
        return [redactedText(name), "[unreadable]"];
      }
    });
    const rest = entries.length - table.length;
    if (rest > 0) table.push(["…", `[${rest} more]`]);
    return Object.fromEntries(table);
  }

  #taken<T>(values: readonly T[]): readonly T[] {
    const room = Math.max(0, Math.min(limits.width, limits.entries - this.#entries));
    this.#entries += Math.min(room, values.length);
    return values.slice(0, room);
  }
}
