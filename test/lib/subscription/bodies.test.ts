/**
 * Bodies of event packages. 1 message-summary (RFC 3842) · 2 dialog-info (RFC 4235), full and partial · 3 PIDF (RFC 3863) ·
 * 4 what an XML reader must not fall for.
 */
import assert from "node:assert/strict";
import {
  DialogInfoView,
  parseMessageSummary,
  parsePresence,
} from "../../../lib/subscription/index.js";
import { readXml } from "../../../lib/subscription/xml-reader.js";

describe("message-summary", () => {
  it("is read with account and counts (RFC 3842 §5)", () => {
    const body =
      "Messages-Waiting: yes\r\nMessage-Account: sip:alice@vmail.example.com\r\nVoice-Message: 2/8 (0/2)\r\n";
    assert.deepEqual(parseMessageSummary(body), {
      waiting: true,
      account: "sip:alice@vmail.example.com",
      voice: { new: 2, old: 8, urgentNew: 0, urgentOld: 2 },
    });
  });

  it("is read without counts", () => {
    assert.deepEqual(parseMessageSummary("messages-waiting: no"), {
      waiting: false,
      voice: { new: 0, old: 0, urgentNew: 0, urgentOld: 0 },
    });
  });

  it("is nothing without Messages-Waiting", () => {
    assert.equal(parseMessageSummary("hello"), undefined);
    assert.equal(parseMessageSummary(""), undefined);
  });
});

const info = (version: number, state: string, dialogs: string): string =>
  `<?xml version="1.0"?>\n<di:dialog-info xmlns:di="urn:ietf:params:xml:ns:dialog-info" version="${version}" state="${state}" entity="sip:bob@x">${dialogs}</di:dialog-info>`;

describe("dialog-info", () => {
  it("is read with direction and remote party (RFC 4235 §4.1)", () => {
    const dialog = `<di:dialog id="d1" direction="recipient"><di:state>early</di:state><di:remote><di:identity display="Ann &amp; Co">sip:ann@x</di:identity></di:remote></di:dialog>`;
    assert.deepEqual(new DialogInfoView().receive(info(0, "full", dialog)), {
      entity: "sip:bob@x",
      status: "ringing",
      dialogs: [
        {
          id: "d1",
          state: "early",
          direction: "recipient",
          remote: { uri: "sip:ann@x", displayName: "Ann & Co" },
        },
      ],
    });
  });

  it("merges partial documents, drops what has ended, and ignores old ones", () => {
    const view = new DialogInfoView();
    const dialog = (id: string, state: string): string =>
      `<dialog id="${id}"><state>${state}</state></dialog>`;
    assert.equal(view.receive(info(1, "full", ""))?.status, "idle");
    assert.equal(view.receive(info(2, "partial", dialog("a", "trying")))?.status, "trying");
    assert.equal(view.receive(info(3, "partial", dialog("b", "confirmed")))?.status, "busy");
    assert.equal(view.receive(info(2, "partial", dialog("b", "terminated")))?.status, "busy");
    const ended = view.receive(info(4, "partial", dialog("b", "terminated")));
    assert.equal(ended?.status, "trying");
    assert.deepEqual(
      ended.dialogs.map(({ id, state }) => `${id} ${state}`),
      ["a trying", "b terminated"],
    );
    assert.equal(view.receive(info(5, "partial", ""))?.dialogs.length, 1);
    assert.equal(view.stale, false);
    view.receive(info(9, "partial", ""));
    assert.equal(view.stale, true);
    assert.equal(view.receive(info(10, "full", ""))?.status, "idle");
    assert.equal(view.stale, false);
  });

  it("keeps a bounded number of calls, whatever their names", () => {
    const view = new DialogInfoView();
    for (let n = 0; n < 500; n++) {
      view.receive(info(n, n === 0 ? "full" : "partial", `<dialog id="__proto__${n}"/>`));
    }
    assert.equal(
      view.receive(info(500, "partial", `<dialog id="__proto__"/>`))?.dialogs.length,
      256,
    );
    assert.equal(({} as Record<string, unknown>)["state"], undefined);
  });
});

describe("PIDF", () => {
  it("is open when one tuple is, with notes and contacts (RFC 3863 §4)", () => {
    const body = `<presence entity="pres:bob@x"><tuple id="a"><status><basic>closed</basic></status></tuple><tuple id="b"><status><basic> open </basic></status><contact priority="0.8">sip:bob@10.0.0.2</contact><note>At the desk</note></tuple></presence>`;
    assert.deepEqual(parsePresence(body), {
      entity: "pres:bob@x",
      status: "open",
      note: "At the desk",
      tuples: [
        { id: "a", status: "closed" },
        { id: "b", status: "open", contact: "sip:bob@10.0.0.2", note: "At the desk" },
      ],
    });
  });

  it("is nothing when the root is another", () => {
    assert.equal(parsePresence("<other/>"), undefined);
    assert.equal(parsePresence("not XML"), undefined);
  });
});

describe("XML reader", () => {
  it("reads comments, CDATA, both quotes, entities and numbers", () => {
    const root = readXml(
      `\uFEFF<?xml version='1.0'?><!-- c --><a x='1' y = "&lt;&#65;&#x1F600;"><![CDATA[<&>]]>t<b/></a>\n`,
    );
    assert.equal(root?.text, "<&>t");
    assert.deepEqual(
      [...(root?.attributes ?? [])],
      [
        ["x", "1"],
        ["y", "<A😀"],
      ],
    );
    assert.deepEqual(
      root?.children.map(({ name }) => name),
      ["b"],
    );
  });

  const bad: Record<string, string> = {
    "billion laughs": `<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><l>&b;</l>`,
    "an external entity": `<!DOCTYPE l SYSTEM "file:///etc/passwd"><l/>`,
    "an unknown entity": "<l>&b;</l>",
    "an endless entity": `<l>&${"a".repeat(1000)};</l>`,
    "a surrogate": "<l>&#xD800;</l>",
    "a NUL": "<l>&#0;</l>",
    "deep nesting": "<a>".repeat(40) + "</a>".repeat(40),
    "too many elements": `<a>${"<b/>".repeat(5000)}</a>`,
    "too many attributes": `<a ${Array.from({ length: 70 }, (_, n) => `x${n}="1"`).join(" ")}/>`,
    "a huge attribute": `<a x="${"y".repeat(200_000)}"/>`,
    "an open quote": `<a x="1>`,
    "an open comment": "<a><!-- ",
    "crossed tags": "<a><b></a></b>",
    "no end": "<a>",
    "two roots": "<a/><b/>",
    "text outside": "<a/>x",
    "< in a value": `<a x="<"/>`,
    "glued attributes": `<a x="1"y="2"/>`,
    "a half tag": "<a /x>",
    nothing: "",
    "an end alone": "</a>",
  };
  for (const [name, text] of Object.entries(bad)) {
    it(`refuses ${name}`, () => assert.equal(readXml(text), undefined));
  }

  it("takes twice the time for twice the text, not more", () => {
    for (const nasty of ["<a>&", "<!--", "<![CDATA[", "<a b='", "<a ", "&amp;", "</"]) {
      const text = nasty.repeat(100_000 / nasty.length);
      const start = performance.now();
      readXml(text);
      readXml(`<a>${text}</a>`);
      assert.ok(performance.now() - start < 500, nasty);
    }
  });

  it("makes no name of a document a key", () => {
    const root = readXml(`<__proto__ __proto__="x"><constructor/></__proto__>`);
    assert.equal(root?.attributes.get("__proto__"), "x");
    assert.equal(({} as Record<string, unknown>)["x"], undefined);
  });
});
