/** `;name=value` parameters: names lower-case, values unquoted, null where there is no `=`. */
export type Parameters = Map<string, string | null>;
