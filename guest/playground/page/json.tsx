// Events as JSON for people: in lines, each with the path of its member. Numbers keep their digits, which
// JSON.parse would round.

export interface Member {
  /** As `source.ip`; of a closing bracket, its object's. */
  path: string;
  depth: number;
  key: string | null;
  /** As it stands in the JSON text; of an object, its bracket. */
  value: string;
  kind: "string" | "number" | "other" | "array" | "open" | "close";
  isLast: boolean;
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** An array is one member. */
export function members(json: string): Member[] {
  const found: Member[] = [];
  const path: string[] = [];
  let key: string | null = null;
  let array: string[] | null = null;
  let nesting = 0;
  const add = (value: string, kind: Member["kind"]) => {
    const names = key === null ? path : [...path, key];
    const depth = path.length + (key === null ? 0 : 1);
    found.push({ path: names.join("."), depth, key, value, kind, isLast: true });
  };
  for (const [token] of json.matchAll(TOKEN)) {
    if (array !== null) {
      array.push(token === "," || token === ":" ? `${token} ` : token);
      nesting += token === "[" || token === "{" ? 1 : token === "]" || token === "}" ? -1 : 0;
      if (nesting === 0) {
        add(array.join(""), "array");
        array = null;
        key = null;
      }
    } else if (token === "[") {
      array = [token];
      nesting = 1;
    } else if (token === "{") {
      add(token, "open");
      if (key !== null) {
        path.push(key);
      }
      key = null;
    } else if (token === "}") {
      const isOuter = path.length === 0;
      const closed = path.join(".");
      path.pop();
      found.push({ path: closed, depth: isOuter ? 0 : path.length + 1, key: null, value: token, kind: "close", isLast: true });
    } else if (token === ",") {
      found.at(-1)!.isLast = false;
    } else if (token !== ":") {
      if (key === null) {
        key = JSON.parse(token) as string;
      } else {
        add(token, token.startsWith('"') ? "string" : /^[-\d]/.test(token) ? "number" : "other");
        key = null;
      }
    }
  }
  return found;
}

/** A member's value as a cell of a table shows it. */
export function plain({ kind, value }: Member): string {
  if (kind === "string") {
    return JSON.parse(value) as string;
  }
  return kind === "array" ? value.replace(/^\[|\]$|"/g, "") : value;
}

export function MemberText({ member }: { member: Member }) {
  const { key, value, kind, isLast, depth } = member;
  return (
    <>
      {"  ".repeat(depth)}
      {key !== null && <span class="json-key">{JSON.stringify(key)}</span>}
      {key !== null && ": "}
      <span class={`json-${kind}`}>{value}</span>
      {isLast || kind === "open" ? "" : ","}
    </>
  );
}

export function Json({ json }: { json: string }) {
  return (
    <pre class="json">
      {members(json).map((member) => (
        <>
          <MemberText member={member} />
          {"\n"}
        </>
      ))}
    </pre>
  );
}
