/** Peaks (0 … 1) as one SVG path, mirrored at the middle. Pure. */
export function waveformPath(peaks: readonly number[], width: number, height: number): string {
  if (peaks.length === 0) return "";
  const middle = height / 2;
  const step = width / peaks.length;
  const at = (index: number, sign: number): string => {
    const peak = peaks[index] ?? 0;
    const size = Number.isFinite(peak) ? Math.min(1, Math.max(0.02, Math.abs(peak))) : 0.02;
    return `${((index + 0.5) * step).toFixed(1)} ${(middle + sign * size * (middle - 1)).toFixed(1)}`;
  };
  const upper = peaks.map((_, index) => at(index, -1));
  const lower = peaks.map((_, index) => at(peaks.length - 1 - index, 1));
  return `M${[...upper, ...lower].join("L")}Z`;
}
