// Rasterises the icons: the SVG bodies of the @iconify-json packages become PNGs, 160 pixels wide, with alpha.
//
//   npm ci && node sprites.js work/sprites
//
// Beside the PNGs, sprites.json says which package, version and licence each of them comes from.
'use strict';
const fs = require('fs');
const path = require('path');
const { Resvg } = require('@resvg/resvg-js');

const WIDTH = 160;
const NOTO = 'noto';
const FLUENT = 'fluent-emoji-flat';

// Subject -> icon, drawn in both sets. Only sets under Apache-2.0 or MIT.
const ICONS = {
  cat: 'cat-face',
  dog: 'dog-face',
  bird: 'bird',
  bear: 'bear',
  lion: 'lion',
  horse: 'horse-face',
  elephant: 'elephant',
  monkey: 'monkey-face',
  frog: 'frog',
  turtle: 'turtle',
  rabbit: 'rabbit-face',
  mouse: 'mouse-face',
  backpack: 'backpack',
  glasses: 'glasses',
  crown: 'crown',
  suitcase: 'luggage',
  chair: 'chair',
  balloon: 'balloon',
  bow: 'ribbon',
  car: 'automobile',
  bowl: 'bowl-with-spoon',
  bench: null, // has no emoji: two of our own, below
  clock: 'alarm-clock',
  apple: 'red-apple',
};

const BENCHES = {
  'bench-1':
    '<rect x="10" y="34" width="108" height="13" rx="3" fill="#b9773f"/>' +
    '<rect x="10" y="52" width="108" height="13" rx="3" fill="#a76a36"/>' +
    '<rect x="6" y="72" width="116" height="14" rx="3" fill="#c98548"/>' +
    '<rect x="20" y="28" width="8" height="60" fill="#4a4a4f"/>' +
    '<rect x="100" y="28" width="8" height="60" fill="#4a4a4f"/>' +
    '<rect x="20" y="86" width="8" height="26" fill="#4a4a4f"/>' +
    '<rect x="100" y="86" width="8" height="26" fill="#4a4a4f"/>',
  'bench-2':
    '<path d="M8 62 L26 48 H102 L120 62 Z" fill="#d79a5c"/>' +
    '<rect x="8" y="62" width="112" height="12" rx="2" fill="#a8703c"/>' +
    '<path d="M18 74 h12 l4 38 h-12 z M98 74 h12 l-4 38 h-12 z" fill="#7b4f28"/>' +
    '<rect x="28" y="92" width="72" height="7" fill="#8d5c30"/>',
};

const readJson = (...parts) => JSON.parse(fs.readFileSync(path.join(...parts), 'utf8'));

/** An icon set of an installed package: its drawings, licence and version. */
function openSet(name) {
  const folder = path.join(__dirname, 'node_modules', '@iconify-json', name);
  const set = readJson(folder, 'icons.json');
  const source = {
    package: `@iconify-json/${name}`,
    version: readJson(folder, 'package.json').version,
    license: readJson(folder, 'info.json').license.spdx,
  };
  const drawing = (icon) => {
    const found = set.icons[icon] ?? set.icons[set.aliases?.[icon]?.parent];
    if (!found) throw new Error(`${source.package} ${source.version} has no icon '${icon}'`);
    return { body: found.body, width: found.width ?? set.width ?? 16, height: found.height ?? set.height ?? 16 };
  };
  return { source, drawing };
}

function rasterise({ body, width, height }) {
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" ` +
    `viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">${body}</svg>`;
  return new Resvg(svg, { fitTo: { mode: 'width', value: WIDTH }, background: 'rgba(0,0,0,0)' }).render().asPng();
}

function main(folder) {
  const sets = [openSet(NOTO), openSet(FLUENT)];
  const own = { package: 'own', version: '', license: 'CC0-1.0 (drawn for this project)' };
  const list = [];
  fs.mkdirSync(folder, { recursive: true });
  for (const [subject, name] of Object.entries(ICONS)) {
    for (const variant of [0, 1]) {
      const icon = name ?? Object.keys(BENCHES)[variant];
      const source = name ? sets[variant].source : own;
      const drawing = name ? sets[variant].drawing(icon) : { body: BENCHES[icon], width: 128, height: 128 };
      fs.writeFileSync(path.join(folder, `${subject}_${variant}.png`), rasterise(drawing));
      list.push({ subject, variant, package: source.package, version: source.version, icon, license: source.license });
    }
  }
  fs.writeFileSync(path.join(folder, 'sprites.json'), JSON.stringify(list, null, 1));
  console.log(`${list.length} sprites in ${folder}`);
}

if (process.argv.length !== 3) {
  console.error('usage: node sprites.js FOLDER');
  process.exit(2);
}
main(process.argv[2]);
