/** New meters, enrolled at their site. Their names are new each time, as their keys are. */
import { toHex } from "../../core/base/bytes.ts";
import { type Id, parseId } from "../../core/base/id.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { logOf } from "../../core/services/logging.ts";
import type { Enrolment } from "../../core/wire/enrolment.ts";
import { SimulatedMeter } from "./meter.ts";

export interface EnrolledFleet extends AsyncDisposable {
  readonly meters: readonly SimulatedMeter[];
}

/** @param options.enrol asks the site for a meter's code */
export async function enrolFleet(
  options: { count: number; enrol: (id: Id) => Promise<Enrolment> },
): Promise<EnrolledFleet> {
  const suite = nativeSuite();
  const log = logOf("simulate", "meter");
  const run = toHex(suite.randomBytes(3));
  const digits = String(options.count).length;
  await using stack = new AsyncDisposableStack();
  const meters: SimulatedMeter[] = [];
  for (let i = 1; i <= options.count; i++) {
    const id = parseId(`meter-${run}-${String(i).padStart(digits, "0")}`);
    const enrolment = await options.enrol(id);
    meters.push(stack.use(new SimulatedMeter({ suite, enrolment, id, clock: Date.now, log })));
  }
  const running = stack.move();
  return { meters, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
