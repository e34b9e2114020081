/** What roles demand of each other: the order in which they start, and root paths of their own. */
import type { AnyPlugin } from "../plugin.ts";
import type { Problem } from "./_problem.ts";

/**
 * Sorts by `after` among these roles only; ties keep their order. `stuck` holds the roles of a cycle
 * and those behind one: where it is not empty, `roleProblems` says so.
 */
export function startOrder(
  plugins: readonly AnyPlugin[],
): { order: AnyPlugin[]; stuck: AnyPlugin[] } {
  const stuck = [...plugins];
  const order: AnyPlugin[] = [];
  for (;;) {
    const ready = stuck.findIndex((plugin) => before(plugin, stuck).length === 0);
    if (ready < 0) return { order, stuck };
    order.push(...stuck.splice(ready, 1));
  }
}

/**
 * Cycles of `after`, and paths that two roles claim.
 * @param configs of the roles, by name; undefined while they are not valid
 */
export function roleProblems(
  plugins: readonly AnyPlugin[],
  configs: Readonly<Record<string, unknown>> | undefined,
): Problem[] {
  const claims = new Map(plugins.map((plugin) => [plugin, claimsOf(plugin, configs)]));
  return [...cycleProblems(plugins), ...claimProblems(claims)];
}

function claimsOf(
  { name, claims = [], claimsOf }: AnyPlugin,
  configs: Readonly<Record<string, unknown>> | undefined,
): readonly string[] {
  return configs === undefined ? claims : [...claims, ...claimsOf?.(configs[name]) ?? []];
}

function cycleProblems(plugins: readonly AnyPlugin[]): Problem[] {
  const { stuck } = startOrder(plugins);
  const trail: AnyPlugin[] = [];
  for (let next = stuck[0]; next !== undefined; next = before(next, stuck)[0]) {
    const seen = trail.indexOf(next);
    trail.push(next);
    if (seen < 0) continue;
    const names = trail.slice(seen).map((plugin) => `"${plugin.name}"`);
    const first = plugins.find((plugin) => trail.indexOf(plugin) >= seen)!;
    return [{
      path: ["plugins", first.name],
      message: `roles wait for each other to start: ${names.join(" after ")}`,
      hint: "remove one of these tables",
    }];
  }
  return [];
}

function claimProblems(claims: ReadonlyMap<AnyPlugin, readonly string[]>): Problem[] {
  const all = [...claims];
  return all.flatMap(([plugin, own], i) =>
    all.slice(0, i).flatMap(([earlier, others]): Problem[] => {
      const path = own.find((claim) => others.some((other) => overlaps(claim, other)));
      if (path === undefined) return [];
      return [{
        path: ["plugins", plugin.name],
        message: `roles "${earlier.name}" and "${plugin.name}" both claim the path "${path}"`,
        hint: "run one of them on another site",
      }];
    })
  );
}

/** The roles among `others` that the plugin starts after. */
function before(plugin: AnyPlugin, others: readonly AnyPlugin[]): AnyPlugin[] {
  return others.filter((other) => plugin.after?.includes(other.name));
}

/** Whether one path is the other or lies under it; `{x}` and `:x` stand for any one segment. */
function overlaps(a: string, b: string): boolean {
  const [left, right] = [segments(a), segments(b)];
  const shared = Math.min(left.length, right.length);
  return left.slice(0, shared).every((segment, i) =>
    segment === right[i] || /^[{:]/.test(segment) || /^[{:]/.test(right[i]!)
  );
}

function segments(path: string): string[] {
  return path.split("/").filter((segment) => segment !== "" && segment !== "*");
}
