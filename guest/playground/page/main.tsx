import { describe } from "./parser.ts";
describe().then((description) => console.log(description.schemas));
