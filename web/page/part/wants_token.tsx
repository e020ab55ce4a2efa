/** Where a server wants a token, or another one: what it is asked for with from then on, typed in the place of the failure. */
import { useId, useState } from "preact/hooks";
import type { Fault } from "../../engine/engine.ts";
import { faultOf } from "../../engine/fault.ts";
import { shown } from "../../engine/shown.ts";
import { engine, settings } from "../store.ts";

/** Whether another token might help. */
export function wantsToken({ address, status }: Fault): boolean {
  return address !== undefined && (status === 401 || status === 403);
}

export function TokenForm({ address, again }: { address: string; again: () => void }) {
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState("");
  const id = useId();
  const { origin } = new URL(address);
  const give = async (event: Event) => {
    event.preventDefault();
    try {
      settings.value = await engine.giveToken(origin, token);
    } catch (error) {
      return setProblem(faultOf(error).message);
    }
    setToken("");
    setProblem("");
    again();
  };
  return (
    <form class="stack tight" onSubmit={give}>
      <div class="field">
        <label for={id}>Token for {shown(origin)}</label>
        <input
          id={id}
          type="password"
          required
          autocomplete="off"
          value={token}
          aria-describedby={`${id}-kept`}
          aria-invalid={problem !== ""}
          onInput={({ currentTarget }) => setToken(currentTarget.value)}
        />
      </div>
      {problem && <p role="alert">{problem}</p>}
      <p id={`${id}-kept`} class="dim">
        Kept in this browser and sent to this server alone. The settings forget it.
      </p>
      <div>
        <button type="submit" class="small">Use it, and try again</button>
      </div>
    </form>
  );
}
