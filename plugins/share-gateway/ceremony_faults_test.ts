/** Founding a group when machines stop: wherever the deal is cut, it counts everywhere or nowhere. */
import assert from "node:assert/strict";
import { parseId } from "../../core/base/id.ts";
import {
  decodeRoster,
  encodeRoster,
  type Roster,
  signRoster,
} from "../../core/trust/share/roster.ts";
import {
  type CeremonyCall,
  decodeHello,
  encodeCeremonyCall,
  encodeHello,
  encodeSigned,
  type Hello,
} from "../../core/wire/ceremony.ts";
import {
  eventually,
  requireGroup,
  requireNothing,
  settled,
  type TestGateway,
  withGateways,
} from "./_test_gateway.ts";

type Offer = Extract<CeremonyCall, { readonly call: "offer" }>;
type Three = [TestGateway, TestGateway, TestGateway];

Deno.test("a dealer that crashes, wherever it does, has founded the group everywhere or nowhere", async () => {
  await withGateways(3, async (gateways) => {
    const [dealer, ...others] = gateways as Three;
    const ends = { nothing: 0, group: 0 };
    for (let left = 0, isThrough = false; !isThrough; left++) {
      await dealer.ceremony.plan({ group: "home", k: 2 }, "site");
      dealer.left = left;
      await dealer.deal().catch(() => {});
      await eventually("it has told all, or crashed", async () => {
        return dealer.hasCrashed || (await dealer.loose()).errands === 0;
      });
      isThrough = !dealer.hasCrashed;
      await dealer.restart();
      await settled(gateways);
      if (dealer.group.current() === null) {
        ends.nothing++;
        await eventually("the others have nothing", async () => {
          return (await Promise.all(others.map((one) => one.loose())))
            .every(({ candidates }) => candidates === 0);
        });
        await requireNothing(gateways);
      } else {
        ends.group++;
        await requireGroup(gateways, { k: 2 });
      }
      for (const gateway of gateways) await gateway.ceremony.forget("site");
      await settled(gateways);
    }
    assert.ok(ends.nothing >= 6 && ends.group >= 4, JSON.stringify(ends));
  });
});

Deno.test("a member that crashes, wherever it does, holds nobody up for good", async () => {
  await withGateways(3, async (gateways) => {
    const [dealer, member] = gateways as Three;
    const ends: string[] = [];
    for (let left = 0, isThrough = false; !isThrough; left++) {
      await dealer.ceremony.plan({ group: "home", k: 2 }, "site");
      member.left = left;
      const { state, error } = await dealer.deal();
      if (state === "failed") assert.match(error!.detail, /^Cannot deal: gw-2: /);
      await eventually("it has been told, or has crashed", async () => {
        return member.hasCrashed || (await dealer.loose()).errands === 0;
      });
      isThrough = !member.hasCrashed;
      await member.restart();
      await settled(gateways);
      ends.push(state);
      if (state === "done") await requireGroup(gateways, { k: 2 });
      else await requireNothing(gateways);
      for (const gateway of gateways) await gateway.ceremony.forget("site");
      await settled(gateways);
    }
    // before and after it keeps the offer, before and after it keeps the group, not at all
    assert.deepEqual(ends, ["failed", "failed", "done", "done", "done"]);
  });
});

Deno.test("a member that stops after it has signed gets its roster when it comes back", async () => {
  await withGateways(3, async (gateways) => {
    const [dealer, , third] = gateways as Three;
    await dealer.ceremony.plan({ group: "home", k: 2 }, "site");
    third.lie = (call, answer) => {
      if (call.call === "offer") third.left = 0;
      return answer;
    };
    assert.equal((await dealer.deal()).state, "done");
    third.lie = (_, answer) => answer;
    await third.stop();
    const waiting = await dealer.ceremony.status({ live: true });
    assert.deepEqual(waiting.members.map(({ has_roster }) => has_roster), [true, true, false]);
    assert.match(waiting.members[2]!.why!, /gw-3/);
    await dealer.restart();
    assert.equal((await dealer.loose()).errands, 1);
    await third.start();
    await settled(gateways);
    await requireGroup(gateways, { k: 2 });
  });
});

