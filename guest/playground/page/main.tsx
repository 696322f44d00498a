// The page: input on the left, results on the right, and the explanation of one record below.

import "./style.css";
import { render } from "preact";
import { useState } from "preact/hooks";
import { link, start } from "./actions.ts";
import { Choices } from "./choices.tsx";
import { Download } from "./download.tsx";
import { Explanation } from "./explanation.tsx";
import { DropZone } from "./files.tsx";
import { Input } from "./input.tsx";
import { Message } from "./message.tsx";
import { Filters, Numbers } from "./numbers.tsx";
import { change } from "./state.ts";
import { Tabs } from "./tabs.tsx";
import { startTheme, ThemeButton } from "./theme.tsx";

function Page() {
  return (
    <>
      <a class="skip" href="#results" onClick={skip}>
        Skip to the results
      </a>
      <header class="head">
        <h1>
          vpcflow <span>playground</span>
        </h1>
        <p>AWS flow logs become ECS events, here in your browser.</p>
        <CopyLink />
        <ThemeButton />
      </header>
      <main>
        <Message />
        <div class="work">
          <div class="side">
            <Input />
            <Choices />
          </div>
          <section class="panel results" id="results" tabIndex={-1} aria-labelledby="results-heading">
            <h2 id="results-heading" class="visually-hidden">
              Results
            </h2>
            <div class="results-bar">
              <Numbers />
              <Download />
            </div>
            <Filters />
            <Tabs />
          </section>
        </div>
        <Explanation />
      </main>
      <footer>
        <p>
          Runs in this page. Nothing is sent anywhere. <a href="licenses.txt">Licences</a>
        </p>
      </footer>
      <DropZone />
    </>
  );
}

/** The address behind # has the choices, and so no place for a target. */
function skip(event: MouseEvent) {
  event.preventDefault();
  document.getElementById("results")!.focus();
}

function CopyLink() {
  const [said, say] = useState("");
  async function copy() {
    try {
      await navigator.clipboard.writeText(link());
      say("Copied");
    } catch {
      // Where the clipboard is not allowed, the address bar has it.
      history.replaceState(null, "", link());
      say("It is in the address bar");
    }
    setTimeout(() => say(""), 2000);
  }
  return (
    <>
      <button type="button" class="quiet" id="copy-link" title="The choices and the sample, never your lines" onClick={() => void copy()}>
        {said || "Copy link"}
      </button>
      <span class="visually-hidden" role="status">
        {said}
      </span>
    </>
  );
}

startTheme();
render(<Page />, document.getElementById("page")!);
start().catch((error: Error) => change({ refusal: error.message }));
