// The editor of the lines. It stands in a shadow root: there CodeMirror makes its styles as style sheet objects,
// where elsewhere it writes <style> elements, which the page's policy refuses.

import { linter, lintGutter, nextDiagnostic, setDiagnostics, type Diagnostic } from "@codemirror/lint";
import { Annotation, EditorState, type Text } from "@codemirror/state";
import { EditorView, highlightActiveLine, highlightActiveLineGutter, hoverTooltip, keymap, lineNumbers, placeholder, type Tooltip } from "@codemirror/view";
import { minimalSetup } from "codemirror";
import { useEffect, useRef } from "preact/hooks";
import { edit, select } from "./actions.ts";
import { settingsOf } from "./address.ts";
import { theme } from "./editor_theme.ts";
import { explain } from "./parser.ts";
import { current, useStore } from "./state.ts";
import type { Column, Reject } from "./types.ts";

const EDIT_MILLIS = 200;
const CURSOR_MILLIS = 80;
/** Of a long text before a line, the beginning and the end are looked through for header lines. */
const MOST_BEFORE = 4_000_000;

/** What the page does, and not its reader: a new text is read already, and a record chosen elsewhere is explained. */
const byPage = Annotation.define<"text" | "cursor">();

export function Editor() {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const replacement = useStore((state) => state.replacement);
  const result = useStore((state) => (state.files.length === 0 ? state.result : null));

  const selection = useStore((state) => (state.files.length === 0 ? state.selection : null));

  useEffect(() => {
    const root = place.current!.shadowRoot ?? place.current!.attachShadow({ mode: "open" });
    view.current = new EditorView({ parent: root as unknown as Element, root, state: EditorState.create({ extensions: extensions() }) });
    return () => view.current!.destroy();
  }, []);

  useEffect(() => {
    const { text } = replacement;
    // Most inputs begin with a header line, and the line behind it says more.
    const second = /^[^\n]*(addr|\bversion )[^\n]*\n/.exec(text)?.[0].length ?? 0;
    const isFirstRecord = !/^\s*\{/.test(text) && second < text.length;
    view.current!.dispatch({
      changes: { from: 0, to: view.current!.state.doc.length, insert: text },
      selection: { anchor: isFirstRecord ? second : 0 },
      scrollIntoView: true,
      annotations: byPage.of("text"),
    });
  }, [replacement]);

  useEffect(() => {
    const state = view.current!.state;
    if (result !== null) {
      view.current!.dispatch(setDiagnostics(state, result.report.rejects.rows.flatMap((reject) => mark(state.doc, reject))));
    }
  }, [result]);

  // A record that was chosen elsewhere is shown in its place.
  useEffect(() => {
    const { doc } = view.current!.state;
    if (selection?.from === "results" && selection.line <= doc.lines) {
      const { from } = doc.line(selection.line);
      view.current!.dispatch({ selection: { anchor: from }, effects: EditorView.scrollIntoView(from, { y: "center" }), annotations: byPage.of("cursor") });
    }
  }, [selection]);

  return <div class="editor" id="editor" ref={place} />;
}

function extensions() {
  let editing: ReturnType<typeof setTimeout> | undefined;
  let moving: ReturnType<typeof setTimeout> | undefined;
  return [
    minimalSetup,
    keymap.of([{ key: "F8", run: nextDiagnostic }]),
    lineNumbers(),
    lintGutter(),
    highlightActiveLine(),
    highlightActiveLineGutter(),
    placeholder("Paste flow log lines here, or drop files anywhere on the page"),
    // What is wrong with a column is in the tooltip of the column.
    linter(null, { tooltipFilter: () => [] }),
    hoverTooltip(columnTooltip, { hoverTime: 120 }),
    EditorView.contentAttributes.of({ "aria-label": "Flow log lines", "aria-describedby": "editor-help", tabindex: "0", autocapitalize: "off", spellcheck: "false" }),
    theme,
    EditorView.updateListener.of((update) => {
      const isByPage = (what: "text" | "cursor") => update.transactions.some((transaction) => transaction.annotation(byPage) === what);
      if (update.docChanged) {
        clearTimeout(editing);
        editing = isByPage("text") ? undefined : setTimeout(() => void edit(update.state.doc.toString()), EDIT_MILLIS);
      }
      if ((update.docChanged || update.selectionSet) && !isByPage("cursor")) {
        clearTimeout(moving);
        moving = setTimeout(() => selectLine(update.state), CURSOR_MILLIS);
      }
    }),
  ];
}

function selectLine({ doc, selection }: EditorState) {
  const line = doc.lineAt(selection.main.head);
  if (current().files.length === 0) {
    select({ from: "editor", key: `line ${line.number}`, title: `Line ${line.number}`, line: line.number, before: before(doc, line.from), record: line.text });
  }
}

function before(doc: Text, end: number): string {
  if (end <= MOST_BEFORE) {
    return doc.sliceString(0, end);
  }
  const half = MOST_BEFORE / 2;
  return doc.sliceString(0, doc.lineAt(half).to + 1) + doc.sliceString(doc.lineAt(end - half).from, end);
}

/** What the column under the pointer is. */
async function columnTooltip(view: EditorView, position: number): Promise<Tooltip | null> {
  const { doc } = view.state;
  const line = doc.lineAt(position);
  const { choices, databases } = current();
  const explanations = await explain(before(doc, line.from), line.text, settingsOf(choices), databases).catch(() => []);
  const at = position - line.from;
  const column = explanations[0]?.columns.find(({ range }) => range !== null && range[0] <= at && at <= range[1]);
  if (!column || view.state.doc !== doc) {
    return null;
  }
  const [from, to] = column.range!;
  return { pos: line.from + from, end: line.from + to, above: true, create: () => ({ dom: tooltip(column) }) };
}

function tooltip(column: Column): HTMLElement {
  const dom = document.createElement("div");
  dom.className = "cm-column";
  const add = (className: string, text: string) => {
    const part = dom.appendChild(document.createElement("div"));
    part.className = className;
    part.textContent = text;
  };
  add("cm-column-name", `${column.number}  ${column.name || "one column too many"}`);
  if (column.wanted !== null) {
    add("cm-column-wrong", `✗ wanted ${column.wanted}`);
  } else {
    add("cm-column-reading", column.reading ?? "");
  }
  for (const member of column.members) {
    add("cm-column-member", `→ ${member}`);
  }
  return dom;
}

/** Where a reject stands in the text. An envelope's record is looked for as it is, which escapes may prevent. */
function mark(doc: Text, reject: Reject): Diagnostic[] {
  if (reject.line > doc.lines) {
    return [];
  }
  const line = doc.line(reject.line);
  const [ahead, wrong, behind] = reject.text;
  const whole = reject.isCut ? ahead + wrong : ahead + wrong + behind;
  const start = line.text.indexOf(whole);
  const isMarked = start >= 0 && wrong !== "";
  const from = isMarked ? line.from + start + ahead.length : line.from + Math.max(start, 0);
  const to = isMarked ? from + wrong.length : start >= 0 ? from + whole.length : line.to;
  return [{ from, to, severity: "error", message: sentence(reject) }];
}

export function sentence({ fault, eventNumber }: Reject): string {
  const record = eventNumber === null ? "" : `Record ${eventNumber}: `;
  const place = fault.column === null ? (fault.field ?? "") : `column ${fault.column}${fault.field === null ? "" : `, ${fault.field}`}`;
  return `${record}${place === "" ? "" : `${place}: `}wanted ${fault.wanted}${fault.found === "" ? "" : `, found ${fault.found}`}`;
}
