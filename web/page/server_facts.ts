/** What a firn server says of itself, as it stands at `/firn.json`. */

export interface Facts {
  readonly storeDir: string;
  readonly priority: number;
  readonly publicKeys: readonly string[];
  readonly strictReferences: boolean;
}

/** Asks a server; throws where it is none. */
export async function askFacts(server: string): Promise<Facts> {
  const answer = await fetch(`${server}/firn.json`);
  if (!answer.ok) throw new Error(`Cannot read what ${server} says of itself: it answers ${answer.status}`);
  return await answer.json();
}
