/**
 * The call progress tones of national networks, as ITU-T E.180 supplement 2 lists them; `eu` is the common plan of
 * ETSI TR 101 041.
 *
 * Each tone is a row of stretches, repeated: hertz (`0` = silence, `a+b` = both at once), then milliseconds. Without
 * milliseconds it goes on. Where the network modulates a tone, two frequencies stand for it that beat as often.
 */

/** The tones that differ from country to country. */
export const NATIONAL_TONES = [
  "ring",
  "busy",
  "congestion",
  "dial",
  "call-waiting",
  "special-information",
] as const;
export type NationalTone = (typeof NATIONAL_TONES)[number];

export interface ToneStretch {
  /** Hz; empty = silence. */
  readonly frequencies: readonly number[];
  /** Milliseconds; undefined = it goes on. */
  readonly duration: number | undefined;
}

type Plan = Readonly<Record<NationalTone, string>>;

const SPECIAL_INFORMATION = "950 330, 1400 330, 1800 330, 0 1000";
const RING_1_4 = "425 1000, 0 4000";

const NORTH_AMERICA: Plan = {
  ring: "440+480 2000, 0 4000",
  busy: "480+620 500, 0 500",
  congestion: "480+620 250, 0 250",
  dial: "350+440",
  "call-waiting": "440 300, 0 10000",
  "special-information": SPECIAL_INFORMATION,
};

