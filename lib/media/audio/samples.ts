/** 16-bit samples: what is calculated may lie beyond their range, and must not wrap around. */

/** The nearest sample. */
export function toSample(value: number): number {
  return value > 32_767 ? 32_767 : value < -32_768 ? -32_768 : Math.round(value);
}