Deno.test("what is left to tell of an older deal does not end the one under way", async () => {
  await withGateways(3, async (gateways) => {
    const [dealer, other, third] = gateways as Three;
    await dealer.ceremony.plan({ group: "home", k: 2 }, "site");
    third.lie = (call, answer) => {
      if (call.call === "offer") throw new Error("not now");
      return answer;
    };
    let isAgain = false;
    other.lie = (call, answer) => {
      if (call.call === "abort" && !isAgain) throw new Error("not now");
      return answer;
    };
    assert.equal((await dealer.deal()).state, "failed");
    // the end of that deal is told again and again, while the next one waits for its third member
    third.lie = async (call, answer) => {
      isAgain = call.call === "offer";
      if (isAgain) await new Promise((resolve) => setTimeout(resolve, 300));
      return answer;
    };
    assert.equal((await dealer.deal()).state, "done");
    await settled(gateways);
    await requireGroup(gateways, { k: 2 });
  });
});

Deno.test("a dealer that leaves before all have been told leaves nothing behind", async () => {
  await withGateways(3, async (gateways) => {
    const [dealer, other, third] = gateways as Three;
    await dealer.ceremony.plan({ group: "home", k: 2 }, "site");
    third.lie = (call, answer) => {
      if (call.call === "offer") third.left = 0;
      return answer;
    };
    assert.equal((await dealer.deal()).state, "done");
    await eventually("the second is told", async () => {
      return other.group.current() !== null && (await dealer.loose()).errands === 1;
    });
    third.lie = (_, answer) => answer;
    await third.stop();
    await dealer.ceremony.forget("site");
    // what is under way already cannot be called back
    await dealer.restart();
    await third.start();
    await settled(gateways);
    await requireNothing([dealer, third]);
    await other.ceremony.forget("site");
    await requireNothing(gateways);
  });
});

Deno.test("a gateway that forgets keeps no share that it was offered either", async () => {
  await withGateways(2, async (gateways) => {
    const [dealer, other] = gateways as [TestGateway, TestGateway];
    await dealer.ceremony.plan({ group: "home", k: 2 }, "site");
    other.lie = (call, answer) => {
      if (call.call !== "hello" && call.call !== "offer") throw new Error("not now");
      return answer;
    };
    dealer.left = 5; // as far as the offer
    await dealer.deal().catch(() => {});
    await dealer.stop();
    assert.equal((await other.loose()).candidates, 1);
    await other.ceremony.forget("site");
    await requireNothing([other]);
  });
});

Deno.test("a member whose signature is none is named, and nothing has changed anywhere", async () => {
  await withGateways(3, async (gateways) => {
    const [dealer, , third] = gateways as Three;
    await dealer.ceremony.plan({ group: "home", k: 2 }, "site");
    const { suite } = dealer.host;
    const stranger = suite.ed25519.signer();
    const lies: TestGateway["lie"][] = [
      (_, answer) => answer.with(answer.length - 1, answer.at(-1)! ^ 1),
      (call) => encodeSigned(signRoster(suite, stranger, (call as Offer).roster)),
      (call) => {
        const roster = decodeRoster((call as Offer).roster);
        const other = encodeRoster({ ...roster, epoch: 2 });
        return encodeSigned(signRoster(suite, third.host.identity.signer, other));
      },
      () => suite.randomBytes(40),
      () => new Uint8Array(0),
    ];
    for (const lie of lies) {
      third.lie = (call, answer) => call.call === "offer" ? lie(call, answer) : answer;
      const { state, error, members } = await dealer.deal();
      assert.equal(state, "failed");
      assert.match(error!.detail, /^Cannot deal: gw-3: (its signature is wrong|Cannot read)/);
      assert.deepEqual(members.map(({ step }) => step), ["signed", "signed", "failed"]);
      await settled(gateways);
      await requireNothing(gateways);
    }
    assert.match((await dealer.audited()).join(), /share\.offered by site,share\.deal_failed/);
    third.lie = (_, answer) => answer;
    assert.equal((await dealer.deal()).state, "done");
    await settled(gateways);
    await requireGroup(gateways, { k: 2 });
  });
});

Deno.test("a gateway that says it is another, or has changed since the plan, is not dealt to", async () => {
  await withGateways(2, async (gateways) => {
    const [dealer, other] = gateways as [TestGateway, TestGateway];
    const { suite } = dealer.host;
    const says = (change: Partial<Hello>): TestGateway["lie"] => (call, answer) =>
      call.call === "hello" ? encodeHello({ ...decodeHello(answer), ...change }) : answer;
    for (
      const change of [
        { id: parseId("gw-7") },
        { noiseKey: suite.randomBytes(32) },
        { nonce: suite.randomBytes(16) },
      ]
    ) {
      other.lie = says(change);
      const plan = await dealer.ceremony.plan({ group: "home", k: 2 }, "site");
      assert.match(plan.members[1]!.why!, /somebody else/);
      assert.match((await dealer.deal()).error!.detail, /gw-2: it says that it is somebody else/);
    }
    other.lie = (_, answer) => answer;
    await dealer.ceremony.plan({ group: "home", k: 2 }, "site");
    other.lie = says({ signKey: suite.ed25519.signer().publicKey });
    assert.match((await dealer.deal()).error!.detail, /gw-2: it signs with another key than when/);
    other.lie = says({ url: "no address" });
    assert.match(
      (await dealer.deal()).error!.detail,
      /gw-2: Cannot read the message of the ceremony/,
    );
    await requireNothing(gateways);
  });
});

