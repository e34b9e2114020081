/** What a gateway takes from one that deals: repetitions, replays, forgeries and floods. */
import assert from "node:assert/strict";
import { sql } from "drizzle-orm";
import { equalBytes } from "../../core/base/bytes.ts";
import { parseId } from "../../core/base/id.ts";
import type { Peer } from "../../core/services/peers/mod.ts";
import { encodeCbor } from "../../core/trust/cbor.ts";
import type { Signer } from "../../core/trust/crypto.ts";
import { deal } from "../../core/trust/share/dealing.ts";
import {
  encodeRoster,
  encodeSignedRoster,
  type Member,
  type Roster,
  signRoster,
} from "../../core/trust/share/roster.ts";
import {
  type CeremonyCall,
  decodeHello,
  decodeSigned,
  encodeCeremonyCall,
} from "../../core/wire/ceremony.ts";
import { ceremonyHandler } from "./ceremony_calls.ts";
import { dealerOf } from "./founding.ts";
import { type TestGateway, withGateways } from "./_test_gateway.ts";

/** A gateway without a site, and what it makes of a deal among itself and a real one. */
class Stranger {
  readonly #to: TestGateway;
  readonly #signer: Signer;
  readonly #noiseKey: Uint8Array;
  readonly #handler: ReturnType<typeof ceremonyHandler>;
  readonly id;

  constructor(id: string, to: TestGateway, handler = ceremonyHandler(to.host, to.group)) {
    const { suite } = to.host;
    this.id = parseId(id);
    this.#to = to;
    this.#signer = suite.ed25519.signer();
    this.#noiseKey = suite.x25519.keyPair().publicKey;
    this.#handler = handler;
  }

