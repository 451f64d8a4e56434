/**
 * Units that convert into each other: those of time and of bytes, and rates of them. What is not in these tables converts only
 * to itself.
 *
 * Prefixes of bytes are those of the SI (kB, MB: powers of 1,000) and of IEC 80000-13 (KiB, MiB: powers of 1,024), as
 * written; `m`, `h` and `d` are minutes, hours and days only beside another unit of time, since alone they may mean anything.
 */

/** In nanoseconds. */
const second = 1e9;
const times = factorsOf([
  [1, 'ns nanosecond nanoseconds'],
  // With the micro sign, with the Greek letter, and as ASCII.
  [1e3, 'us \u00b5s \u03bcs usec microsecond microseconds'],
  [1e6, 'ms msec millisecond milliseconds'],
  [second, 's sec secs second seconds'],
  [60 * second, 'm min mins minute minutes'],
  [3_600 * second, 'h hr hrs hour hours'],
  [86_400 * second, 'd day days'],
]);

const bytes = factorsOf([
  [1, 'B byte bytes'],
  [1e3, 'kB KB'],
  [1e6, 'MB'],
  [1e9, 'GB'],
  [1e12, 'TB'],
  [1e15, 'PB'],
  [2 ** 10, 'KiB'],
  [2 ** 20, 'MiB'],
  [2 ** 30, 'GiB'],
  [2 ** 40, 'TiB'],
  [2 ** 50, 'PiB'],
]);

function factorsOf(table: readonly (readonly [factor: number, names: string])[]): ReadonlyMap<string, number> {
  return new Map(table.flatMap(([factor, names]) => names.split(' ').map((name) => [name, factor] as const)));
}

/** A value in one unit as a value in another; undefined where the two do not convert. */
export function convert(value: number, from: string, to: string): number | undefined {
  if (from === to) return value;
  const [numerator = '', ...denominator] = from.split('/');
  const [numeratorTo = '', ...denominatorTo] = to.split('/');
  const above = ratioOf(numerator, numeratorTo);
  const below = ratioOf(denominator.join('/'), denominatorTo.join('/'));
  if (above === undefined || below === undefined) return undefined;
  return multiply(multiply(value, above), { times: below.per, per: below.times });
}

/** Whole numbers, and one of them is 1 unless SI and IEC prefixes mix. */
interface Ratio {
  readonly times: number;
  readonly per: number;
}

function ratioOf(from: string, to: string): Ratio | undefined {
  if (from === to) return { times: 1, per: 1 };
  for (const factors of [times, bytes]) {
    const [a, b] = [factors.get(from), factors.get(to)];
    if (a === undefined || b === undefined) continue;
    if (a % b === 0) return { times: a / b, per: 1 };
    return b % a === 0 ? { times: 1, per: b / a } : { times: a, per: b };
  }
  return undefined;
}

/** Powers of ten move the decimal point: 1.001 s are 1001 ms, which a product of doubles is not. */
function multiply(value: number, { times, per }: Ratio): number {
  const power = Math.log10(times / per);
  if (!Number.isInteger(power)) return (value * times) / per;
  const [digits, exponent = '0'] = String(value).split('e');
  return Number(`${digits}e${Number(exponent) + power}`);
}

const units = ['d', 'h', 'm', 's', 'ms', 'us', '\u00b5s', '\u03bcs', 'ns'];
const one = String.raw`(\d+(?:\.\d*)?|\.\d+)\s*(${units.join('|')})(?!\p{L})\s*`;
const component = new RegExp(one, 'gu');
const compound = new RegExp(`^\\s*[+-]?(?:${one}){2,}$`, 'u');

/**
 * A duration of several components in seconds, as Go and others print them, the larger ones first: `1m30.5s`, `1h0m0s`,
 * `2d 4h`; undefined where the text is none.
 */
export function parseCompoundDuration(text: string): number | undefined {
  if (!compound.test(text)) return undefined;
  const components = [...text.matchAll(component)].map(([, number, unit = '']) => {
    return { number: Number(number), nanoseconds: times.get(unit) ?? Number.NaN };
  });
  const isDescending = components.every(
    ({ nanoseconds }, at) => nanoseconds < (components[at - 1]?.nanoseconds ?? Infinity),
  );
  if (!isDescending) return undefined;
  const seconds = components.reduce((sum, { number, nanoseconds }) => sum + number * nanoseconds, 0) / second;
  return text.trimStart().startsWith('-') ? -seconds : seconds;
}
