import { join, resolve } from "node:path";
import { readdirSync } from "node:fs";
import { NodeRed, projectRoot } from "../support/node-red.js";
import { acceptanceFlow } from "../support/peers/acceptance-flow.js";
import { Sipp } from "../support/peers/sipp.js";
import { freePort } from "../support/ports.js";
it("x", async function(){
  this.timeout(280000);
  const port = await freePort();
  const { flows, credentials } = acceptanceFlow({ port });
  const n = await NodeRed.start({ flows, credentials });
  let h = 150;
  const own = join(projectRoot, "test/peers/sipp");
  const foreign = resolve(projectRoot, "../shared/peers/sip/sipp");
  const all = [own, foreign].flatMap((f) => ["in", "out"].flatMap((d) => readdirSync(join(f, d)).map((x) => ({ d, name: x.replace(".xml", ""), file: join(f, d, x) })))).filter(({ name }) => new RegExp(process.env.PICK ?? ".").test(name));
  await Promise.all(all.map(async ({ d, name, file }) => {
    const local = `127.0.62.${h++}:5070`;
    let r;
    if (d === "in") {
      const service = /^in-race-(bye-bye|reinvite-mortal|refer-mortal)|^in-3665-record/.test(name) ? "hang" : /^in-race-bye-early/.test(name) ? "silent" : "alice";
      r = await new Sipp({ scenario: file, target: `127.0.0.1:${port}`, local, service }).result();
    } else {
      const entry = /^out-race-cancel/.test(name) ? "call-cancel" : /^o17|^out-timer-(update|reinvite)|^out-race-(reinvite|bye)/.test(name) ? "call-wait" : "call";
      const s = new Sipp({ scenario: file, local });
      await new Promise((done) => setTimeout(done, 600));
      await n.inject(entry, { to: `sip:x@${local}` });
      r = await s.result();
    }
    console.log(r.ok ? "PASS" : "FAIL", name, r.ok ? "" : r.problem.slice(0, 500));
    if (!r.ok || process.env.SHOW) console.log(r.messages.replace(/\r/g, "").split("\n").filter((l) => /^UDP|^(INVITE|SIP|ACK|BYE|UPDATE|REFER|CANCEL|CSeq|Session-E|Min|Via)/.test(l)).join("\n").slice(0,6000));
  }));
  console.log(await n.captured("caught"));
  console.log(n.log.split("\n").filter(l=>/rror|warn/i.test(l)).slice(0,10).join("\n"));
  await n.stop();
});
