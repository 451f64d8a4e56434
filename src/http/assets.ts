import { hash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { Context } from 'hono';
import { acceptsGzip } from './gzip.ts';

/** A file that is part of the service itself. */
export interface Asset {
  readonly bytes: Buffer<ArrayBuffer>;
  readonly compressed: Buffer<ArrayBuffer>;
  readonly headers: Readonly<Record<string, string>>;
  readonly etag: string;
}

/** Creates an asset, and compresses it once, at the highest level. */
export function createAsset(bytes: Buffer<ArrayBuffer>, headers: Readonly<Record<string, string>>): Asset {
  const etag = `"${hash('sha256', bytes, 'base64url').slice(0, 22)}"`;
  return { bytes, compressed: gzipSync(bytes, { level: 9 }), headers, etag };
}

/** Creates a cache: each asset is made at the first request for it and kept. Together they are small. */
export function createAssets(): (key: string, make: () => Asset) => Asset {
  const assets = new Map<string, Asset>();
  return (key, make) => {
    const asset = assets.get(key) ?? make();
    assets.set(key, asset);
    return asset;
  };
}

/** Answers with an asset, compressed if the client accepts gzip, or with 304 if the client has it already. */
export function answerAsset(c: Context, { bytes, compressed, headers, etag }: Asset): Response {
  c.header('Vary', 'Accept-Encoding', { append: true });
  if (c.req.header('If-None-Match')?.includes(etag)) {
    const { 'Content-Type': _, ...others } = headers;
    return c.body(null, 304, { ...others, ETag: etag });
  }
  if (!acceptsGzip(c.req.header('Accept-Encoding'))) return c.body(bytes, 200, { ...headers, ETag: etag });
  return c.body(compressed, 200, { ...headers, ETag: etag, 'Content-Encoding': 'gzip' });
}
