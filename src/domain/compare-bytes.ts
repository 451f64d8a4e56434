/** The order of collation "C", for sorting. JavaScript's own differs beyond the Basic Multilingual Plane. */
export function compareBytes(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
}
