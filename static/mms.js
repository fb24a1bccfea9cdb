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

  // Where there is no room for all tabs, the one that is open is in sight.
  addEventListener("DOMContentLoaded", () => {
    const tabs = document.querySelector(".tabs"), here = tabs?.querySelector("[aria-current]");
    if (here) tabs.scrollLeft += here.getBoundingClientRect().right - tabs.getBoundingClientRect().right;
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
    const said = { label, place: places.indexOf(item.querySelector(".place input")) + 1, places: places.length };
    announcer.textContent = announcer.dataset.place.replace(/{(\w+)}/g, (_, name) => said[name]);
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

  // What follows happenings asks by itself, and is swapped only where it changed; what was open and how far it was
  // scrolled stays. It does not ask while nobody looks, nor again once it has learned that there is nothing to ask for.
  let shown = "", isOver = false, isOfItself = false, failures = 0, notBefore = 0;
  const asOf = /<p class="meta updated[^]*?<\/p>/;
  const essence = (html) => html.replace(/name="csrfmiddlewaretoken" value="[^"]*"|"MMS-Shown": "[^"]*"/g, "").replace(asOf, "");
  const asksBySelf = (element) => Boolean(element?.matches?.("[data-live]"));
  const show = (id, is = true) => document.getElementById(id)?.toggleAttribute("hidden", !is);
  let scrolled = [], opened = [];
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (!asksBySelf(event.detail.elt)) return;
    if (isOver || document.hidden || Date.now() < notBefore || document.querySelector("#live form[data-sent], #live .list-menu[open]")) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, xhr, requestConfig } = event.detail;
    isOfItself = asksBySelf(requestConfig?.elt);
    if (!isOfItself || xhr.status !== 200) return;
    const html = essence(event.detail.serverResponse);
    if (shown === html) {
      event.detail.shouldSwap = false;
      const time = event.detail.serverResponse.match(asOf);
      if (time && target.querySelector(".updated")) target.querySelector(".updated").outerHTML = time[0];
      const version = event.detail.serverResponse.match(/hx-headers='([^']*)'/);
      if (version) target.setAttribute("hx-headers", version[1]);
    }
    shown = html;
    scrolled = [...target.querySelectorAll("[data-keep-scroll]")].map((box) => [box.id, box.scrollLeft, box.scrollTop]);
    opened = [...target.querySelectorAll("details[open][id]")].map((details) => details.id);
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const [id, left, top] of scrolled) document.getElementById(id)?.scrollTo({ left, top, behavior: "instant" });
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    scrolled = opened = [];
  });
  document.addEventListener("nothingNew", (event) => {
    const time = event.target.querySelector?.(".updated time");
    if (!time) return;
    time.dateTime = time.title = event.detail.iso;
    time.textContent = event.detail.text;
  });

  // Changes are announced at once where somebody has asked, and of what asks by itself no more often than people listen.
  const QUIET = 15_000;
  let announcedAt = 0, toAnnounce;
  const announce = (text) => {
    const announcer = document.getElementById("announcer");
    if (announcer.textContent === text) return;
    announcer.textContent = text;
    announcedAt = Date.now();
  };
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { target, fragment } = event.detail;
    if (target?.id !== "announcer") return;
    event.detail.shouldSwap = false;
    const text = fragment.textContent.replace(/\s+/g, " ").trim();
    clearTimeout(toAnnounce);
    const wait = isOfItself ? announcedAt + QUIET - Date.now() : 0;
    if (wait > 0) toAnnounce = setTimeout(announce, wait, text);
    else announce(text);
  });

  // A page that cannot reach its server must not look up to date. It asks again after pauses that grow to five minutes,
  // and at once when somebody looks at it again or the network is back.
  const LONGEST_PAUSE = 300_000;
  const askNow = () => {
    notBefore = 0;
    if (!document.hidden) for (const part of document.querySelectorAll("[data-live]")) htmx.trigger(part, "shown");
  };
  document.addEventListener("visibilitychange", askNow);
  addEventListener("online", askNow);
  const unanswered = (event) => {
    if (asksBySelf(event.detail.elt)) {
      failures += 1;
      notBefore = Date.now() + Math.min(2_000 * 2 ** failures, LONGEST_PAUSE) - 100;
      show("stale");
      return;
    }
    const { verb, path } = event.detail.requestConfig ?? {};
    const again = document.getElementById("ask-again");
    if (again) again.href = verb === "get" && event.detail.target?.matches?.("[data-results]") ? event.detail.pathInfo?.finalRequestPath ?? path : location.href;
    show("unanswered");
  };
  document.addEventListener("htmx:sendError", unanswered);
  document.addEventListener("htmx:timeout", unanswered);
  document.addEventListener("tooOld", () => show("too-old"));
  document.addEventListener("htmx:responseError", (event) => {
    if (document.getElementById("too-old")?.hidden === false) return;
    if (!asksBySelf(event.detail.elt) || event.detail.xhr.status >= 500) return unanswered(event);
    isOver = true;
    show("gone");
  });
  document.addEventListener("signedOut", () => {
    isOver = true;
    show("stale", false);
    const link = document.getElementById("sign-in-again");
    if (link) link.search = new URLSearchParams({ next: location.pathname + location.search });
    show("signed-out");
  });
  document.addEventListener("htmx:afterOnLoad", (event) => {
    if (event.detail.xhr.status >= 400) return;
    show(asksBySelf(event.detail.elt) ? "stale" : "unanswered", false);
    if (asksBySelf(event.detail.elt)) failures = notBefore = 0;
  });

  // The block before and after opens over the page.
  document.addEventListener("htmx:afterSwap", (event) => {
    const sheet = event.target.closest?.("dialog.sheet");
    if (sheet && !sheet.open) sheet.showModal();
  });
  document.addEventListener("click", (event) => {
    if (event.target.matches("dialog.sheet") || event.target.closest("[data-close-sheet]")) event.target.closest("dialog").close();
  });
})();
