// A run from the button to its end: what it prints as it comes, the clock, the way to cancel it.
import { startConsole } from "./console.js";
import { byId } from "./dom.js";
import { run as execute } from "./execute.js";
import { orderText, streamed } from "./order.js";
import { clearReport, showOutcome, showRefusal, showResult } from "./report.js";
import { count, duration } from "./text.js";
import { outcomeText } from "./words.js";

const SAY_EVERY = 4000; // ms: those who listen to the page are not told of each line

/** Where it is not beside the script but below. */
function showAnswer() {
  if (matchMedia("(max-width: 900px)").matches) byId("answer").scrollIntoView({ block: "start" });
}

/** run(script, keys, files, key) gives what refused it, if anything did; cancel(); expect(limits). */
export function startRuns(editor) {
  const printed = startConsole();
  let controller = null;
  let usual = 5000; // ms: what a service allows that nobody has configured

  const say = (text) => (byId("status").textContent = text);

  function startClock(deadline) {
    const begin = performance.now();
    let said = begin;
    const tick = () => {
      const now = performance.now();
      byId("elapsed").textContent = `${((now - begin) / 1000).toFixed(1)} s`;
      byId("progress").value = Math.min((now - begin) / deadline, 1);
      if (now - said < SAY_EVERY) return;
      said = now;
      say(`Running for ${count(Math.round((now - begin) / 1000), "second")}, ${count(printed.lines(), "line")} printed.`);
    };
    tick();
    const timer = setInterval(tick, 100);
    return () => {
      clearInterval(timer);
      byId("elapsed").textContent = duration(performance.now() - begin);
    };
  }

  function setRunning(running) {
    byId("run").disabled = running;
    byId("cancel").disabled = !running;
    if (!running) byId("progress").value = 0;
  }

  function end(result, given) {
    const { exception, error } = result;
    const mark = exception?.line ? { line: exception.line, column: exception.column, message: error } : null;
    editor.markError(mark);
    showResult(result, given, () => {
      editor.markError(mark);
      editor.focus();
    });
    if (result.limits) usual = result.limits.wall_ms;
    say([outcomeText(result.outcome), error, `${count(printed.lines(), "line")} printed`].filter(Boolean).join(". "));
  }

  async function follow(body, given, key) {
    try {
      for await (const { name, data } of execute(body, key, controller.signal)) {
        if (name === "result") {
          printed.flush();
          end(data, given);
        } else {
          printed.write(name, data.text);
        }
      }
      return null;
    } catch (error) {
      printed.flush();
      if (error.name === "AbortError") {
        showOutcome(outcomeText("cancelled"), "calm");
        say("Cancelled.");
        return null;
      }
      showRefusal(error);
      say(byId("problem").textContent);
      return error;
    }
  }

  async function run(script, keys, given, key) {
    if (controller) return null;
    controller = new AbortController();
    const focused = document.activeElement;
    clearReport();
    printed.clear();
    editor.markError(null);
    setRunning(true);
    showOutcome("Running", "calm");
    say("Running.");
    if (focused === byId("run")) byId("cancel").focus();
    showAnswer();
    const wall = keys.limits ? JSON.parse(keys.limits).wall_ms : usual;
    const stopClock = startClock(wall);
    const error = await follow(orderText(script, streamed(keys)), given, key);
    stopClock();
    showAnswer();
    controller = null;
    setRunning(false);
    if (document.activeElement === document.body && focused === byId("run")) byId("run").focus();
    return error;
  }

  return { run, cancel: () => controller?.abort(), expect: (limits) => (usual = limits.wall_ms) };
}
