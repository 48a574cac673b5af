// WCAG 2.2, 1.4.3 and 1.4.11, over everything that can be seen.
const parse = (text) => {
  const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
  return [r, g, b, a];
};
const over = (top, below) => {
  const mixed = [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  return [...mixed, 1];
};
const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
const luminance = ([r, g, b]) =>
  0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
const ratio = (one, other) => {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};
const ground = (node) => {
  const layers = [];
  for (let at = node; at; at = at.parentElement) {
    layers.push(parse(getComputedStyle(at).backgroundColor));
  }
  return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
};
const seen = (node) => {
  const box = node.getBoundingClientRect();
  const shown = node.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  return shown && box.width > 1 && box.height > 1 && !node.closest(".hidden");
};
const found = [];
let checked = 0;
const check = (node, color, needed, what) => {
  checked += 1;
  const behind = ground(node);
  const reached = ratio(over(parse(color), behind), behind);
  if (reached < needed) found.push(`${what}: ${reached.toFixed(2)}, not ${needed}`);
};
for (const node of document.body.querySelectorAll("*")) {
  if (!seen(node)) continue;
  const style = getComputedStyle(node);
  const size = parseFloat(style.fontSize);
  const needed = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
  const own = [...node.childNodes].filter((one) => one.nodeType === 3 && one.textContent.trim());
  const text = own[0]?.textContent.trim() || node.value;
  if (text) check(node, style.color, needed, text);
  if (node.placeholder && !node.value) {
    check(node, getComputedStyle(node, "::placeholder").color, needed, node.placeholder);
  }
  if (node.matches("input:not([type=checkbox]), select")) {
    check(node.parentElement, style.borderTopColor, 3, `border of ${node.id}`);
  }
  if (node.matches("svg")) check(node, style.stroke, 3, `icon in ${node.parentElement.className}`);
  if (node.matches(".meter")) check(node.parentElement, style.backgroundColor, 3, "bar");
}
return { found, checked };
