/** New meters, and how they come to their site. Their names are new each time, as their keys are. */
import { toHex } from "../../core/base/bytes.ts";
import { type Id, parseId } from "../../core/base/id.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { logOf } from "../../core/services/logging.ts";
import type { Remote } from "../../core/services/sessions/mod.ts";
import { SimulatedMeter } from "./meter.ts";
import { type Mischief, wellBehaved } from "./misbehaviour.ts";

export interface EnrolledFleet extends AsyncDisposable {
  readonly meters: readonly SimulatedMeter[];
}

export async function enrolFleet(options: {
  readonly count: number;
  /** Asks the site for a meter's code, or tells what a meter knows that comes without one. */
  readonly enrol: (id: Id) => Promise<Remote>;
  /** Hears what a meter shows while it waits for approval, and null when it is let in. */
  readonly onApproval?: (id: Id, words: string | null) => void;
  /** How each meter misbehaves, by its number from 0: not at all unless said. */
  readonly mischief?: (meter: number) => Mischief;
}): Promise<EnrolledFleet> {
  const suite = nativeSuite();
  const log = logOf("simulate", "meter");
  const run = toHex(suite.randomBytes(3));
  const digits = String(options.count).length;
  await using stack = new AsyncDisposableStack();
  const meters: SimulatedMeter[] = [];
  for (let i = 1; i <= options.count; i++) {
    const id = parseId(`meter-${run}-${String(i).padStart(digits, "0")}`);
    const enrolment = await options.enrol(id);
    const onApproval = (words: string | null) => options.onApproval?.(id, words);
    const mischief = options.mischief?.(i - 1) ?? wellBehaved;
    const meter = { suite, enrolment, id, clock: Date.now, log, onApproval, mischief };
    meters.push(stack.use(new SimulatedMeter(meter)));
  }
  const running = stack.move();
  return { meters, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
