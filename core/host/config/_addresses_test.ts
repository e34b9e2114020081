/** Tests of the addresses that a configuration may hold. */
import assert from "node:assert/strict";
import { listenAddress, mqttUrl } from "./_addresses.ts";

Deno.test("listenAddress() reads host and port", () => {
  const addresses = {
    "127.0.0.1:8080": { hostname: "127.0.0.1", port: 8080 },
    "[::1]:0": { hostname: "::1", port: 0 },
    "[::]:65535": { hostname: "::", port: 65535 },
    "localhost:80": { hostname: "localhost", port: 80 },
    "fog-1.example:443": { hostname: "fog-1.example", port: 443 },
  };
  for (const [text, address] of Object.entries(addresses)) {
    assert.deepEqual(listenAddress().parse(text), address);
  }
});

Deno.test("listenAddress() refuses anything else", () => {
  const texts = [
    "",
    "8080",
    ":8080",
    "localhost",
    "localhost:",
    "::1:80",
    "[::1]",
    "[x]:80",
    "[]:80",
  ];
  for (const text of [...texts, "1.2.3.400:80", "a:65536", "a b:80", "http://a:80", "a..b:80"]) {
    assert.equal(listenAddress().safeParse(text).success, false, text);
  }
});

Deno.test("mqttUrl() reads the word embedded and the URLs of brokers", () => {
  for (
    const url of ["embedded", "mqtt://b", "mqtts://b:8883", "ws://b/mqtt", "wss://[::1]:9/mqtt"]
  ) {
    assert.equal(mqttUrl().parse(url), url);
  }
  for (const url of ["", "embeded", "http://b", "mqtt:", "mqtt://", "b:1883"]) {
    assert.equal(mqttUrl().safeParse(url).success, false, url);
  }
});

Deno.test("mqttUrl() refuses credentials in a URL without repeating them", () => {
  const { issues } = mqttUrl().safeParse("mqtt://ann:hunter2@b").error!;
  assert.match(issues[0]!.message, /without user name and password/);
  assert.doesNotMatch(JSON.stringify(issues), /hunter2/);
});
