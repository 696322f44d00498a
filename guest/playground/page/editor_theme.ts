// The editor's looks, in the page's colours: custom properties reach into a shadow root.

import { EditorView } from "@codemirror/view";

const MONOSPACE = "var(--monospace)";

export const theme = EditorView.theme({
  "&": { height: "100%", fontSize: "13px", color: "var(--text)", backgroundColor: "var(--surface)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: MONOSPACE, lineHeight: "1.6", overflow: "auto" },
  ".cm-content": { caretColor: "var(--accent)", padding: "8px 0" },
  ".cm-line": { padding: "0 12px 0 6px" },
  "&.cm-focused .cm-cursor": { borderLeftColor: "var(--accent)", borderLeftWidth: "2px" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--selection)" },
  ".cm-gutters": { backgroundColor: "var(--surface)", color: "var(--faint)", border: "none" },
  ".cm-lineNumbers .cm-gutterElement": { padding: "0 6px 0 10px", minWidth: "36px" },
  ".cm-activeLine": { backgroundColor: "var(--hover)" },
  ".cm-activeLineGutter": { backgroundColor: "var(--hover)", color: "var(--text)" },
  ".cm-placeholder": { color: "var(--faint)" },
  ".cm-gutter-lint": { width: "14px" },
  ".cm-gutter-lint .cm-gutterElement": { padding: "0", display: "flex", alignItems: "center" },
  ".cm-lint-marker": { width: "8px", height: "8px", margin: "0 auto", borderRadius: "50%" },
  ".cm-lint-marker-error": { content: "''", backgroundColor: "var(--wrong)" },
  ".cm-lintRange-error": { backgroundImage: "none", backgroundColor: "var(--wrong-soft)", borderBottom: "2px solid var(--wrong)" },
  ".cm-tooltip": { backgroundColor: "var(--raised)", color: "var(--text)", border: "1px solid var(--line)", borderRadius: "8px", boxShadow: "var(--shadow)" },
  ".cm-column": { padding: "8px 12px", maxWidth: "420px", fontFamily: MONOSPACE, fontSize: "12px", lineHeight: "1.6" },
  ".cm-column-name": { fontWeight: "600", whiteSpace: "pre" },
  ".cm-column-wrong": { color: "var(--wrong)" },
  ".cm-column-reading": { color: "var(--soft)" },
  ".cm-column-member": { color: "var(--accent)" },
});