const PLANS: ReadonlyMap<string, Plan> = new Map<string, Plan>([
  [
    "at",
    {
      ring: "420 1000, 0 5000",
      busy: "420 400, 0 400",
      congestion: "420 200, 0 200",
      dial: "420",
      "call-waiting": "420 40, 0 1950",
      "special-information": "950 330, 1450 330, 1850 330, 0 1000",
    },
  ],
  [
    "au",
    {
      ring: "400+425 400, 0 200, 400+425 400, 0 2000",
      busy: "425 375, 0 375",
      congestion: "425 375, 0 375",
      dial: "413+438",
      "call-waiting": "425 200, 0 200, 425 200, 0 4400",
      "special-information": "425 2500, 0 500",
    },
  ],
  [
    "be",
    {
      ring: "425 1000, 0 3000",
      busy: "425 500, 0 500",
      congestion: "425 167, 0 167",
      dial: "425",
      "call-waiting": "1400 175, 0 175, 1400 175, 0 3500",
      "special-information": "900 330, 1400 330, 1800 330, 0 1000",
    },
  ],
  ["ca", NORTH_AMERICA],
  [
    "ch",
    {
      ring: RING_1_4,
      busy: "425 500, 0 500",
      congestion: "425 200, 0 200",
      dial: "425",
      "call-waiting": "425 200, 0 200, 425 200, 0 4000",
      "special-information": "950 333, 1400 333, 1800 333, 0 1000",
    },
  ],
  [
    "cz",
    {
      ring: RING_1_4,
      busy: "425 330, 0 330",
      congestion: "425 165, 0 165",
      dial: "425 330, 0 330, 425 660, 0 660",
      "call-waiting": "425 330, 0 9000",
      "special-information": "950 330, 0 30, 1400 330, 0 30, 1800 330, 0 1000",
    },
  ],
  [
    "de",
    {
      ring: RING_1_4,
      busy: "425 480, 0 480",
      congestion: "425 240, 0 240",
      dial: "425",
      "call-waiting": "425 200, 0 200, 425 200, 0 5000",
      "special-information": SPECIAL_INFORMATION,
    },
  ],
  [
    "es",
    {
      ring: "425 1500, 0 3000",
      busy: "425 200, 0 200",
      congestion: "425 200, 0 200, 425 200, 0 200, 425 200, 0 600",
      dial: "425",
      "call-waiting": "425 175, 0 175, 425 175, 0 3500",
      "special-information": SPECIAL_INFORMATION,
    },
  ],
  [
    "eu",
    {
      ring: RING_1_4,
      busy: "425 500, 0 500",
      congestion: "425 200, 0 200",
      dial: "425",
      "call-waiting": "425 200, 0 600, 425 200, 0 3000",
      "special-information": SPECIAL_INFORMATION,
    },
  ],
  [
    "fi",
    {
      ring: RING_1_4,
      busy: "425 300, 0 300",
      congestion: "425 200, 0 200",
      dial: "425",
      "call-waiting": "425 150, 0 150, 425 150, 0 8000",
      "special-information": SPECIAL_INFORMATION,
    },
  ],
  [
    "fr",
    {
      ring: "440 1500, 0 3500",
      busy: "440 500, 0 500",
      congestion: "440 250, 0 250",
      dial: "440",
      "call-waiting": "440 300, 0 10000",
      "special-information": SPECIAL_INFORMATION,
    },
  ],
  [
    "it",
    {
      ring: RING_1_4,
      busy: "425 500, 0 500",
      congestion: "425 200, 0 200",
      dial: "425 200, 0 200, 425 600, 0 1000",
      "call-waiting": "425 400, 0 100, 425 250, 0 100, 425 150, 0 14000",
      "special-information": SPECIAL_INFORMATION,
    },
  ],
  [
    "jp",
    {
      ring: "392+408 1000, 0 2000",
      busy: "400 500, 0 500",
      congestion: "400 500, 0 500",
      dial: "400",
      "call-waiting": "392+408 500, 0 8000",
      "special-information": SPECIAL_INFORMATION,
    },
  ],
  [
    "nl",
    {
      ring: RING_1_4,
      busy: "425 500, 0 500",
      congestion: "425 250, 0 250",
      dial: "425",
      "call-waiting": "425 500, 0 9500",
      "special-information": SPECIAL_INFORMATION,
    },
  ],
  [
    "no",
    {
      ring: RING_1_4,
      busy: "425 500, 0 500",
      congestion: "425 200, 0 200",
      dial: "425",
      "call-waiting": "425 200, 0 600, 425 200, 0 10000",
      "special-information": SPECIAL_INFORMATION,
    },
  ],
  [
    "nz",
    {
      ring: "400+450 400, 0 200, 400+450 400, 0 2000",
      busy: "400 500, 0 500",
      congestion: "400 250, 0 250",
      dial: "400",
      "call-waiting": "400 200, 0 3000, 400 200, 0 3000",
      "special-information": "400 750, 0 100, 400 750, 0 100, 400 750, 0 100, 400 750, 0 400",
    },
  ],
  [
    "pl",
    {
      ring: RING_1_4,
      busy: "425 500, 0 500",
      congestion: "425 500, 0 500",
      dial: "425",
      "call-waiting": "425 150, 0 150, 425 150, 0 4000",
      "special-information": SPECIAL_INFORMATION,
    },
  ],
  [
    "pt",
    {
      ring: "425 1000, 0 5000",
      busy: "425 500, 0 500",
      congestion: "425 200, 0 200",
      dial: "425",
      "call-waiting": "425 200, 0 200, 425 200, 0 5000",
      "special-information": SPECIAL_INFORMATION,
    },
  ],
  [
    "se",
    {
      ring: "425 1000, 0 5000",
      busy: "425 250, 0 250",
      congestion: "425 250, 0 750",
      dial: "425",
      "call-waiting": "425 200, 0 500, 425 200, 0 9100",
      "special-information": SPECIAL_INFORMATION,
    },
  ],
  [
    "uk",
    {
      ring: "400+450 400, 0 200, 400+450 400, 0 2000",
      busy: "400 375, 0 375",
      congestion: "400 400, 0 350, 400 225, 0 525",
      dial: "350+440",
      "call-waiting": "400 100, 0 4000",
      "special-information": SPECIAL_INFORMATION,
    },
  ],
  ["us", NORTH_AMERICA],
]);

/** Where the name of a tone tells no country. */
const DEFAULT_COUNTRY = "de";

/** Two letters each. */
export const TONE_COUNTRIES: readonly string[] = [...PLANS.keys()];

/** @param country - Default Germany. @returns undefined for an unknown country. */
export function nationalTone(
  tone: NationalTone,
  country = DEFAULT_COUNTRY,
): ToneStretch[] | undefined {
  return PLANS.get(country)?.[tone].split(", ").map(stretchOf);
}

function stretchOf(text: string): ToneStretch {
  const [frequencies, duration] = text.split(" ");
  return {
    frequencies: frequencies === "0" ? [] : frequencies.split("+").map(Number),
    duration: duration === undefined ? undefined : Number(duration),
  };
}
