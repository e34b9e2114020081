/** The way into XS itself: it is bare, it ends in time, and what goes wrong inside is told outside. */
import assert from "node:assert/strict";
import { bundle } from "./_bundle.ts";
import { missing } from "./_home.ts";
import { Machine } from "./_machine.ts";

const inXS = (name: string, fn: () => Promise<void>) => Deno.test({ name, ignore: missing, fn });
const answering = (expression: string) => `
  globalThis.handleCommand = (request) => {
    const text = new TextDecoder().decode(request);
    return new TextEncoder().encode(${expression}).buffer;
  };`;
const milliseconds = 30_000;

inXS("Machine answers one request after another, whatever their length", async () => {
  await using machine = await Machine.start(answering("text + text.length"));
  for (const text of ["", "a", "ä".repeat(200_000), "b"]) {
    assert.equal(await machine.request(text, { milliseconds }), text + text.length);
  }
});

inXS("Machine tells what XS threw, and goes on", async () => {
  await using machine = await Machine.start(answering("text.length > 1 ? null.x : text"));
  await assert.rejects(machine.request("ab", { milliseconds }), /XS threw: TypeError/);
  assert.equal(await machine.request("a", { milliseconds }), "a");
  await assert.rejects(Machine.start("throw new Error('at once')"), /XS threw: Error: at once/);
});

inXS("Machine ends XS that does not answer, and tells when XS ended by itself", async () => {
  await using machine = await Machine.start(answering("(() => { for (;;); })()"));
  await assert.rejects(machine.request("", { milliseconds: 100 }), /no answer in 100 ms/);
  const endless = "globalThis.f = (n) => n === 0 ? 0 : 1 + f(n - 1)";
  await using deep = await Machine.start(endless + answering("String(f(1e6))"));
  await assert.rejects(deep.request("", { milliseconds }), /it ended \(12\)/); // out of stack
});

inXS("bundle() refuses a module that needs a runtime, and one that is not there", async () => {
  await assert.rejects(bundle('import "node:crypto";'), /Could not resolve "node:crypto"/);
  await assert.rejects(bundle('import "./core/base/none.ts";'), /Could not resolve/);
  await assert.rejects(bundle('import { none } from "./core/base/id.ts"; none();'), /No matching/);
});

inXS("XS is bare: no clock, no chance, no console, no timers, no runtime", async () => {
  const names = ["performance", "console", "setTimeout", "setImmediate", "crypto", "URL", "print"];
  const script = await bundle(`
    import "./tests/firmware/_engine.ts";
    const found = ${JSON.stringify(names)}.filter((name) => name in globalThis);
    for (const draw of [Math.random, Date.now]) {
      try { found.push(String(draw())); } catch { /* as it should be */ }
    }
    ${answering('found.join(" ")')}`);
  await using machine = await Machine.start(script);
  assert.equal(await machine.request("", { milliseconds }), "");
});
