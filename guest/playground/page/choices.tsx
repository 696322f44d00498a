// What decides what an event is: the parser's options.

import { choose, forgetDatabase } from "./actions.ts";
import type { Choices as ChoicesType } from "./address.ts";
import { FORMATS } from "./samples.ts";
import { useStore } from "./state.ts";

const SCHEMA_TITLES: Record<string, string> = { sekoia: "Sekoia", elastic: "Elastic (ECS 8.11)", snare: "Snare" };

export function Choices() {
  const description = useStore((state) => state.description);
  const choices = useStore((state) => state.choices);
  const refusal = useStore((state) => state.refusal);
  const names = useStore((state) => state.databaseNames);
  const isOfFormat = refusal !== "" && choices.format.trim() !== "" && refusal.includes("format");
  const isOfDatabase = (names.city !== undefined || names.asn !== undefined) && /geo and AS|atabase|MaxMind/.test(refusal);
  const schemas = description?.schemas ?? [];
  const pick = <K extends keyof ChoicesType>(key: K, value: string) => void choose({ [key]: value });
  return (
    <section class="panel choices" aria-labelledby="choices-heading">
      <h2 id="choices-heading" class="visually-hidden">
        Choices
      </h2>
      <label class="field">
        <span>Schema</span>
        <select id="schema" value={choices.schema || schemas[0]} onChange={(event) => pick("schema", event.currentTarget.value)}>
          {schemas.map((name) => (
            <option key={name} value={name}>
              {SCHEMA_TITLES[name] ?? name}
            </option>
          ))}
        </select>
      </label>
      <div class="field wide">
        <label for="format">Format of the lines</label>
        <input
          id="format"
          list="formats"
          value={choices.format}
          placeholder="found by header line or column count"
          spellcheck={false}
          autocomplete="off"
          aria-invalid={isOfFormat}
          aria-describedby={isOfFormat ? "format-error" : undefined}
          onInput={(event) => pick("format", event.currentTarget.value)}
        />
        <datalist id="formats">
          {FORMATS.map((format) => (
            <option key={format} value={format} />
          ))}
        </datalist>
      </div>
      <label class="field">
        <span>Original record</span>
        <select id="original" value={choices.message} onChange={(event) => pick("message", event.currentTarget.value)}>
          <option value="">by schema</option>
          <option value="keep">keep</option>
          <option value="leave">leave out</option>
        </select>
      </label>
      <label class="field">
        <span>Event’s time</span>
        <select id="time" value={choices.time} onChange={(event) => pick("time", event.currentTarget.value)}>
          <option value="">by schema</option>
          <option value="start">start</option>
          <option value="end">end</option>
        </select>
      </label>
      <label class="check">
        <input id="event-id" type="checkbox" checked={choices.eventId} onChange={(event) => void choose({ eventId: event.currentTarget.checked })} />
        Event ids
      </label>
      {(["city", "asn"] as const).map(
        (kind) =>
          names[kind] !== undefined && (
            <span class="chip" key={kind}>
              {kind === "asn" ? "Networks" : "Places"}: {names[kind]}
              <button type="button" aria-label={`Remove ${names[kind]}`} onClick={() => void forgetDatabase(kind)}>
                ×
              </button>
            </span>
          ),
      )}
      {refusal !== "" && (
        <p class="error" role="alert" id={isOfFormat ? "format-error" : "choice-error"}>
          {refusal}
          {isOfDatabase && ". Remove the database, or choose another schema."}
        </p>
      )}
    </section>
  );
}
