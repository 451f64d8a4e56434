import type { Kind } from '../../../domain/summarize.ts';
import { nameProblem } from '../../../domain/summary.ts';
import { type Pair, pairsOf } from './logfmt.ts';
import { type Measured, parseValue } from './parse-value.ts';
import type { LogLine } from './syslog-frames.ts';

/** One value of one metric. */
export interface Value extends Measured {
  readonly kind: Kind;
  /** With prefix and source. */
  readonly name: string;
}

/** A pair that was meant to be a value and is none. */
export interface BrokenPair {
  readonly problem: string;
  readonly text: string;
}

/** From the query of a drain's URL. */
export interface Prefixes {
  readonly prefix: string | undefined;
  readonly sourcePrefix: string | undefined;
}

const kindOf: readonly (readonly [beginning: string, kind: Kind])[] = [
  ['measure#', 'measurement'],
  // What l2met took first.
  ['measure.', 'measurement'],
  ['sample#', 'sample'],
  ['count#', 'counter'],
];

/** What Heroku's router says of each request. */
const routerKeys = new Set(['bytes', 'connect', 'service']);

/** What l2met took off the beginning of a name, in this order, whichever of them made it a metric. */
const stripped = /^(?:measure#)?(?:measure\.)?(?:count#)?(?:sample#)?/;

/** Characters of what is broken that are shown. */
const textMax = 200;

/**
 * The values in a line: `measure#a=4ms`, `sample#b=21MB`, `count#c=2`, of the router also its own; what else there is, is
 * none of them. A value that is left out is 1. `source=web.1`, anywhere in the line, becomes a tag of all their names.
 */
export function* valuesOf({ procid, message }: LogLine, prefixes: Prefixes): Generator<Value | BrokenPair> {
  const pairs = [...pairsOf(message)];
  const source = sourceOf(pairs, prefixes.sourcePrefix);
  for (const pair of pairs) {
    const metric = metricOf(pair, procid);
    if (metric === undefined) continue;
    const [kind, bare] = metric;
    const name = `${prefixes.prefix && bare ? `${prefixes.prefix}.` : ''}${bare}${bare && source ? `;source=${source}` : ''}`;
    const measured = parseValue(pair.value);
    const problem = problemOf(pair, bare, name);
    if (problem === undefined && measured) yield { kind, name, ...measured };
    else yield { problem: problem ?? 'is not a number', text: textOf(pair).slice(0, textMax) };
  }
}

function textOf({ key, value, isWhole }: Pair): string {
  return isWhole ? `${key}${value === undefined ? '' : `=${value}`}` : `${key}="`;
}

function problemOf({ isWhole }: Pair, bare: string, name: string): string | undefined {
  if (!isWhole) return 'has a quote that does not end';
  if (bare === '') return 'has no name';
  return name.includes('\uFFFD') ? 'has a name that is not UTF-8' : nameProblem(name);
}

/** The router says nothing of what there was not: of a request that reached no process it has neither times nor bytes. */
function metricOf({ key, value, isWhole }: Pair, procid: string): readonly [Kind, string] | undefined {
  const [, kind] = kindOf.find(([start]) => key.startsWith(start)) ?? [];
  if (kind !== undefined) return [kind, key.replace(stripped, '')];
  const isSaid = Boolean(value) || !isWhole;
  return procid === 'router' && isSaid && routerKeys.has(key) ? ['measurement', `router.${key}`] : undefined;
}

/** The first one, so that it can be part of a name: a tag's value has no semicolon and begins with no tilde. */
function sourceOf(pairs: readonly Pair[], prefix: string | undefined): string {
  const { value: source = '' } = pairs.find(({ key, isWhole }) => key === 'source' && isWhole) ?? {};
  return [prefix ?? '', source]
    .filter((part) => part !== '')
    .join('.')
    .replaceAll(';', '_')
    .replace(/^~/, '_');
}
