/** What people ask of the cloud without knowing this role: the figures in short, and what is missing. */
import { parseId } from "../../core/base/id.ts";
import { awayText, instantText } from "../../core/base/when.ts";
import type { Host } from "../../core/host/plugin.ts";
import type { Fact, Row } from "../../core/services/desk.ts";
import { kilowatts, volts } from "./routes.ts";
import type { Finding, SummaryStore, Window } from "./store.ts";

/** Fogs of which something is said. */
const fogPage = 1_000;
/** Findings that are counted, and windows among which each fog's last one is looked for. */
const findingPage = 1_000;
const windowPage = 500;

type Fog = Extract<Finding, { kind: "fog" }>;
/** What is wrong: everything but how a fog stands. */
type Flaw = Exclude<Finding, Fog>;

export function offerSummary(
  { clock, desk }: Pick<Host, "clock" | "desk">,
  store: Pick<SummaryStore, "findings" | "latest" | "totals">,
): void {
  desk.offerView({
    name: "summary",
    summary: "What all fogs have measured and what is missing; of one fog with its name",
    needs: "viewer",
    async show(args) {
      const fog = args.trim() === "" ? undefined : parseId(args.trim());
      const only = fog === undefined ? {} : { fog };
      const [fogs, totals, latest] = [
        await fogsOf(only),
        await store.totals(),
        await lastWindows(),
      ];
      const { found, next } = await store.findings({
        ...only,
        ...{ from: { part: "summaries" }, limit: findingPage },
      });
      const flaws = found.filter((one): one is Flaw => one.kind !== "fog");
      if (fog !== undefined && fogs.length === 0 && flaws.length === 0) {
        return { title: `The fog ${fog}`, facts: [["found", "nothing was heard of it"]] };
      }
      const now = clock();
      return {
        title: fog === undefined ? "All fogs" : `The fog ${fog}`,
        facts: [
          ...(fog === undefined
            ? [
              ["windows", String(totals.windows)],
              ["average", averages(totals)],
            ] satisfies Fact[]
            : []),
          ["missing", flawsText(flaws, { isAll: next === null })],
        ],
        rows: fogs.map((one) => rowOf(one, { window: latest.get(one.fog_id), flaws, now })),
      };
    },
  });

  desk.offerRemarks({
    kind: "fog",
    async all() {
      const now = clock();
      const fogs = await fogsOf({});
      return new Map(fogs.map(({ fog_id, received }) => [
        fog_id,
        [["summary", `the last one came ${awayText(received, now)}`]],
      ]));
    },
  });

  async function fogsOf(only: { fog?: Fog["fog_id"] }): Promise<Fog[]> {
    const { found } = await store.findings({ ...only, from: { part: "fogs" }, limit: fogPage });
    return found.filter((one): one is Fog => one.kind === "fog");
  }

  /** Of each fog that is among the newest. */
  async function lastWindows(): Promise<Map<string, Window>> {
    const windows = await store.latest(windowPage);
    return new Map(windows.reverse().map((window) => [window.fog_id, window]));
  }
}

function rowOf(
  { fog_id, head, received }: Fog,
  { window, flaws, now }: { window: Window | undefined; flaws: readonly Flaw[]; now: number },
): Row {
  const own = flaws.filter((one) => "fog_id" in one && one.fog_id === fog_id);
  return {
    title: fog_id,
    facts: [
      ...(window === undefined ? [] : windowFacts(window, now)),
      ["heard", `${awayText(received, now)}: number ${head.seq} of epoch ${head.epoch}`],
      ...(own.length === 0 ? [] : [["missing", flawsText(own, { isAll: true })] as const]),
    ],
  };
}

function windowFacts(window: Window, now: number): Fact[] {
  const { end, num_meters, n } = window;
  return [
    ["last window", `ended ${instantText(new Date(end).toISOString(), now)}`],
    ["meters", `${num_meters}, ${n} readings`],
    ["average", averages(window)],
  ];
}

function averages({ n, sum_power_W, sum_voltage_mV }: Pick<
  Window,
  "n" | "sum_power_W" | "sum_voltage_mV"
>): string {
  return n === 0 ? "none" : `${kilowatts(sum_power_W, n)} kW, ${volts(sum_voltage_mV, n)} V`;
}

const flawNames = {
  summaries: ["gap in the summaries", "gaps in the summaries"],
  reading: ["gap in the readings", "gaps in the readings"],
  twice: ["range counted twice", "ranges counted twice"],
  undecided: ["window to be decided", "windows to be decided"],
  conflict: ["contradiction", "contradictions"],
} as const satisfies Record<Flaw["kind"], readonly [one: string, many: string]>;

/** @param options.isAll whether there are no others */
function flawsText(flaws: readonly Flaw[], { isAll }: { isAll: boolean }): string {
  const counts = new Map<Flaw["kind"], number>();
  for (const { kind } of flaws) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const parts = Array.from(counts, ([kind, n]) => `${n} ${flawNames[kind][n === 1 ? 0 : 1]}`);
  if (isAll) return parts.length === 0 ? "nothing" : parts.join(", ");
  const rest = "not all was looked at: GET /cloud-summary/completeness";
  return parts.length === 0 ? `nothing so far; ${rest}` : `${parts.join(", ")} or more; ${rest}`;
}
