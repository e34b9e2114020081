/** The meters of the demo, enrolled at its fog. Their names are new each time, as their keys are. */
import { toHex } from "../../core/base/bytes.ts";
import { parseId } from "../../core/base/id.ts";
import type { Site } from "../../core/host/site.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { logOf } from "../../core/services/logging.ts";
import { SimulatedMeter } from "../simulate/meter.ts";

export interface DemoMeters extends AsyncDisposable {
  readonly meters: readonly SimulatedMeter[];
}

export async function enrolMeters(fog: Site, count: number): Promise<DemoMeters> {
  const suite = nativeSuite();
  const log = logOf("demo", "meter");
  const run = toHex(suite.randomBytes(2));
  await using stack = new AsyncDisposableStack();
  const meters: SimulatedMeter[] = [];
  for (let i = 1; i <= count; i++) {
    const id = parseId(`meter-${run}-${String(i).padStart(2, "0")}`);
    const enrolment = await fog.enrol("meter", id, { ttl: 3_600_000 });
    meters.push(stack.use(new SimulatedMeter({ suite, enrolment, id, clock: Date.now, log })));
  }
  const running = stack.move();
  return { meters, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
