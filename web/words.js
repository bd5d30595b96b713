// What happened, in words: for outcomes, and for what the service refused.
import { Lost, Refused } from "./execute.js";
import { count } from "./text.js";

const OUTCOMES = {
  ok: "Finished",
  no_main: "There is no main()",
  exception: "It raised an exception",
  not_serializable: "The result is not JSON",
  output_limit: "The result is too large",
  timeout: "Its time was over",
  memory: "It ran out of memory",
  scratch_limit: "Its files were too large",
  thread_limit: "It had too many threads",
  killed: "It was killed",
  exited: "It left without a result",
  cancelled: "Cancelled",
  lost: "The run was lost",
};

export const outcomeText = (outcome) => OUTCOMES[outcome] ?? "It did not run";

/** What an outcome means for whoever wrote the script; "" where the error says it all. */
export function advice(result) {
  const { outcome, limits, exception } = result;
  const module = exception?.type === "ModuleNotFoundError" && /No module named '([^']+)'/.exec(exception.message)?.[1];
  if (module) return `This service does not have ${module}. Scripts use what its operator has installed.`;
  if (/^main\(\) takes 0 positional arguments but 1 was given/.test(exception?.message)) {
    return "There is something under Input, which main() is called with: write def main(order), or clear it.";
  }
  if (outcome === "timeout") return `A script may run for ${count(limits.wall_ms, "millisecond")} here.`;
  if (outcome === "memory") return `A script may use ${limits.memory_mb} MiB here.`;
  if (outcome === "scratch_limit") return `Files in /tmp may take ${limits.scratch_mb} MiB here.`;
  if (outcome === "no_main") return "The service calls main() and answers with what it returns: define one.";
  if (outcome === "killed") return "A signal ended it: a crash, or something that the sandbox does not let a script do.";
  if (outcome === "exited") return "sys.exit() and os._exit() end it before main() has returned.";
  return "";
}

function later({ retryAfter }) {
  return retryAfter ? ` Try again in ${count(retryAfter, "second")}.` : " Try again in a moment.";
}

const REFUSALS = {
  401: () => ["It wants a key", "The service runs scripts for those who have a key."],
  403: () => ["This key may not run scripts", "It may only read."],
  413: (error) => ["That is too much", error.message],
  429: (error) => ["This key has used what it may", `Its rate or number of runs is at its limit.${later(error)}`],
  503: (error) => ["The service is busy", `${error.message}${later(error)}`],
};

/** [title, text] of an error that is no run's result. */
export function refusalText(error) {
  if (error instanceof Refused) return (REFUSALS[error.status] ?? (() => ["The service refused it", error.message]))(error);
  if (error instanceof Lost) return ["No connection", `${error.message} Is it still running, and reachable from here?`];
  return ["This did not work", error.message];
}
