import { parseCompoundDuration } from '../../../domain/units.ts';

/** A number and what it is counted in. */
export interface Measured {
  readonly value: number;
  /** Undefined: the line does not tell. */
  readonly units: string | undefined;
}

const number = /^\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?)\s*/iu;

/** What a sentence puts behind a number: `took 5ms, then …`. */
const punctuation = new Set([...' ,;.:!\t\r\n']);

/**
 * Units begin with a letter or a sign, and have no digits but exponents: `ms`, `%`, `/s`, `MB/s`, `m/s2`, `s^-1`. Anything else
 * behind a number means that the whole is no number: `10-20`, `13,43ms`, `1.2.3`, `4f3c2a`.
 */
const part = String.raw`[\p{L}\p{Sc}%‰°#'"][\p{L}\p{M}%]*(?:\^?-?\d(?!\d))?`;
const unitsForm = new RegExp(`^/?${part}(?:[/·*._ -]${part})*$`, 'u');

/** `0x1f`, `0b101`, `0o17` are numbers to some, and 0 to nobody. */
const otherBase = /^0[xbo][\da-f]+$/i;

/** Characters; no number with its units is as long. */
const textMax = 400;

/** As of every statistic. */
export const magnitudeMax = 1e300;

/** Reads the value of a pair; a value that is left out is 1. Undefined where the text is no number, with or without units. */
export function parseValue(text: string | undefined): Measured | undefined {
  if (text === undefined || text === '') return { value: 1, units: undefined };
  if (text.length > textMax || otherBase.test(text.trim())) return undefined;
  const seconds = parseCompoundDuration(text);
  if (seconds !== undefined) return { value: seconds, units: 's' };
  const [all = '', digits] = number.exec(text) ?? [];
  const value = Number(digits);
  if (digits === undefined || !(Math.abs(value) <= magnitudeMax)) return undefined;
  const rest = withoutPunctuation(text.slice(all.length));
  if (rest === '') return { value, units: undefined };
  return isUnitsText(rest) ? { value, units: rest } : undefined;
}

/** Whether a text is what this module takes for units. Others that a series may have were given by other doors. */
export function isUnitsText(units: string): boolean {
  return unitsForm.test(units);
}

function withoutPunctuation(text: string): string {
  let end = text.length;
  while (punctuation.has(text[end - 1] ?? '')) end -= 1;
  return text.slice(0, end);
}
