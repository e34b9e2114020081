/**
 * How many connections there are, in all and by address, so that one machine cannot take the places
 * of all the others. An IPv6 network of 64 bits counts as one machine, because any machine in it may
 * use all its addresses. This machine is not counted by address: simulators and reverse proxies are.
 */

export interface PlaceLimits {
  readonly total: number;
  readonly perAddress: number;
  /** Places beyond the total for this machine, so that the site's own client always finds one. */
  readonly reserved: number;
}

export class Places {
  readonly #limits: PlaceLimits;
  readonly #byHolder = new Map<string, number>();
  #total = 0;

  constructor(limits: PlaceLimits) {
    this.#limits = limits;
  }

  /** Takes a place: what gives it back, or which limit is in the way. */
  take(address: string): (() => void) | "address" | "full" {
    const { total, perAddress, reserved } = this.#limits;
    const holder = holderOf(address);
    const isLocal = holder === "local";
    if (this.#total >= (isLocal ? total + reserved : total)) return "full";
    const before = this.#byHolder.get(holder) ?? 0;
    if (!isLocal && before >= perAddress) return "address";
    this.#total++;
    this.#byHolder.set(holder, before + 1);
    return () => {
      this.#total--;
      const left = this.#byHolder.get(holder)! - 1;
      if (left === 0) this.#byHolder.delete(holder);
      else this.#byHolder.set(holder, left);
    };
  }
}

/** Who an address stands for, or what HTTP takes for a client: an address, or a network of 64 bits. */
export function holderOf(address: string): string {
  const v4 = /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (v4 !== undefined) return v4.startsWith("127.") ? "local" : v4;
  if (address === "::1" || address === "0:0:0:0::/64") return "local";
  return address.includes(":") ? network(address) : address;
}

/** The first 64 bits of an IPv6 address, written out. */
function network(address: string): string {
  const [head = "", tail] = address.split("%")[0]!.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? [] : Array<string>(8 - before.length - after.length).fill("0");
  const groups = [...before, ...zeros, ...after].slice(0, 4);
  return groups.map((group) => parseInt(group, 16).toString(16)).join(":");
}
