import fc from 'fast-check';

/** What of JSON Schema the document uses. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly example?: unknown;
  readonly default?: unknown;
}

/** One call of the document. */
export interface Operation {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[];
  readonly body: Schema | undefined;
  /** Documented status codes. */
  readonly statuses: readonly number[];
}

/** The OpenAPI document, as far as tests read it. */
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

interface Described {
  readonly parameters?: Operation['parameters'];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<Record<string, unknown>>;
}

/** Every call that the document describes. */
export function operationsOf({ paths }: OpenApi): Operation[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody, responses }]) => ({
      method: method.toUpperCase(),
      path,
      parameters,
      body: requestBody?.content['application/json']?.schema,
      statuses: Object.keys(responses).map(Number),
    })),
  );
}

/** Any value that a schema allows, near its example where it says less than the service checks. */
export function anyValueOf(schema: Schema, document: OpenApi): fc.Arbitrary<unknown> {
  const { $ref, anyOf, items, properties } = schema;
  if ($ref) return anyValueOf(document.components.schemas[$ref.split('/').at(-1) ?? ''] ?? {}, document);
  if (anyOf) return fc.oneof(...anyOf.map((one) => anyValueOf(one, document)));
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (items) return fc.array(anyValueOf(items, document), { maxLength: 4 });
  if (properties) {
    const fields = Object.entries(properties).map(([name, one]) => [name, anyValueOf(one, document)] as const);
    return fc.record(Object.fromEntries(fields), { requiredKeys: [...(schema.required ?? [])] });
  }
  const known = [schema.example, schema.default].filter((value) => value !== undefined);
  const free = freeValueOf(schema);
  return known.length > 0 ? fc.oneof({ arbitrary: fc.constantFrom(...known), weight: 3 }, free) : free;
}

function freeValueOf({ type, minimum, maximum, minLength = 0, maxLength = 40 }: Schema): fc.Arbitrary<unknown> {
  if (type === 'number') {
    return fc.double({ noNaN: true, noDefaultInfinity: true, min: minimum ?? -1e300, max: maximum ?? 1e300 });
  }
  if (type === 'string') return fc.string({ minLength, maxLength: Math.min(maxLength, 40) });
  return fc.jsonValue();
}

/** As JSON text, so that there may be what no JavaScript value is: too large, too exact, not well-formed, too deep. */
export const oddJson: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    '1e400',
    '-1e400',
    '1e-400',
    '-0',
    '9007199254740993',
    '1.0000001e300',
    '1355202720000',
    '9404208000000',
    '"300000-01-01T00:00:00Z"',
    '"2012-12-11T05:12:60Z"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\\u0000"',
    '"\\u202e\\ufeff"',
    '"__proto__"',
    '{"__proto__": {"name": "a"}}',
    '{"toString": null, "constructor": {"prototype": {}}}',
    'null',
    'true',
    '[]',
    '{}',
    `${'['.repeat(200)}${']'.repeat(200)}`,
  ),
  fc.string({ unit: 'binary', maxLength: 300 }).map((text) => JSON.stringify(text)),
  fc.jsonValue().map((value) => JSON.stringify(value) ?? 'null'),
);

/** The text of a value in which some parts, anywhere, are replaced by odd ones, left out, or joined by others. */
export function mutated(value: unknown): fc.Arbitrary<string> {
  const paths = pathsOf(value);
  const change = fc.tuple(fc.constantFrom(...paths), fc.option(oddJson), fc.string({ maxLength: 5 }));
  return fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) => {
    const byPath = new Map(changes.map(([path, json, extra]) => [path, { json, extra }]));
    return render(value, '', byPath) ?? 'null';
  });
}

function pathsOf(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, one]) => pathsOf(one, `${path}/${key}`))];
}

type Changes = ReadonlyMap<string, { readonly json: string | null; readonly extra: string }>;

/** Undefined: left out. */
function render(value: unknown, path: string, changes: Changes): string | undefined {
  const change = changes.get(path);
  if (change?.json) return change.json;
  if (change && path !== '' && (typeof value !== 'object' || value === null)) return undefined;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value).flatMap(([key, one]) => {
    const text = render(one, `${path}/${key}`, changes);
    if (text === undefined) return [];
    return [Array.isArray(value) ? text : `${JSON.stringify(key)}:${text}`];
  });
  if (Array.isArray(value)) return `[${members.join(',')}]`;
  return `{${[...members, ...(change ? [`${JSON.stringify(change.extra)}:1`] : [])].join(',')}}`;
}