  get peer(): Peer {
    const [noiseKey, signKey] = [this.#noiseKey, this.#signer.publicKey];
    const bound = { kind: "gateway", state: "approved", psk: new Uint8Array(32), codeExpires: 0 };
    return { ...bound, id: this.id, noiseKey, signKey } as Peer;
  }

  async call(call: CeremonyCall): Promise<Uint8Array> {
    return await this.#handler(encodeCeremonyCall(call), this.peer);
  }

  /** What it would deal to itself and the real one. */
  async dealing(group = "home") {
    const { host, id } = this.#to;
    const { suite, identity: { noise, signer } } = host;
    const { shares, commitments } = deal(suite, { k: 2, n: 2 });
    const members: Member[] = [
      {
        ...{ index: 1, id: this.id, url: "http://127.0.0.1:9" },
        ...{ noiseKey: this.#noiseKey, signKey: this.#signer.publicKey },
      },
      {
        ...{ index: 2, id, url: await host.urlFor("device") },
        ...{ noiseKey: noise.publicKey, signKey: signer.publicKey },
      },
    ];
    const dealers = [dealerOf(suite, commitments)];
    const roster: Roster = {
      ...{ group: parseId(group), epoch: 1, k: 2, n: 2, members, commitments, dealers },
    };
    const payload = encodeRoster(roster);
    const nonce = suite.randomBytes(16);
    const share = shares[1]!;
    const own = signRoster(suite, this.#signer, payload);
    return {
      ...{ roster, payload, nonce, share },
      offer: (change: Partial<Extract<CeremonyCall, { call: "offer" }>> = {}) =>
        this.call({ call: "offer", nonce, roster: payload, share: share.slice(), ...change }),
      commit: (statement: Uint8Array, change: { nonce?: Uint8Array } = {}) => {
        const signed = { roster, payload, statements: [own, statement] };
        return this.call({ call: "commit", nonce, roster: encodeSignedRoster(signed), ...change });
      },
      abort: () => this.call({ call: "abort", nonce }),
    };
  }
}

async function withOne(use: (gateway: TestGateway, stranger: Stranger) => Promise<void>) {
  await withGateways(1, async ([gateway]) => {
    await use(gateway!, new Stranger("gw-9", gateway!));
  });
}

const refused = (code: string) => ({ name: "Refusal", code });

Deno.test("hello says who this gateway is, and of which group", async () => {
  await withOne(async (gateway, stranger) => {
    const nonce = new Uint8Array(16).fill(7);
    const ask = async () => decodeHello(await stranger.call({ call: "hello", nonce }));
    const { host: { identity, ...host } } = gateway;
    const who = {
      ...{ nonce, id: gateway.id, url: await host.urlFor("device") },
      ...{ noiseKey: identity.noise.publicKey, signKey: identity.signer.publicKey },
    };
    assert.deepEqual(await ask(), { ...who, group: null });
    const { offer, commit, roster } = await stranger.dealing();
    await commit(decodeSigned(await offer()));
    const key = roster.commitments[0]!;
    assert.deepEqual(await ask(), { ...who, group: { name: "home", epoch: 1, key } });
  });
});

Deno.test("an offer and a commit may come any number of times, and are one", async () => {
  await withOne(async (gateway, stranger) => {
    const { offer, commit, abort, share } = await stranger.dealing();
    const first = await offer();
    assert.ok(equalBytes(await offer(), first));
    assert.deepEqual(await gateway.loose(), { candidates: 1, errands: 0, secrets: 1 });
    assert.equal(gateway.group.current(), null);
    const nothing = encodeCbor({});
    assert.deepEqual(await commit(decodeSigned(first)), nothing);
    assert.deepEqual(await commit(decodeSigned(first)), nothing);
    assert.deepEqual(await abort(), nothing);
    assert.deepEqual(gateway.group.current()!.share.reveal(), share);
    assert.deepEqual(await gateway.loose(), { candidates: 0, errands: 0, secrets: 1 });
    assert.deepEqual(await gateway.audited(), [
      "share.accepted by gw-9",
      "share.committed by gw-9",
    ]);
    assert.equal(gateway.events.filter(({ type }) => type === "share.refreshed").length, 1);
    await assert.rejects(offer(), refused("group_exists"));
    const another = await stranger.dealing();
    await assert.rejects(another.offer(), refused("group_exists"));
    // what was once offered and committed is worth nothing when the gateway has left
    await gateway.ceremony.forget("site");
    await assert.rejects(commit(decodeSigned(first)), refused("no_candidate"));
    assert.equal(gateway.group.current(), null);
  });
});

Deno.test("a nonce is of one offer, and of one dealer", async () => {
  await withOne(async (gateway, stranger) => {
    const [one, other] = [await stranger.dealing(), await stranger.dealing()];
    const statement = decodeSigned(await one.offer());
    await assert.rejects(other.offer({ nonce: one.nonce }), refused("nonce_reused"));
    const thief = new Stranger("gw-8", gateway);
    const stolen = await thief.dealing();
    await assert.rejects(stolen.offer({ nonce: one.nonce }), refused("nonce_reused"));
    await thief.call({ call: "abort", nonce: one.nonce });
    await one.commit(statement);
    assert.deepEqual(gateway.group.current()!.share.reveal(), one.share);
  });
});

Deno.test("a late offer takes nothing away from the one that everybody has signed", async () => {
  await withOne(async (gateway, stranger) => {
    const [old, fresh] = [await stranger.dealing(), await stranger.dealing()];
    const others = await Promise.all(["a", "b"].map((id) => new Stranger(id, gateway).dealing()));
    const statement = decodeSigned(await fresh.offer());
    await old.offer();
    for (const { offer } of others) await offer();
    assert.equal((await gateway.loose()).candidates, 4);
    await fresh.commit(statement);
    assert.deepEqual(await gateway.loose(), { candidates: 0, errands: 0, secrets: 1 });
  });
});

Deno.test("of one dealer two offers are kept, and an abort takes one of its own away", async () => {
  await withOne(async (gateway, stranger) => {
    const dealings = [];
    for (let i = 0; i < 4; i++) dealings.push(await stranger.dealing());
    const statements = [];
    for (const { offer } of dealings) statements.push(decodeSigned(await offer()));
    assert.deepEqual(await gateway.loose(), { candidates: 2, errands: 0, secrets: 2 });
    await assert.rejects(dealings[1]!.commit(statements[1]!), refused("no_candidate"));
    await dealings[3]!.abort();
    await assert.rejects(dealings[3]!.commit(statements[3]!), refused("no_candidate"));
    assert.equal((await gateway.loose()).secrets, 1);
    await dealings[2]!.commit(statements[2]!);
    assert.equal((await gateway.audited()).filter((line) => /aborted/.test(line)).length, 1);
  });
});

Deno.test("a commit needs the signatures of all, over the roster that was offered", async () => {
  await withOne(async (gateway, stranger) => {
    const { suite } = gateway.host;
    const { offer, commit, roster, payload, nonce } = await stranger.dealing();
    const statement = decodeSigned(await offer());
    const call = (signed: Uint8Array) => stranger.call({ call: "commit", nonce, roster: signed });
    const encoded = (statements: Uint8Array[]) =>
      encodeSignedRoster({ roster, payload, statements });
    await assert.rejects(call(encoded([statement])), refused("roster_unsigned"));
    const forged = signRoster(suite, suite.ed25519.signer(), payload);
    await assert.rejects(call(encoded([statement, forged])), refused("roster_unsigned"));
    const broken = statement.with(statement.length - 1, statement.at(-1)! ^ 1);
    await assert.rejects(commit(broken), refused("roster_unsigned"));
    await assert.rejects(call(new Uint8Array(50)), refused("malformed"));
    await assert.rejects(commit(statement, { nonce: new Uint8Array(16) }), refused("no_candidate"));
    // another roster of the same members, signed by all, that was never offered
    const other = await stranger.dealing();
    const own = signRoster(suite, gateway.host.identity.signer, other.payload);
    await assert.rejects(other.commit(own, { nonce }), refused("no_candidate"));
    assert.equal(gateway.group.current(), null);
    await commit(statement);
    await assert.rejects(other.commit(own), refused("group_exists"));
  });
});

Deno.test("whoever deals is a member itself, with the keys that are enrolled", async () => {
  await withOne(async (gateway, stranger) => {
    const [mine, namesake] = [await stranger.dealing(), new Stranger("gw-9", gateway)];
    const { nonce, payload, share } = mine;
    const offer = { call: "offer", nonce, roster: payload, share } as const;
    await assert.rejects(namesake.call({ ...offer }), refused("not_a_member"));
    await assert.rejects(new Stranger("gw-8", gateway).call(offer), refused("not_a_member"));
    assert.deepEqual(await gateway.audited(), []);
  });
});

Deno.test("a flood of offers is cut off, and what is no call changes nothing", async () => {
  await withOne(async (gateway, stranger) => {
    const outcomes: string[] = [];
    for (let i = 0; i < 12; i++) {
      const { offer } = await stranger.dealing();
      outcomes.push(await offer().then(() => "taken", (error) => error.code));
    }
    assert.deepEqual(outcomes, [...Array(10).fill("taken"), "too_many", "too_many"]);
    assert.equal((await gateway.loose()).candidates, 2);
    await (await new Stranger("gw-8", gateway).dealing()).offer();
    const handler = ceremonyHandler(gateway.host, gateway.group);
    for (const bytes of [new Uint8Array(0), encodeCbor({ call: "deal" }), new Uint8Array(70_000)]) {
      await assert.rejects(handler(bytes, stranger.peer), refused("malformed"));
    }
  });
});

Deno.test("a share at rest is nowhere to be read, neither offered nor in use", async () => {
  await withOne(async (gateway, stranger) => {
    const { offer, commit, share } = await stranger.dealing();
    const statement = decodeSigned(await offer());
    const dump = async () => {
      const rows = await gateway.host.db.read((q) =>
        q.all<{ row: string }>(sql`
          SELECT hex(value) AS row FROM secrets
          UNION ALL SELECT hex(roster) FROM share_gateway_candidates
          UNION ALL SELECT hex(signed) FROM share_gateway_rosters
          UNION ALL SELECT detail FROM audit`)
      );
      return rows.map(({ row }) => row.toLowerCase()).join("\n");
    };
    assert.ok(!(await dump()).includes(share.toHex()));
    await commit(statement);
    assert.ok(!(await dump()).includes(share.toHex()));
    assert.ok(
      !Deno.inspect(gateway.group.current(), { depth: 9 }).includes(
        `${share[0]}, ${share[1]}, ${share[2]}`,
      ),
    );
  });
});
