// Builds elements without markup: text from prompts, files and models only ever becomes text.

/// An element. Names with a dash, and `role`, become attributes, `onNAME` listeners, everything else properties.
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}

/// An SVG element with attributes.
export function svgElement(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

let lastId = 0;

/// An id no other element of the page has, for labels.
export function freshId(prefix) {
  lastId += 1;
  return `${prefix}-${lastId}`;
}
