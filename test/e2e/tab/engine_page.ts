/** The script of the page without looks: the engine as a global, and what is needed to call it from a test. */
import * as Comlink from "comlink";
import { connectEngine } from "../../../web/engine/connect.ts";

const worker = new Worker(new URL("WORKER_OF_THE_PAGE", document.baseURI), { type: "module" });
worker.addEventListener("error", (event) => console.error("worker:", event.message));

Object.assign(globalThis, { engine: connectEngine(worker), proxy: Comlink.proxy });
