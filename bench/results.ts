// What results.json keeps of a measurement.
import { z } from 'zod';

const peerSchema = z.object({
  name: z.string(),
  version: z.string(),
  times: z.array(z.number()).optional(),
  absent: z.string().optional(),
});

export const resultSchema = z.object({
  name: z.string(),
  /** What of ours was measured. */
  own: z.string(),
  ours: z.array(z.number()),
  peers: z.array(peerSchema),
  unit: z.enum(['ms', 's', 'bytes', 'MiB']),
  target: z.string(),
  reached: z.boolean().optional(),
  note: z.string().optional(),
  machine: z.string(),
  /** Processes that wanted a core when it began. */
  load: z.number(),
  date: z.string(),
});
export type Result = z.infer<typeof resultSchema>;

export const resultsSchema = z.record(z.string(), resultSchema);
