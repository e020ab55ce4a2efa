/** What a remote refused, with its status: who asked may know what to do. */
import { RemoteError } from "../../errors.ts";

/** An answer with a status of 400 and more, or one that leads elsewhere where that is not followed. */
export class RefusedError extends RemoteError {
  /**
   * @param status of HTTP
   * @param reason what the remote says
   * @param retryAfterMs what it wants to be waited, if it says so
   */
  constructor(
    address: string,
    override readonly status: number,
    readonly reason: string,
    message: string,
    readonly retryAfterMs?: number,
  ) {
    super(address, message, { status });
  }
}
