/**
 * One-dimensional arrays without nulls in PostgreSQL's binary format, for the parameters of a statement: `pg` sends a
 * Buffer as it is. Encoding an array so takes about a quarter of the time that its text takes, on both ends.
 *
 * Format: number of dimensions, null flag, element type, length, lower bound (int32 each), then for each element its
 * length and its bytes, all big-endian (`array_recv` in src/backend/utils/adt/arrayfuncs.c).
 */

/** Type ids of PostgreSQL, fixed in src/include/catalog/pg_type.dat. */
const typeId = { bytea: 17, int4: 23, text: 25, float8: 701, timestamptz: 1184, uuid: 2950 } as const;

const headerBytes = 20;
const lengthBytes = 4;

function arrayOf(type: keyof typeof typeId, length: number, elementBytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(headerBytes + elementBytes);
  buffer.writeInt32BE(1, 0);
  buffer.writeInt32BE(0, 4);
  buffer.writeInt32BE(typeId[type], 8);
  buffer.writeInt32BE(length, 12);
  buffer.writeInt32BE(1, 16);
  return buffer;
}

function fixedWidthArray<Value>(
  type: keyof typeof typeId,
  width: number,
  values: readonly Value[],
  write: (buffer: Buffer, value: Value, offset: number) => void,
): Buffer {
  const buffer = arrayOf(type, values.length, values.length * (lengthBytes + width));
  let offset = headerBytes;
  for (const value of values) {
    buffer.writeInt32BE(width, offset);
    write(buffer, value, offset + lengthBytes);
    offset += lengthBytes + width;
  }
  return buffer;
}

/** An `int4[]`. */
export function int4Array(values: readonly number[]): Buffer {
  return fixedWidthArray('int4', 4, values, (buffer, value, offset) => buffer.writeInt32BE(value, offset));
}

/** A `float8[]`. */
export function float8Array(values: readonly number[]): Buffer {
  return fixedWidthArray('float8', 8, values, (buffer, value, offset) => buffer.writeDoubleBE(value, offset));
}

/** 2000-01-01, from which PostgreSQL counts, in Unix seconds. */
const postgresEpoch = 946_684_800;

/** An instant as PostgreSQL keeps it: whole microseconds since 2000-01-01 (UTC). */
export function microsecondsOf(unixSeconds: number): number {
  return Math.round((unixSeconds - postgresEpoch) * 1e6);
}

/** `-infinity` of PostgreSQL: the least of its integers. */
const minusInfinity = -(2 ** 63);

/** A `timestamptz[]` of Unix seconds, to the microsecond; may hold minus infinity. */
export function timestamptzArray(values: readonly number[]): Buffer {
  return fixedWidthArray('timestamptz', 8, values, (buffer, value, offset) => {
    const microseconds = value === Number.NEGATIVE_INFINITY ? minusInfinity : microsecondsOf(value);
    buffer.writeInt32BE(Math.floor(microseconds / 2 ** 32), offset);
    buffer.writeInt32BE(microseconds | 0, offset + 4);
  });
}

/** A `uuid[]` of UUIDs in their usual text form. */
export function uuidArray(values: readonly string[]): Buffer {
  return fixedWidthArray('uuid', 16, values, (buffer, value, offset) =>
    buffer.write(value.replaceAll('-', ''), offset, 16, 'hex'),
  );
}

function anyWidthArray<Value>(
  type: keyof typeof typeId,
  values: readonly Value[],
  bytesOf: (value: Value) => number,
  write: (buffer: Buffer, value: Value, offset: number) => void,
): Buffer {
  const widths = values.map(bytesOf);
  const total = widths.reduce((sum, width) => sum + width + lengthBytes, 0);
  const buffer = arrayOf(type, values.length, total);
  let offset = headerBytes;
  values.forEach((value, index) => {
    const width = widths[index] ?? 0;
    buffer.writeInt32BE(width, offset);
    write(buffer, value, offset + lengthBytes);
    offset += lengthBytes + width;
  });
  return buffer;
}

/** A `text[]`. */
export function textArray(values: readonly string[]): Buffer {
  return anyWidthArray('text', values, Buffer.byteLength, (buffer, value, offset) => buffer.write(value, offset));
}

/** A `bytea[]`. */
export function byteaArray(values: readonly Uint8Array[]): Buffer {
  return anyWidthArray(
    'bytea',
    values,
    ({ length }) => length,
    (buffer, value, offset) => buffer.set(value, offset),
  );
}
