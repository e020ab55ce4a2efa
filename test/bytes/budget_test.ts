/** A bound on what is under way: who is admitted when. */
import assert from "node:assert/strict";
import { Budget } from "../../src/bytes/budget.ts";

/** Takes an amount and notes when it was admitted. */
function taker(budget: Budget) {
  const admitted: string[] = [];
  return {
    admitted,
    take(name: string, amount: number) {
      const wait = budget.take(amount);
      if (wait) void wait.then(() => admitted.push(name));
      else admitted.push(name);
    },
  };
}

const turn = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("budget: what fits is admitted at once, without a promise", () => {
  const budget = new Budget(10);
  assert.equal(budget.take(4), undefined);
  assert.equal(budget.take(6), undefined);
  assert.equal(budget.used, 10);
  assert.notEqual(budget.take(1), undefined);
  assert.equal(budget.used, 10);
  budget.give(1);
  assert.equal(budget.used, 10);
});

Deno.test("budget: first come, first served, though a later one would fit", async () => {
  const budget = new Budget(10);
  const { take, admitted } = taker(budget);
  for (const [name, amount] of [["a", 8], ["b", 5], ["c", 1], ["d", 5]] as const) take(name, amount);
  await turn();
  assert.deepEqual(admitted, ["a"]);
  budget.give(8);
  await turn();
  assert.deepEqual(admitted, ["a", "b", "c"]);
  budget.give(1);
  await turn();
  assert.deepEqual(admitted, ["a", "b", "c", "d"]);
  assert.equal(budget.used, 10);
});

Deno.test("budget: an amount over the limit is admitted alone", async () => {
  const budget = new Budget(10);
  const { take, admitted } = taker(budget);
  for (const [name, amount] of [["a", 50], ["b", 1], ["c", 50], ["d", 1]] as const) take(name, amount);
  const steps: string[] = [];
  for (const given of [50, 1, 50, 1]) {
    await turn();
    steps.push(`${admitted.join("")}:${budget.used}`);
    budget.give(given);
  }
  assert.deepEqual(steps, ["a:50", "ab:1", "abc:50", "abcd:1"]);
  assert.equal(budget.used, 0);
});

Deno.test("budget: nothing can always be taken", () => {
  const budget = new Budget(1);
  budget.take(1);
  assert.equal(budget.take(0), undefined);
});
