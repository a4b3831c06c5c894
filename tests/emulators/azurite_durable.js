// Loaded before Azurite (`node -r`): nothing is answered to a change before it is on disk.
//
// Azurite keeps its index of blobs in memory and saves it every five seconds, so `kill -9` loses what it
// has acknowledged for up to five seconds; the service it stands for never does. Here each change waits
// for the next save, which changes that come together share. The blobs' own bytes ("extents") are in
// files by then: they survive the process, as nothing here survives a power cut.
"use strict";

const { rename, writeFile } = require("fs/promises");
const http = require("http");
const Loki = require(require.resolve("lokijs", { paths: [process.argv[1]] }));

const indexes = new Set(); // of blobs, then of extents
Loki.prototype.autosaveEnable = function () {
  indexes.add(this);
};

// Texts of one moment, extents first: no blob on disk refers to an extent that is not.
async function save() {
  const changed = [...indexes].reverse().filter((index) => index.autosaveDirty());
  const texts = changed.map((index) => {
    index.autosaveClearFlags();
    return [index.filename, index.serialize()];
  });
  for (const [path, text] of texts) {
    await writeFile(`${path}~`, text);
    await rename(`${path}~`, path);
  }
}

let saving = Promise.resolve();
let next = null;

// When all that has been changed until now is on disk.
function saved() {
  next ??= saving.then(() => {
    next = null;
    saving = save().catch((error) => {
      console.error(error);
      process.exit(1);
    });
    return saving;
  });
  return next;
}

const end = http.ServerResponse.prototype.end;
http.ServerResponse.prototype.end = function (...body) {
  if (["GET", "HEAD"].includes(this.req?.method)) return end.apply(this, body);
  saved().then(() => end.apply(this, body));
  return this;
};
