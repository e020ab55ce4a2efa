/** Starts the page: its engine, its address, its service worker, and what is seen. */
import { render } from "preact";
import { App } from "./app.tsx";
import { followRoute } from "./route.ts";
import { startEngine } from "./store.ts";

startEngine();
followRoute();
render(<App />, document.getElementById("app")!);
if ("serviceWorker" in navigator) {
  // Without it the page works as long as its server does.
  navigator.serviceWorker.register("service_worker.js", { scope: "./" }).catch((error) =>
    console.warn(error)
  );
}
