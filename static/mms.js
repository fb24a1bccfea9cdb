// Small comforts. Everything works without this file.
(() => {
  "use strict";

  // Colours: "auto" follows the system. Runs before the first paint, because the script stands in the head.
  const root = document.documentElement;
  if (root.dataset.theme === "auto") {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => root.setAttribute("data-bs-theme", dark.matches ? "dark" : "light");
    follow();
    dark.addEventListener("change", follow);
  }

  // Menus close when one clicks elsewhere or presses Escape.
  const closeMenus = (except) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (menu !== except) menu.open = false;
  };
  document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu")));
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  // Columns are put in order by buttons; without this file, by numbers.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-move]"), item = button?.closest("li");
    const other = item && (button.dataset.move === "up" ? item.previousElementSibling : item.nextElementSibling);
    if (!other) return;
    if (button.dataset.move === "up") other.before(item);
    else other.after(item);
    button.focus();
    const places = [...item.parentElement.querySelectorAll(".place input")];
    places.forEach((place, index) => { place.value = index + 1; });
    const announcer = document.getElementById("announcer"), label = item.querySelector(".form-check-label").textContent.trim();
    announcer.textContent = `${label}: place ${places.indexOf(item.querySelector(".place input")) + 1} of ${places.length}`;
  });

  // A form is sent once, however often one clicks.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post" || event.defaultPrevented) return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "1";
  });
  addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));

  // What is sent without a session is lost. What was typed comes back after signing in, to the same account only, where
  // the server says that it was not saved. It is kept in this tab alone, for an hour at most, and never what is hidden
  // or secret. A field goes with the value that the page showed of it at first, so that what others save meanwhile is
  // not overwritten unseen; one that was not edited is not kept.
  const KEPT = "kept", AN_HOUR = 3_600_000;
  const TYPED = ["text", "search", "tel", "url", "email", "number", "date", "textarea", "select-one", "checkbox"];
  const shownAtFirst = (form, field) => form.elements.namedItem(`initial-${field.name}`);
  const valueOf = (field) => field.type === "checkbox" ? (field.checked ? "True" : "False") : field.value;
  const keep = (form) => {
    const typed = [...form.elements].filter((field) => field.name && TYPED.includes(field.type));
    const edited = typed.filter((field) => shownAtFirst(form, field)?.value !== valueOf(field));
    const fields = edited.map((field) => [field.name, valueOf(field), shownAtFirst(form, field)?.value]);
    const kept = { account: document.body.dataset.account, address: form.action, fields, until: Date.now() + AN_HOUR };
    try {
      sessionStorage.setItem(KEPT, JSON.stringify(kept));
    } catch { /* The browser keeps nothing; then it is typed again. */ }
  };
  const takeKept = () => {
    try {
      const kept = JSON.parse(sessionStorage.getItem(KEPT));
      sessionStorage.removeItem(KEPT);
      return kept;
    } catch {
      return null;
    }
  };
  const refill = (form, [name, value, first]) => {
    const field = form.elements.namedItem(name);
    if (!field || !TYPED.includes(field.type)) return;
    const before = field.value;
    if (field.type === "checkbox") field.checked = value === "True";
    else field.value = value;
    if (field.type === "select-one" && field.selectedIndex < 0) field.value = before; // it is not on offer any more
    else if (first !== undefined && shownAtFirst(form, field)) shownAtFirst(form, field).value = first;
  };
  addEventListener("load", () => {
    const account = document.body.dataset.account;
    if (!account) return; // nobody is signed in yet
    const kept = takeKept();
    const notice = document.querySelector("[data-kept]");
    if (!notice || !kept || kept.account !== account || kept.until < Date.now() || !kept.fields.length) return;
    const form = [...document.querySelectorAll("form[data-keep]")].find((form) => form.action === kept.address);
    if (!form) return;
    kept.fields.forEach((field) => refill(form, field));
    form.dispatchEvent(new Event("change", { bubbles: true })); // tells what saving it would start
    notice.hidden = false;
    document.querySelector("[data-lost]").hidden = true;
  });
  document.addEventListener("submit", (event) => event.target.matches("[data-keep]") && keep(event.target));
  document.addEventListener("htmx:beforeRequest", (event) => event.detail.elt.matches("form[data-keep]") && keep(event.detail.elt));

  // A live part is swapped only where it changed; what was open and how far it was scrolled stays.
  let shown = "";
  const asOf = /<p class="meta updated[^]*?<\/p>/;
  const essence = (html) => html.replace(/name="csrfmiddlewaretoken" value="[^"]*"/g, "").replace(asOf, "");
  const isLive = (element) => element && element.id === "live";
  let scrolled = [];
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (isLive(event.detail.elt) && (document.hidden || document.querySelector("#live form[data-sent], #live .list-menu[open]"))) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const target = event.detail.target;
    if (!isLive(target) || event.detail.xhr.status !== 200) return;
    const html = essence(event.detail.serverResponse);
    if (shown === html) {
      event.detail.shouldSwap = false;
      const time = event.detail.serverResponse.match(asOf);
      if (time) target.querySelector(".updated").outerHTML = time[0];
    }
    shown = html;
    scrolled = [...target.querySelectorAll("[data-keep-scroll]")].map((box) => [box.id, box.scrollLeft, box.scrollTop]);
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const [id, left, top] of scrolled) document.getElementById(id)?.scrollTo({ left, top, behavior: "instant" });
    scrolled = [];
  });
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { target, fragment } = event.detail;
    if (target?.id === "announcer" && target.textContent === fragment.textContent) event.detail.shouldSwap = false;
  });

  // A dashboard that cannot reach its server must not look up to date.
  const stale = (is) => document.getElementById("stale")?.toggleAttribute("hidden", !is);
  document.addEventListener("htmx:sendError", () => stale(true));
  document.addEventListener("tooOld", () => document.getElementById("too-old")?.removeAttribute("hidden"));
  document.addEventListener("htmx:responseError", () => stale(document.getElementById("too-old")?.hidden !== false));
  document.addEventListener("htmx:afterOnLoad", (event) => event.detail.xhr.status < 400 && stale(false));

  // The block before and after opens over the page.
  document.addEventListener("htmx:afterSwap", (event) => {
    const sheet = event.target.closest?.("dialog.sheet");
    if (sheet && !sheet.open) sheet.showModal();
  });
  document.addEventListener("click", (event) => {
    if (event.target.matches("dialog.sheet") || event.target.closest("[data-close-sheet]")) event.target.closest("dialog").close();
  });
})();
