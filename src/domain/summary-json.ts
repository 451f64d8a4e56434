import { sketchToProto } from './sketch-proto.ts';
import type { Summary } from './summary.ts';

/** A summary as JSON, in the form that `POST /metrics` takes. */
export function summaryToJson({ sketch, ...summary }: Summary): string {
  const message = sketch && sketchToProto(sketch);
  return JSON.stringify(message ? { ...summary, sketch: Buffer.from(message).toString('base64') } : summary);
}
