/** Tests of the listener over TLS: certificates, their renewal, client certificates, handshakes. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { readFileSync } from "node:fs";
import { type CertificateFiles, certificates } from "./_certificates.ts";
import { head, say } from "./_raw_client.ts";
import { hasty, silent, testSite } from "./_test_site.ts";
import { openHttp } from "./mod.ts";

const get = `${head("GET /role/x", "Connection: close")}\r\n`;

function shown({ certFile, keyFile }: CertificateFiles) {
  return { cert: readFileSync(certFile), key: readFileSync(keyFile) };
}

async function handshake(port: number): Promise<TLSSocket> {
  // a session of an earlier test must not stand in for a handshake
  const socket = connectTls({
    port,
    host: "127.0.0.1",
    rejectUnauthorized: false,
    maxVersion: "TLSv1.2",
  });
  await once(socket, "secureConnect");
  return socket;
}

/** The name in the certificate that the site shows. */
async function nameOf(port: number): Promise<string | undefined> {
  const socket = await handshake(port);
  const { subject } = socket.getPeerCertificate();
  const closed = once(socket, "close");
  socket.destroy();
  await closed;
  return subject.CN as string;
}

Deno.test("openHttp() speaks HTTPS with a certificate, and refuses as it does without", async () => {
  await using dir = await certificates();
  const tls = await dir.make("a");
  await using site = await testSite({ tls, limits: hasty });
  assert.equal(site.http.secure, true);
  const ca = await Deno.readTextFile(tls.certFile);
  using client = Deno.createHttpClient({ caCerts: [ca], poolMaxIdlePerHost: 0 });
  const url = `https://localhost:${site.port}/role/x`;
  assert.equal(await (await fetch(url, { client })).text(), "/role/x");
  const body = new Uint8Array(100_000);
  assert.equal(await (await fetch(url, { client, method: "POST", body })).text(), "100000 bytes");

  const over = { ...site, tls: {} };
  assert.equal((await say(["GET /ro"], over)).code, "head_timeout");
  assert.equal((await say(["nonsense\r\n\r\n"], over)).code, "malformed");
  assert.equal((await say([head("GET /", `X: ${"x".repeat(20_000)}`)], over)).status, 431);
  const post = `${head("POST /role/x", "Content-Length: 100")}\r\n`;
  assert.equal((await say([post, "x"], over)).code, "body_timeout");
  assert.equal((await say([get], over)).status, 200);
});

Deno.test("openHttp() cuts a handshake that does not come to its end", async () => {
  await using dir = await certificates();
  await using site = await testSite({ tls: await dir.make("a"), limits: hasty });
  assert.equal((await say([], site)).text, "");
  assert.equal((await say(["\x16\x03\x01\x00\xa5\x01"], site)).text, "");
  assert.doesNotMatch((await say([get], site)).text, /HTTP/);
  assert.equal((await say([get], { ...site, tls: {} })).status, 200);
});

Deno.test("openHttp() knows nothing older than TLS 1.2", async () => {
  await using dir = await certificates();
  await using site = await testSite({ tls: await dir.make("a") });
  const versions = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1" } as const;
  assert.equal((await say([get], { ...site, tls: versions })).text, "");
  assert.equal((await say([get], { ...site, tls: { maxVersion: "TLSv1.2" } })).status, 200);
});

Deno.test("HttpService.reload() takes the new certificate and keeps connections", async () => {
  await using dir = await certificates();
  const [used, next] = [await dir.make("first"), await dir.make("second")];
  await using site = await testSite({ tls: used });
  assert.equal(await nameOf(site.port), "first");
  const kept = await handshake(site.port);
  await dir.copy(next, used);
  site.http.reload();
  assert.equal(await nameOf(site.port), "second");
  let text = "";
  kept.on("data", (data) => text += data.toString());
  kept.write(get);
  await once(kept, "close");
  assert.match(text, /\/role\/x$/);
});

Deno.test("HttpService.reload() keeps the old certificate when the new one is of no use", async () => {
  await using dir = await certificates();
  const [used, other] = [await dir.make("good"), await dir.make("other")];
  await using site = await testSite({ tls: used });
  const refused = (message: RegExp) => {
    assert.throws(() => site.http.reload(), { code: "tls_unusable", message });
  };
  await Deno.copyFile(other.keyFile, used.keyFile);
  refused(/is not the one of the certificate/);
  await Deno.writeTextFile(used.keyFile, "-----BEGIN PRIVATE KEY-----\nhunter2\n");
  refused(/^Cannot use TLS: "[^"]*good\.key" holds no private key$/);
  await Deno.writeTextFile(used.certFile, "hunter2");
  refused(/good\.crt" holds no certificate$/);
  await Deno.remove(used.certFile);
  refused(/^Cannot use TLS: cannot read the certificate: /);
  assert.equal(await nameOf(site.port), "good");
});

Deno.test("openHttp() does not begin to listen without a certificate that it can use", async () => {
  const tls = { certFile: "/nonexistent.crt", keyFile: "/nonexistent.key" };
  await using http = openHttp({ listen: { hostname: "127.0.0.1", port: 0 }, log: silent, tls });
  await assert.rejects(() => http.listen(), { code: "tls_unusable" });
});

Deno.test("openHttp() lets in only clients that the authority knows", async () => {
  await using dir = await certificates();
  const [own, authority, other] = [
    await dir.make("site"),
    await dir.makeAuthority("authority"),
    await dir.makeAuthority("other"),
  ];
  const [member, stranger] = [await dir.make("m", authority), await dir.make("s", other)];
  await using open = await testSite({ tls: own });
  await using site = await testSite({ tls: { ...own, clientCaFile: authority.certFile } });
  const asked = (tls: Record<string, unknown>) => say([get], { ...site, tls });
  for (const maxVersion of ["TLSv1.2", "TLSv1.3"]) {
    assert.equal((await asked({ maxVersion })).text, "");
    assert.equal((await asked({ maxVersion, ...shown(stranger) })).text, "");
    assert.equal((await asked({ maxVersion, ...shown(member) })).status, 200);
  }
  // a session that began at a site that asks for no certificate opens nothing here
  assert.equal((await say([get], { ...open, tls: {} })).status, 200);
  assert.equal((await asked({})).text, "");
  site.http.reload();
  assert.equal((await asked({})).text, "");
  assert.equal((await asked(shown(member))).status, 200);
});

Deno.test("openHttp() counts and closes connections over TLS as others", async () => {
  await using dir = await certificates();
  await using site = await testSite({ tls: await dir.make("a"), limits: { maxConnections: 1 } });
  const first = await handshake(site.port);
  assert.equal((await say([get], { ...site, tls: {} })).text, "");
  const closed = once(first, "close");
  first.destroy();
  await closed;
  while ((await say([get], { ...site, tls: {} })).status !== 200);
  const idle: Socket = connect({ port: site.port, host: "127.0.0.1" });
  const ended = once(idle, "close");
  await once(idle, "connect");
  await site.http[Symbol.asyncDispose]();
  await ended;
});
