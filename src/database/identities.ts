import { Failure } from '../domain/failure.ts';

/**
 * Remembers which database carries which identity, so that one database reached by two URLs does not pass for two
 * copies.
 *
 * @returns The function that takes note of one. It throws a Failure `duplicate_database` when another name has it.
 */
export function createIdentities(): (name: string, identity: string) => void {
  const nameOf = new Map<string, string>();
  return (name, identity) => {
    const holder = nameOf.get(identity) ?? name;
    if (holder !== name) {
      throw new Failure(
        'duplicate_database',
        `is the same database as ${holder}. If it is a copy, made to be a second one, give it an identity of its own: ` +
          'update database_identity set id = gen_random_uuid()',
      );
    }
    // A database that was replaced behind its URL gives up the identity that it had.
    for (const [known, owner] of nameOf) if (owner === name) nameOf.delete(known);
    nameOf.set(identity, name);
  };
}
