// A request in other words: for people, terminals, programs and AUTOMATIC1111's program.

import { api } from "./api.js";
import { randomSeed } from "./fields.js";
import { menu } from "./menu.js";
import { toast } from "./toast.js";

/// A menu that copies what `read` gives: a request, or a promise of one. `onError` hears why that cannot be done.
export function copyMenu(read, onError) {
  const copy = (what, write) => async () => {
    try {
      const request = await read();
      // What is copied draws one picture, not another each time.
      const seeds = request.seeds?.length > 0 ? request.seeds : [randomSeed()];
      await navigator.clipboard.writeText(await write({ ...request, seeds }));
      toast(`${what} copied.`);
    } catch (error) {
      // Browsers keep the clipboard from pages without TLS, as from another machine.
      const isClipboard = !navigator.clipboard || error instanceof DOMException;
      onError(isClipboard ? new Error("The browser allows no copying here: it needs https or this machine.") : error);
    }
  };
  return menu("Copy as", () => [
    { label: "Prompt", act: copy("Prompt", ({ prompt }) => prompt) },
    { label: "Command line", act: copy("Command line", async (request) => (await api.texts(request)).command) },
    { label: "curl", act: copy("curl call", curl) },
    { label: "Python", act: copy("Python program", python) },
    { label: "A1111 parameters", act: copy("Parameters", async (request) => (await api.texts(request)).parameters) },
  ]);
}

const address = () => `${location.origin}/api/generate`;

function curl(request) {
  const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
  return `curl -s ${quote(address())} -H 'Content-Type: application/json' -d ${quote(JSON.stringify(request))}`;
}

/// With Python's own library alone.
function python(request) {
  return [
    "import json, urllib.request",
    "",
    `request = json.loads(${JSON.stringify(JSON.stringify(request))})`,
    `headers = {"Content-Type": "application/json"}  # and "Authorization": "Bearer TOKEN" where the server wants one`,
    `call = urllib.request.Request(${JSON.stringify(address())}, json.dumps(request).encode(), headers)`,
    `print(json.load(urllib.request.urlopen(call))["id"])`,
    "",
  ].join("\n");
}
