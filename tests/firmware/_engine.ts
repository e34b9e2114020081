/**
 * What the firmware gives the PURE floors, inside XS, and nothing else. The SDK's own text codecs are
 * there already (modules/data/text: the worker holds the same C); what only the worker offers, and
 * what would be another source of randomness or time than the one that is handed in, is taken away.
 * This module is imported first: whoever looks for more finds nothing.
 */

const host = globalThis as unknown as Record<string, unknown>;
const extras = ["setImmediate", "gc", "print", "issueCommand", "performance", "Base64", "harden"];
extras.push("currentMeterLimit", "resetMeter", "Compartment", "ModuleSource", "trace", "global");
for (const name of extras) delete host[name];

Math.random = refuse;
Date.now = refuse;

function refuse(): never {
  throw new Error("Cannot draw or tell the time: PURE code takes both as arguments");
}
