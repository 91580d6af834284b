/** Processor time of a program with all its children, by /proc (Linux). */
import { readdirSync, readFileSync } from "node:fs";

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // It has ended meanwhile.
    return "";
  }
}

function parents(): Map<number, number> {
  const found = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const text = read(`/proc/${name}/stat`);
    const parent = Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[1]);
    found.set(Number(name), parent);
  }
  return found;
}

/** Milliseconds of user and system time: exact where the kernel tells, else in hundredths of a second. */
function own(pid: number): number {
  const text = read(`/proc/${pid}/stat`);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const coarse = (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 10;
  return Math.max(exact(pid), coarse);
}

/** Of the threads that live; 0 where the kernel does not tell. */
function exact(pid: number): number {
  let nanoseconds = 0;
  try {
    for (const task of readdirSync(`/proc/${pid}/task`))
      nanoseconds += Number(read(`/proc/${pid}/task/${task}/schedstat`).split(" ")[0] ?? 0);
  } catch {
    return 0;
  }
  return nanoseconds / 1e6;
}

function family(pid: number): number[] {
  const all = parents();
  const members = [pid];
  for (const member of members)
    for (const [child, parent] of all) if (parent === member) members.push(child);
  return members;
}

/** Milliseconds that `pid` and its children have used. */
export function processorTime(pid: number): number {
  return family(pid).reduce((sum, member) => sum + own(member), 0);
}

/** MB that `pid` and its children hold; what they share is counted once. */
export function memory(pid: number): number {
  const kilobytes = family(pid).map((member) =>
    Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${member}/smaps_rollup`))?.[1] ?? 0),
  );
  return kilobytes.reduce((sum, value) => sum + value, 0) / 1024;
}
