/** Draws the pictures in the help and writes docs/reference anew: `node --import tsx test/support/write-reference.ts`. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { helpLanguages, withPicture } from "./help.js";
import { definitions, root } from "./node-definitions.js";
import { referencePages } from "./reference.js";

for (const definition of definitions()) {
  for (const language of helpLanguages) {
    const file = join(root, "nodes/locales", language, `${definition.type}.html`);
    writeFileSync(file, withPicture(definition, language));
  }
}
mkdirSync(join(root, "docs/reference"), { recursive: true });
for (const [name, text] of referencePages())
  writeFileSync(join(root, "docs/reference", name), text);
