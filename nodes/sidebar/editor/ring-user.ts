/** Whom the built-in caller calls. Pure. */

/** A user that the pattern of the node takes: the pattern itself when it is no pattern. */
export function userFor(match: unknown): string {
  if (typeof match !== "string" || match === "" || /^\/.*\/$|\$\{/.test(match)) return "test";
  const user = match.replace(/^sips?:/, "").split("@")[0] ?? "";
  return user.replace(/\*/g, "1").replace(/\?/g, "1") || "test";
}