Deno.test("a share that does not fit is refused, and so is a roster that says something else", async () => {
  await withGateways(3, async (gateways) => {
    const [dealer, other] = gateways as Three;
    await dealer.ceremony.plan({ group: "home", k: 2 }, "site");
    const rewritten = (change: (roster: Roster) => Partial<Roster>) => (call: Offer): Offer => {
      const roster = decodeRoster(call.roster);
      return { ...call, roster: encodeRoster({ ...roster, ...change(roster) }) };
    };
    const wrongs: [(call: Offer) => Offer, RegExp][] = [
      [(call) => ({ ...call, share: call.share.with(0, call.share[0]! ^ 1) }), /polynomial/],
      [(call) => ({ ...call, share: new Uint8Array(32) }), /polynomial/],
      [
        rewritten(({ members: [a, b, c] }) => ({
          members: [a!, { ...b!, url: "http://elsewhere" }, c!],
        })),
        /not what the roster says/,
      ],
      [
        rewritten(({ members: [a, b, c] }) => ({
          members: [a!, { ...b!, signKey: new Uint8Array(32).fill(9) }, c!],
        })),
        /not what the roster says/,
      ],
      [rewritten(() => ({ epoch: 2 })), /not what the roster says/],
      [rewritten(() => ({ dealers: [new Uint8Array(32)] })), /not what the roster says/],
      [
        rewritten(({ members: [a, b, c] }) => ({
          members: [{ ...a!, id: parseId("gw-9") }, b!, c!],
        })),
        /knows this gateway under other keys/,
      ],
    ];
    for (const [wrong, why] of wrongs) {
      let asked = 0;
      dealer.twist = (call) => {
        if (call.call !== "offer" || asked++ !== 0) return null;
        return encodeCeremonyCall(wrong(call));
      };
      const { state, error } = await dealer.deal();
      assert.equal(state, "failed");
      assert.match(error!.detail, /^Cannot deal: gw-2: /);
      assert.match(error!.detail, why);
      await settled(gateways);
      await requireNothing(gateways);
    }
    assert.deepEqual(await other.audited(), []);
  });
});

Deno.test("a gateway that is in a group is in no other, and says so", async () => {
  await withGateways(3, async (gateways) => {
    const [dealer, other, third] = gateways as Three;
    other.table = `gateways = [{ code_file = "gw-2-at-gw-3.json" }]`;
    await third.enrol(other);
    await other.restart();
    await other.ceremony.plan({ group: "garden", k: 1 }, "site");
    assert.equal((await other.deal()).state, "done");
    await settled(gateways);
    const plan = await dealer.ceremony.plan({ group: "home", k: 2 }, "site");
    assert.deepEqual(plan.members.map(({ group }) => group), [null, "garden", "garden"]);
    const { error } = await dealer.deal();
    assert.match(error!.detail, /gw-2: it belongs to the group "garden" already/);
    await requireGroup([other, third], { k: 1, name: "garden" });
    assert.equal((await dealer.loose()).errands, 0);
  });
});

Deno.test("a gateway that is not enrolled, or not any more, gets no answer", async () => {
  await withGateways(2, async (gateways, folder) => {
    const [dealer, other] = gateways as [TestGateway, TestGateway];
    await dealer.ceremony.plan({ group: "home", k: 2 }, "site");
    const file = `${folder}/gw-1-at-gw-2.json`;
    const enrolment = JSON.parse(await Deno.readTextFile(file));
    await Deno.writeTextFile(file, JSON.stringify({ ...enrolment, code: "A".repeat(22) }));
    const stranger = await dealer.deal();
    assert.match(stranger.error!.detail, /gw-2: Refused by the site "gw-2"/);
    await Deno.writeTextFile(file, JSON.stringify(enrolment));
    await other.ask("POST", `/peers/gateway/gw-1/revoke`);
    const revoked = await dealer.deal();
    assert.match(revoked.error!.detail, /gw-2: /);
    assert.equal(revoked.state, "failed");
    await requireNothing(gateways);
    assert.deepEqual(await other.audited(), []);
  });
});
