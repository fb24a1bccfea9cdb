// Ticks hold while the pages of a list are turned and while it is filtered. Without this file they hold for one page.
(() => {
  "use strict";
  const ticked = new Set();
  let allOf = null; // the filter whose every row is wanted
  const byId = (id) => document.getElementById(id);
  const bar = () => byId("selection");
  const boxes = () => [...document.querySelectorAll('input[name="users"][form="selection"]')];
  const mostTicked = () => Number(bar().dataset.most);
  const say = (text, numbers) =>
    text.replace(/\{(\w+)\}/g, (_, name) => numbers[name].toLocaleString(document.documentElement.lang));

  const show = () => {
    if (!bar()) return;
    byId("ticks-hold").hidden = true;
    const rows = boxes(), page = byId("all-of-page"), all = byId("all-found");
    all.checked = allOf === bar().dataset.filter;
    for (const box of rows) {
      box.disabled = all.checked;
      box.checked = all.checked || ticked.has(box.value);
    }
    if (page) {
      const here = rows.filter((box) => box.checked).length;
      page.disabled = all.checked;
      page.checked = here === rows.length;
      page.indeterminate = here > 0 && here < rows.length;
    }
    const shown = new Set(rows.map((box) => box.value));
    const elsewhere = [...ticked].filter((key) => !shown.has(key)).length;
    const { selected, elsewhereToo, tooMany } = bar().dataset;
    let told = ticked.size ? say(elsewhere ? elsewhereToo : selected, { count: ticked.size, elsewhere }) : "";
    if (ticked.size > mostTicked()) told += `; ${say(tooMany, { most: mostTicked() })}`;
    if (all.checked) told = "";
    if (byId("ticked").textContent !== told) byId("ticked").textContent = told;
    byId("untick").hidden = all.checked || !ticked.size;
  };

  const tick = (key, is) => (is ? ticked.add(key) : ticked.delete(key));
  document.addEventListener("change", (event) => {
    const box = event.target;
    if (!bar() || box.form !== bar()) return;
    if (box.id === "all-found") allOf = box.checked ? bar().dataset.filter : null;
    else if (box.id === "all-of-page") boxes().forEach((row) => tick(row.value, box.checked));
    else tick(box.value, box.checked);
    show();
  });
  document.addEventListener("click", (event) => {
    if (event.target.id !== "untick") return;
    ticked.clear();
    show();
    byId("all-found").focus();
  });

  // What is sent: all that the filter finds, or the ticks of every page.
  document.addEventListener("formdata", (event) => {
    if (event.target !== bar()) return;
    event.formData.delete("users");
    if (!event.formData.has("all") && ticked.size) event.formData.set("users", [...ticked].join("."));
  });
  document.addEventListener("submit", (event) => {
    if (event.target === bar() && !byId("all-found").checked && ticked.size > mostTicked()) event.preventDefault();
  });

  // The list as it was left, and what the browser has ticked again by itself.
  addEventListener("DOMContentLoaded", () => {
    if (!bar()) return;
    for (const key of bar().dataset.ticked.split(".")) if (key) ticked.add(key);
    show();
  });
  document.addEventListener("htmx:afterSettle", show);
})();
