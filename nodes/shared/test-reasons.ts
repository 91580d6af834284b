/** From what a test met to a sentence that tells a person what to do: the table of the test buttons. */
import type { TestStepName } from "./test-run.js";

export interface TestProblem {
  readonly step: TestStepName;
  /** Final response; 0 = none came. */
  readonly statusCode?: number | undefined;
  /** Of the error of an operation or of a system call: E_DNS, ECONNREFUSED. */
  readonly code?: string | undefined;
  readonly protocol?: string | undefined;
  readonly hasPassword?: boolean | undefined;
}

export interface TestReason {
  readonly step?: readonly TestStepName[];
  /** First and last status code. */
  readonly status?: readonly [number, number];
  readonly code?: readonly string[];
  readonly protocol?: readonly string[];
  readonly hasPassword?: boolean;
  /** `test.reason.<key>` of the catalogue. */
  readonly key: string;
}

const UNREACHABLE = ["EHOSTUNREACH", "ENETUNREACH", "ENETDOWN", "EADDRNOTAVAIL"] as const;

/** The first row that fits. */
export const testReasons: readonly TestReason[] = [
  { code: ["E_DNS"], key: "unknownName" },
  { code: ["E_ARGUMENT"], key: "settings" },
  { code: ["ECONNREFUSED"], protocol: ["udp"], key: "closedUdp" },
  { code: ["ECONNREFUSED"], key: "closed" },
  { code: UNREACHABLE, key: "noRoute" },
  { code: ["ETIMEDOUT"], key: "silent" },
  { code: ["EADDRINUSE"], key: "taken" },
  { code: ["EACCES", "EPERM"], key: "forbiddenPort" },
  { step: ["tls"], key: "tls" },
  { status: [401, 401], hasPassword: false, key: "needsPassword" },
  { status: [407, 407], hasPassword: false, key: "needsPassword" },
  { status: [401, 401], key: "wrongPassword" },
  { status: [407, 407], key: "wrongPassword" },
  { status: [403, 403], key: "forbidden" },
  { status: [404, 404], key: "unknownUser" },
  { status: [604, 604], key: "unknownUser" },
  { status: [405, 405], step: ["register"], key: "noRegistrar" },
  { status: [501, 501], step: ["register"], key: "noRegistrar" },
  { status: [408, 408], key: "answered408" },
  { status: [416, 416], key: "scheme" },
  { status: [420, 421], key: "extension" },
  { status: [423, 423], key: "tooShort" },
  { status: [439, 439], key: "outbound" },
  { status: [480, 480], key: "wrongDomain" },
  { status: [483, 483], key: "wrongDomain" },
  { status: [500, 599], key: "serverTrouble" },
  { status: [300, 399], key: "elsewhere" },
  { status: [400, 699], key: "refused" },
  { status: [0, 0], protocol: ["udp"], key: "noAnswerUdp" },
  { status: [0, 0], key: "noAnswer" },
];

/** @returns the key; undefined = nothing better is known than the error's own words. */
export function testReason(problem: TestProblem): string | undefined {
  return testReasons.find((row) => fits(row, problem))?.key;
}

function fits(row: TestReason, problem: TestProblem): boolean {
  const { step, status, code, protocol, hasPassword } = row;
  if (step !== undefined && !step.includes(problem.step)) return false;
  if (code !== undefined && (problem.code === undefined || !code.includes(problem.code)))
    return false;
  if (protocol !== undefined && !protocol.includes(problem.protocol ?? "")) return false;
  if (hasPassword !== undefined && hasPassword !== problem.hasPassword) return false;
  if (status === undefined) return true;
  const { statusCode } = problem;
  return statusCode !== undefined && statusCode >= status[0] && statusCode <= status[1];
}
