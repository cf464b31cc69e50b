// A plot as a file: a PNG with its labels, and a table of comma-separated values.

import { api } from "./api.js";
import { element } from "./dom.js";

const GAP = 8;
const LINE = 22;
const FONT = '16px system-ui, sans-serif';
/// Longest side of the picture in pixels; browsers draw no canvas that is much larger.
const MOST = 8192;

/// Lets the user save a blob.
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  // The download has begun by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/// A row for every picture: its values, its seed, and where it is.
export function plotCsv(plot) {
  const { x, y } = plot.plan;
  const lines = [[x.title, ...(y ? [y.title] : []), "Seed", "State", "Picture"]];
  for (const row of plot.rows) {
    plot.columns.forEach((text, column) => {
      const id = plot.entry(row, column);
      const { state } = plot.cell(row, column).job;
      const url = id ? new URL(api.pictureUrl(id), location.href).href : "";
      lines.push([text, ...(y ? [row.text] : []), row.seed, id ? "done" : state, url]);
    });
  }
  const quote = (value) => `"${String(value).replaceAll('"', '""')}"`;
  const text = lines.map((line) => line.map(quote).join(",")).join("\r\n");
  return new Blob([`${text}\r\n`], { type: "text/csv;charset=utf-8" });
}

/// The table as a picture: prompt, names of columns and rows, and the pictures in their size.
export async function plotPng(plot) {
  const { rows, columns } = plot;
  const images = await Promise.all(
    rows.map((row) => Promise.all(columns.map((_, column) => loadImage(plot.entry(row, column))))),
  );
  const all = images.flat().filter(Boolean);
  const width = Math.max(...all.map((image) => image.naturalWidth));
  const height = Math.max(...all.map((image) => image.naturalHeight));
  const canvas = element("canvas");
  const context = canvas.getContext("2d");
  context.font = FONT;
  const rowNames = rows.map(({ text, seed }) => [text !== null && `${plot.plan.y.title}: ${text}`, `seed ${seed}`].filter(Boolean));
  const columnNames = columns.map((text) => wrap(context, `${plot.plan.x.title}: ${text}`, width));
  const left = Math.min(240, Math.max(...rowNames.flat().map((name) => context.measureText(name).width))) + 2 * GAP;
  const full = left + columns.length * (width + GAP);
  const title = wrap(context, plot.plan.prompt, full - 2 * GAP);
  const top = GAP + (title.length + Math.max(...columnNames.map(({ length }) => length))) * LINE + GAP;
  const tall = top + rows.length * (height + GAP);
  const scale = Math.min(1, MOST / full, MOST / tall);
  canvas.width = Math.ceil(full * scale);
  canvas.height = Math.ceil(tall * scale);
  context.scale(scale, scale);
  context.font = FONT;
  context.textBaseline = "top";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, full, tall);
  context.fillStyle = "#000";
  const write = (lines, x, y) => lines.forEach((line, index) => context.fillText(line, x, y + index * LINE));
  write(title, GAP, GAP);
  columnNames.forEach((lines, column) => write(lines, left + column * (width + GAP), top - GAP - lines.length * LINE));
  rowNames.forEach((lines, row) => {
    const wrapped = lines.flatMap((line) => wrap(context, line, left - 2 * GAP));
    write(wrapped, GAP, top + row * (height + GAP));
  });
  images.forEach((line, row) =>
    line.forEach((image, column) => {
      if (image) context.drawImage(image, left + column * (width + GAP), top + row * (height + GAP));
    }),
  );
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("This browser cannot make so large a picture."))));
  });
}

async function loadImage(id) {
  if (!id) return null;
  const image = new Image();
  image.src = api.pictureUrl(id);
  // A picture that was deleted leaves its place empty.
  return image.decode().then(
    () => image,
    () => null,
  );
}

/// Breaks a text into lines of a width in pixels.
function wrap(context, text, width) {
  const lines = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && context.measureText(longer).width > width) {
      lines.push(line);
      line = word;
    } else {
      line = longer;
    }
  }
  return [...lines, line];
}
