/** What a token allows: to read, to write, or everything. */
export const scopes = ['read', 'write', 'admin'] as const;

/** One of them. */
export type Scope = (typeof scopes)[number];

/** A secret, and what whoever knows it may do. */
export interface Token {
  readonly scope: Scope;
  readonly secret: string;
}
