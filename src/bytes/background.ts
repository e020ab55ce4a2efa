/**
 * Work that goes on behind a loop, with a bound on how much: the loop starts tasks and waits only for room.
 */
import { Budget } from "./budget.ts";

export class Background {
  #budget: Budget;
  #tasks = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;

  /** @param limit weight of the tasks that may be under way at once */
  constructor(limit: number) {
    this.#budget = new Budget(limit);
  }

  /** Waits until there is room for a task of this weight, and takes it. Throws what the first task failed with, if one did. */
  async room(weight: number): Promise<void> {
    await this.#budget.take(weight);
    if (!this.#failure) return;
    this.#budget.give(weight);
    throw this.#failure.error;
  }

  /** Follows a task that was started in the room taken for it. */
  follow(weight: number, task: Promise<void>): void {
    const followed = task.catch((error) => {
      this.#failure ??= { error };
    }).then(() => {
      this.#tasks.delete(followed);
      this.#budget.give(weight);
    });
    this.#tasks.add(followed);
  }

  /** Waits until nothing is under way, whatever became of it. */
  async idle(): Promise<void> {
    await Promise.all(this.#tasks);
  }

  /** Throws what the first task failed with, if one did. */
  check(): void {
    if (this.#failure) throw this.#failure.error;
  }
}
