// Each text of the page (not of pictures) with the contrast of its colour and what is behind it, as WCAG 2.1 has it.
() => {
  const parse = (colour) => {
    const [red, green, blue, alpha = 1] = colour.match(/[\d.]+/g).map(Number);
    return { red, green, blue, alpha };
  };
  const over = (top, below) => Object.fromEntries(["red", "green", "blue"].map(
    (part) => [part, top[part] * top.alpha + below[part] * (1 - top.alpha)]));
  const behind = (node) => {
    if (!node) { return { red: 255, green: 255, blue: 255 }; }
    const own = parse(getComputedStyle(node).backgroundColor);
    return own.alpha === 1 ? own : over(own, behind(node.parentElement));
  };
  const luminance = (colour) => {
    const [red, green, blue] = [colour.red, colour.green, colour.blue].map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || node.closest("svg, script, style")) { continue; }
    const below = behind(node);
    const [one, other] = [luminance(over(parse(getComputedStyle(node).color), below)), luminance(below)];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    found.push({ text: walker.currentNode.data, ratio });
  }
  return found;
}
