// What readers of the screen would stumble over.
() => {
  const found = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const expect = (holds, words) => { if (!holds) { found.push(words); } };
  expect(document.documentElement.lang, "no language");
  expect(document.title, "no title");
  expect(all("h1").length === 1, "not one first heading");
  for (const landmark of ["header", "nav", "main", "footer"]) {
    expect(all(`body > ${landmark}`).length === 1, `not one ${landmark}`);
  }
  let level = 0;
  for (const heading of all("h1, h2, h3, h4, h5, h6")) {
    const own = Number(heading.localName[1]);
    expect(own <= level + 1, `after a heading of level ${level}: ${heading.textContent}`);
    expect(heading.textContent.trim(), "an empty heading");
    level = own;
  }
  for (const picture of all("svg")) {
    expect(picture.firstElementChild?.localName === "title" && picture.firstElementChild.textContent, "a picture without a title");
    expect(picture.getAttribute("role") === "img" || picture.getAttribute("aria-hidden"), "a picture that is none");
  }
  for (const table of all("table")) {
    expect(table.caption?.textContent, "a table without a caption");
    expect(table.tHead && [...table.tHead.rows[0].cells].every((cell) => cell.scope === "col"), "a table without heads");
    for (const body of table.tBodies) {
      for (const row of body.rows) {
        expect(row.cells.length === table.tHead?.rows[0].cells.length, "a row of another length");
        expect(row.querySelector("th[scope=row]"), "a row without a head");
      }
    }
  }
  const ids = all("[id]").map((one) => one.id);
  expect(new Set(ids).size === ids.length, "one id twice");
  for (const link of all("a")) {
    expect(ids.includes(link.getAttribute("href")?.slice(1)), `a link to nowhere: ${link.href}`);
  }
  for (const labelled of all("[aria-labelledby]")) {
    expect(ids.includes(labelled.getAttribute("aria-labelledby")), "a label that is not there");
  }
  for (const region of all("[role=region]")) {
    expect(region.getAttribute("aria-label") && region.tabIndex === 0, "a region without a name or out of reach");
  }
  for (const button of all("button")) {
    expect(button.textContent.trim() && button.type === "button", "a button without a name");
  }
  return found;
}
