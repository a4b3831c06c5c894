"""Measures in a page what WCAG 2.2 asks for: contrast of texts (1.4.3) and a focus that is seen (2.4.7)."""

# The texts with less contrast than 4.5, of large ones 3, with their element and what they have.
LOW_CONTRAST = r"""() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (above, below) => [0, 1, 2].map((i) => above[i] * above[3] + below[i] * (1 - above[3]));
  const linear = (x) => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.unshift(rgba(getComputedStyle(e).backgroundColor));
    const canvasColor = matchMedia("(prefers-color-scheme: dark)").matches ? [0, 0, 0] : [255, 255, 255];
    return layers.reduce((below, layer) => over(layer, below), canvasColor);
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].filter((node) => node.nodeType === 3);
    const text = own.map((node) => node.textContent.trim()).join("");
    const [box, style] = [element.getBoundingClientRect(), getComputedStyle(element)];
    if (!text || box.width < 3 || style.visibility === "hidden" || element.disabled) continue;
    if (element.closest("script, noscript, svg, option, .unseen, .skip")) continue;
    const below = ground(element);
    const [a, b] = [luminance(over(rgba(style.color), below)), luminance(below)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (contrast < (isLarge ? 3 : 4.5)) found.push([element.tagName, text.slice(0, 40), contrast.toFixed(2)]);
  }
  return found;
}"""

# Of the element with the focus: its name, and whether the focus is seen there, inside of the window.
FOCUS = r"""() => {
  const element = document.activeElement;
  const [style, box] = [getComputedStyle(element), element.getBoundingClientRect()];
  const hasOutline = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  const isInside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  const name = `${element.tagName} ${element.id} ${element.textContent.trim().slice(0, 30)}`;
  return [name, (hasOutline || style.boxShadow !== "none") && isInside];
}"""
