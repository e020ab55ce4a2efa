/** Asking many questions in order, a few of them before the answers to others have come. */

/** What `ask` gives for each, in order, asked a few ahead. Leaving early asks no more. */
export async function* ahead<Q, A>(
  questions: readonly Q[],
  count: number,
  ask: (question: Q) => Promise<A>,
): AsyncGenerator<A, void, void> {
  const asked: Promise<A>[] = [];
  for (let next = 0; next < questions.length || asked.length > 0;) {
    while (next < questions.length && asked.length < count) {
      const answer = ask(questions[next++]);
      answer.catch(() => {}); // reported where it is awaited, which may be later or, after an early end, never
      asked.push(answer);
    }
    yield await asked.shift()!;
  }
}
