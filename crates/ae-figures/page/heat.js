// Maps as pictures: enlarged smoothly and coloured from the palette.

/// The colours of a palette in hexadecimal, 256 times red, green and blue.
export function parsePalette(hex) {
  return Uint8ClampedArray.from({ length: 768 }, (_, i) => parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}

/// Draws a map over the whole canvas; `scale` is the attention that has the last colour. With `veil` the canvas is the
/// more transparent the less attention there is, so that what lies under it stays visible.
export function drawHeat(canvas, map, scale, palette, veil = false) {
  const context = canvas.getContext("2d");
  if (map === null) {
    context.clearRect(0, 0, canvas.width, canvas.height);
    return;
  }
  const values = enlarge(map, canvas.height, canvas.width);
  const image = context.createImageData(canvas.width, canvas.height);
  for (let i = 0; i < values.length; i++) {
    // The spline overshoots beside sharp edges, hence the limits.
    const colour = Math.max(0, Math.min(255, Math.round((values[i] / scale) * 255)));
    image.data.set(palette.subarray(3 * colour, 3 * colour + 3), 4 * i);
    image.data[4 * i + 3] = veil ? Math.min(255, 40 + 2 * colour) : 255;
  }
  context.putImageData(image, 0, 0);
}

/// Draws the palette from left to right.
export function drawColourBar(canvas, palette) {
  const values = Float32Array.from({ length: 256 }, (_, i) => i);
  drawHeat(canvas, { rows: 1, cols: 256, values }, 255, palette);
}

/// Bicubic interpolation (Catmull-Rom), first along the rows and then along the columns.
function enlarge(map, height, width) {
  const across = taps(map.cols, width);
  const down = taps(map.rows, height);
  const wide = new Float32Array(map.rows * width);
  for (let row = 0; row < map.rows; row++) {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (const [col, weight] of across[x]) sum += weight * map.values[row * map.cols + col];
      wide[row * width + x] = sum;
    }
  }
  const values = new Float32Array(height * width);
  for (let y = 0; y < height; y++) {
    for (const [row, weight] of down[y]) {
      for (let x = 0; x < width; x++) values[y * width + x] += weight * wide[row * width + x];
    }
  }
  return values;
}

/// For each of `size` places the four neighbours among `count` and their weights; the border is repeated.
function taps(count, size) {
  return Array.from({ length: size }, (_, place) => {
    const position = ((place + 0.5) * count) / size - 0.5;
    const first = Math.floor(position);
    const t = position - first;
    const weights = [
      ((2 - t) * t - 1) * t * 0.5,
      ((3 * t - 5) * t * t + 2) * 0.5,
      ((4 - 3 * t) * t + 1) * t * 0.5,
      (t - 1) * t * t * 0.5,
    ];
    return weights.map((weight, i) => [Math.max(0, Math.min(count - 1, first - 1 + i)), weight]);
  });
}
