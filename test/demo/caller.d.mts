export interface SeenCall {
  readonly messages: string[];
  readonly packets: number;
  readonly samples: number[];
  readonly digitsSent: string;
  readonly ended: string;
  readonly status: number;
}
export function call(options: {
  port: number;
  user: string;
  digits: string;
  onLine?: (line: string) => void;
  address?: string;
}): Promise<SeenCall>;
export function loudness(samples: readonly number[]): number;
