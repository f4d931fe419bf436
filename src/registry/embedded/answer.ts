// What a route of the embedded registry is given and what it answers: plain data, so that only embedded.ts knows HTTP.
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';

export interface Call {
  method: string;
  /** Of the repository; valid. */
  name: string;
  /** What the path ends in: a tag, a digest or an upload's id; empty where it ends in none. */
  reference: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
  body: Readable;
}

export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: string | Uint8Array | FileRange;
}

/** Bytes of a file; `end` is exclusive. */
export interface FileRange {
  file: string;
  start: number;
  end: number;
}

/** distribution-spec, "Error Codes", and docker's RANGE_INVALID. */
export type ErrorCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'RANGE_INVALID'
  | 'SIZE_INVALID'
  | 'UNKNOWN'
  | 'UNSUPPORTED';

export function refuse(status: number, code: ErrorCode, message: string, headers: Record<string, string> = {}): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ errors: [{ code, message, detail: null }] }),
  };
}

export function json(value: unknown, headers: Record<string, string> = {}): Answer {
  return { status: 200, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(value) };
}
