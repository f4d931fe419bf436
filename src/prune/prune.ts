// Prunes one repository: reads it, decides, and deletes unless it is only asked what would be.
import { ok, type Result } from '../failure.ts';
import { formatReference } from '../image/reference.ts';
import type { Repository } from '../registry/client.ts';
import { agesNeeded, type Known, type Rules } from './candidates.ts';
import { type Asked, askCapability } from './capability.ts';
import { readCreated } from './created.ts';
import { type Capability, type Decision, decide } from './decide.ts';
import { type Deletion, deleteItems } from './delete.ts';
import type { DeletionRecord } from './record.ts';
import { emptySnapshot, type PruneStore, refresh } from './snapshot.ts';
import { isExact } from './tag-names.ts';

export interface PruneRequest {
  repository: Repository;
  rules: Rules;
  known: Known;
  /** Of a registry that need not be asked. */
  capability?: Capability;
  /** Random, for a name that nothing has: see askCapability. */
  unlikely: string;
  /** Where what is deleted is written down; without it nothing is deleted. */
  record?: DeletionRecord;
  /** Ms since the epoch. */
  now(): number;
}

export interface Pruned {
  /** `host/repository`. */
  repository: string;
  capability: Asked;
  decision: Decision;
  /** Empty where nothing was to be deleted, or only looked at. */
  done: Deletion[];
}

export async function pruneRepository(
  store: PruneStore,
  request: PruneRequest,
  signal: AbortSignal,
): Promise<Result<Pruned>> {
  const { repository, rules, known, record, now } = request;
  const snapshot = emptySnapshot(repository, rules.ofConfig.filter(isExact));
  const name = formatReference(snapshot.repository);
  const look = async (capability: Capability): Promise<Result<Decision>> => {
    const read = await refresh(
      snapshot,
      store,
      [...known.listed.keys(), ...known.pinnedDigests.keys(), ...known.wayBack.values()],
      signal,
    );
    if (!read.ok) return read;
    const created = await readCreated(snapshot, store, agesNeeded(snapshot, rules, known), signal);
    return created.ok ? ok(decide(snapshot, rules, known, created.value, capability)) : created;
  };
  const everything = { tags: true, digests: true };
  let capability: Asked = request.capability ?? everything;
  let decided = await look(capability);
  if (!decided.ok) return decided;
  if (!request.capability && decided.value.items.length > 0) {
    const asked = await askCapability(store, repository, request.unlikely, signal);
    if (!asked.ok) return asked;
    capability = asked.value;
    if (record && capability.doubt) return { ok: false, failure: capability.doubt };
    decided = await look(capability);
    if (!decided.ok) return decided;
  }
  const done: Deletion[] = [];
  if (!record) return ok({ repository: name, capability, decision: decided.value, done });
  const context = { store, rules, known, record, now };
  const first = await deleteItems(snapshot, decided.value, context, signal);
  if (!first.ok) return first;
  done.push(...first.value.done);
  if (first.value.unsupported) {
    capability = { ...capability, tags: false };
    decided = await look(capability);
    if (!decided.ok) return decided;
    const second = await deleteItems(snapshot, decided.value, context, signal);
    if (!second.ok) return second;
    done.push(...second.value.done);
  }
  return ok({ repository: name, capability, decision: decided.value, done });
}
