// Attention maps as they come in the JSON of a step: one byte per place, `attention = byte / 255 * peak`.

/// The bytes of a map object of a step, kept as bytes since a run may hold hundreds of steps.
export function decodeMaps(maps) {
  const text = atob(maps.values);
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  return { rows: maps.rows, cols: maps.cols, tokens: maps.tokens, peak: maps.peak, bytes };
}

/// The attention to words: the pieces of a word are added, and of several words each place shows the strongest. `words`
/// are lists of token positions. `null` where none of them was recorded.
export function attentionTo(decoded, words) {
  const size = decoded.rows * decoded.cols;
  const known = words
    .map((positions) => positions.map((position) => decoded.tokens.indexOf(position)).filter((rank) => rank >= 0))
    .filter((ranks) => ranks.length > 0);
  if (known.length === 0) return null;
  const values = new Float32Array(size);
  for (const ranks of known) {
    for (let i = 0; i < size; i++) {
      let sum = 0;
      for (const rank of ranks) sum += decoded.bytes[rank * size + i];
      values[i] = Math.max(values[i], (sum / 255) * decoded.peak);
    }
  }
  return { rows: decoded.rows, cols: decoded.cols, values };
}

/// The largest value of a map, and where it is in words.
export function summit(map) {
  let best = 0;
  for (let i = 1; i < map.values.length; i++) if (map.values[i] > map.values[best]) best = i;
  const row = Math.floor(best / map.cols) / Math.max(1, map.rows - 1);
  const col = (best % map.cols) / Math.max(1, map.cols - 1);
  const vertical = row < 1 / 3 ? "top" : row > 2 / 3 ? "bottom" : "middle";
  const horizontal = col < 1 / 3 ? "left" : col > 2 / 3 ? "right" : "centre";
  return { value: map.values[best], place: `${vertical} ${horizontal}` };
}
