// Where the lines come from: the editor with its samples, or files.

import { backToText, chooseSample, takeFiles } from "./actions.ts";
import { Editor } from "./editor.tsx";
import { Files } from "./files.tsx";
import { GROUPS, SAMPLES, sample as sampleOf } from "./samples.ts";
import { useStore } from "./state.ts";

export function Input() {
  const hasFiles = useStore((state) => state.files.length > 0);
  return (
    <section class="panel input" aria-labelledby="input-heading">
      <div class="bar">
        <h2 id="input-heading">Flow logs</h2>
        {hasFiles ? (
          <button type="button" id="back-to-text" onClick={() => void backToText()}>
            Back to the text
          </button>
        ) : (
          <SampleChooser />
        )}
        <FileButton />
      </div>
      <div class="editor-frame" hidden={hasFiles}>
        <Editor />
      </div>
      {hasFiles && <Files />}
      <p class="hint" id="editor-help" hidden={hasFiles}>
        Point at a column to see what it becomes; F8 goes to the next mistake.
      </p>
    </section>
  );
}

function SampleChooser() {
  const shown = useStore((state) => state.sample);
  return (
    <label class="field sample">
      <span class="visually-hidden">Sample</span>
      <select id="sample" value={shown ?? ""} title={sampleOf(shown)?.about} onChange={(event) => void chooseSample(event.currentTarget.value)}>
        {shown === null && (
          <option value="" disabled>
            Your text
          </option>
        )}
        {GROUPS.map((group) => (
          <optgroup key={group} label={group}>
            {SAMPLES.filter((one) => one.group === group).map((one) => (
              <option key={one.id} value={one.id}>
                {one.title}
              </option>
            ))}
          </optgroup>
        ))}
      </select>
    </label>
  );
}

function FileButton() {
  return (
    <label class="button primary file-button">
      Open files …
      <input
        type="file"
        id="files"
        multiple
        accept=".log,.txt,.gz,.json,.ndjson,.jsonl,.zst,.parquet,.mmdb"
        onChange={(event) => {
          const { files } = event.currentTarget;
          void takeFiles([...(files ?? [])]);
          // So that the same file may be chosen again.
          event.currentTarget.value = "";
        }}
      />
    </label>
  );
}
