// Keys: "/" searches, "g u" goes to the users, "?" lists them all; and the list below the search box.
// Everything can be done without this file.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);

  // --- what the search box suggests: a combobox with a list (WAI-ARIA Authoring Practices) ---
  const box = byId("search-box"), suggestions = byId("suggestions");
  const options = () => [...suggestions.querySelectorAll("[role=option]")];
  const active = () => byId(box.getAttribute("aria-activedescendant"));
  const choose = (option) => {
    active()?.setAttribute("aria-selected", "false");
    if (!option) return box.removeAttribute("aria-activedescendant");
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    box.setAttribute("aria-activedescendant", option.id);
  };
  const show = (is) => {
    choose(null);
    suggestions.hidden = !is;
    const list = is && suggestions.querySelector("[role=listbox]");
    box.setAttribute("aria-expanded", list ? "true" : "false");
    if (list) box.setAttribute("aria-controls", list.id);
    else box.removeAttribute("aria-controls");
  };
  const steps = { ArrowDown: 1, ArrowUp: -1 };
  const onKeyInBox = (event) => {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = steps[event.key], all = options();
    if (step && all.length) {
      event.preventDefault();
      if (suggestions.hidden) show(true);
      const at = all.indexOf(active()); // -1 is the box itself, above the first and below the last
      const next = (at + 1 + step + all.length + 1) % (all.length + 1) - 1;
      choose(all[next]);
    } else if (event.key === "Enter" && active()) {
      event.preventDefault();
      active().click();
    } else if (event.key === "Escape" && !suggestions.hidden) {
      event.preventDefault(); // the list first; a second time empties the box
      show(false);
    }
  };
  if (box) {
    box.setAttribute("role", "combobox");
    box.setAttribute("aria-autocomplete", "list");
    show(false);
    box.addEventListener("keydown", onKeyInBox);
    box.addEventListener("focus", () => options().length && box.value.trim() && show(true));
    box.form.addEventListener("focusout", (event) => box.form.contains(event.relatedTarget) || show(false));
    box.form.addEventListener("submit", () => show(false));
    suggestions.addEventListener("mousedown", (event) => event.preventDefault()); // the box keeps the focus
    suggestions.addEventListener("htmx:afterSwap", () => show(document.activeElement === box && suggestions.childElementCount > 0));
  }

  // --- single keys: never in a field, with a modifier, over a dialog, or where they are switched off (WCAG 2.1.4) ---
  const go = {};
  const words = (document.body.dataset.go ?? "").trim().split(/\s+/);
  for (let at = 0; at + 1 < words.length; at += 2) go[words[at]] = words[at + 1];
  const FIELDS = "textarea, select, [contenteditable], iframe, input:not([type=checkbox], [type=radio], [type=submit], [type=button])";
  const A_MOMENT = 1500;
  let begun = -A_MOMENT; // when "g" was pressed last
  const rows = () => [...document.querySelectorAll("main tbody tr, main .rows > li")]
    .map((row) => [row, row.querySelector("a[href]")]).filter(([, link]) => link?.offsetParent);
  const move = (step) => {
    const all = rows();
    const at = all.findIndex(([row]) => row.contains(document.activeElement));
    const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step;
    all[next]?.[1].focus();
    return next in all;
  };
  const search = () => {
    if (!box) return false;
    if (box.offsetParent) box.select(), box.focus();
    else document.querySelector("a.find").click(); // on a narrow screen it has a page of its own
    return true;
  };
  const help = () => {
    const link = byId("keyboard-help");
    link?.click();
    return Boolean(link);
  };
  const keys = { "/": search, "?": help, j: () => move(1), k: () => move(-1) };
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.body.dataset.keys === "off" || event.target.closest?.(FIELDS) || document.querySelector("dialog[open]")) return;
    const isSecond = event.timeStamp - begun < A_MOMENT;
    begun = event.key === "g" && !isSecond ? event.timeStamp : -A_MOMENT;
    if (isSecond && go[event.key]) {
      event.preventDefault();
      location.assign(go[event.key]);
    } else if (keys[event.key]?.()) event.preventDefault();
  });
})();
