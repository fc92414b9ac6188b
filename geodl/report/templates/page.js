"use strict";
(() => {
  // The theme follows the system until it is chosen; the choice is kept nowhere.
  const themes = ["automatic", "light", "dark"];
  for (const button of document.querySelectorAll("[data-theme-button]")) {
    let chosen = 0;
    button.addEventListener("click", () => {
      chosen = (chosen + 1) % themes.length;
      if (chosen) document.documentElement.dataset.theme = themes[chosen];
      else delete document.documentElement.dataset.theme;
      button.textContent = `Theme: ${themes[chosen]}`;
    });
  }

  // Tables are sorted by the column whose heading is pressed; cells without a value stay last.
  const words = new Intl.Collator("en", { numeric: true });
  const valueOf = (cell) => cell.dataset.value !== undefined ? Number(cell.dataset.value) : cell.textContent.trim();
  const missing = (value) => value === "" || value === "–";
  const compare = (one, other) =>
    typeof one === "number" && typeof other === "number" ? one - other : words.compare(String(one), String(other));
  for (const table of document.querySelectorAll("table[data-sort]")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      if (!button.textContent.trim()) button.setAttribute("aria-label", "Sort by the first column");
      head.append(button);
      button.addEventListener("click", () => {
        const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows].map((row) => [valueOf(row.cells[column]), row]);
        rows.sort(([one], [other]) => missing(one) || missing(other) ? missing(one) - missing(other) : sign * compare(one, other));
        table.tBodies[0].append(...rows.map(([, row]) => row));
      });
    });
  }

  // Pictures open in their own size.
  const dialog = document.querySelector("dialog.large");
  for (const button of document.querySelectorAll(".enlarge")) {
    button.addEventListener("click", () => {
      const [large, small] = [dialog.querySelector("img"), button.querySelector("img")];
      large.src = small.src;
      large.alt = small.alt;
      dialog.showModal();
    });
  }

  // The part of the page that is read is marked in the contents.
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const mark = () => {
    const read = [...links.keys()].filter((name) => document.getElementById(name).getBoundingClientRect().top < 160);
    const last = read.at(-1);
    for (const [name, link] of links) {
      if (name === last) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  if (links.size) {
    addEventListener("scroll", mark, { passive: true });
    mark();
  }

  // On paper nothing can be opened.
  addEventListener("beforeprint", () => {
    for (const folded of document.querySelectorAll("details")) folded.open = true;
  });
})();
