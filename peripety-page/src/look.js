// Looks at a page: what stands out of it, what cannot be read, and where the keyboard comes.
const channel = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
const parse = (text) => {
  const n = (text.match(/[\d.]+/g) || []).map(Number);
  return text.startsWith("rgb") ? [n[0], n[1], n[2], n.length > 3 ? n[3] : 1] : null;
};
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
const look = (view, doc, canvas) => {
  const root = doc.documentElement;
  const found = { wide: root.scrollWidth, room: view.innerWidth, over: [], faint: [], focus: [], texts: 0 };
  for (const details of doc.querySelectorAll("details")) details.open = true;
  found.wide = Math.max(found.wide, root.scrollWidth);
  const ground = (element) => {
    const box = element.closest && element.closest("g.node");
    if (box) return parse(view.getComputedStyle(box.querySelector("rect")).fill);
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(view.getComputedStyle(at).backgroundColor);
      if (colour && colour[3] > 0.99) return colour;
    }
    return canvas;
  };
  for (const element of doc.body.querySelectorAll("*")) {
    const rect = element.getBoundingClientRect();
    if (!element.closest(".scroll svg") && !element.closest(".skip") && rect.right > view.innerWidth + 1) found.over.push(element.outerHTML.slice(0, 80));
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || ["title", "desc", "style"].includes(element.localName) || rect.width === 0) continue;
    const style = view.getComputedStyle(element);
    const ink = parse(element.closest("svg") ? style.fill : style.color);
    found.texts += 1;
    const contrast = ratio(ink, ground(element));
    if (contrast < 4.5) found.faint.push(contrast.toFixed(2) + " " + element.outerHTML.slice(0, 80));
  }
  for (const element of doc.querySelectorAll("a, summary, button, input, [tabindex]")) {
    if (element.getAttribute("tabindex") === "-1" || element.getClientRects().length === 0) continue;
    element.focus();
    const name = element.localName + (element.getAttribute("href") || "");
    const seen = view.getComputedStyle(element).outlineStyle !== "none" || !element.matches(":focus-visible");
    found.focus.push(name + (doc.activeElement === element && element.tabIndex === 0 && seen ? "" : " cannot be focused"));
  }
  return found;
};
