import { maintainForever } from '../database/maintain.ts';
import type { PackOptions } from '../database/pack.ts';
import { watchClocks } from '../database/watch-clocks.ts';
import { type RepairForeverOptions, repairForever } from '../repair/repair-forever.ts';

/** Maintains each database, repairs between them and watches their clocks, until the signal. Several processes may: one is elected each time. */
export async function lookAfter(options: PackOptions & RepairForeverOptions, signal: AbortSignal): Promise<void> {
  await Promise.all([maintainForever(options, signal), repairForever(options, signal), watchClocks(options, signal)]);
}
