// The search of an archive of chat, an addition: the pages need no script. It loads its index as scripts, because a
// page that was opened from a folder may not read files in any other way.
"use strict";
(() => {
  const place = document.getElementById("search");
  const says = place.dataset;
  const LISTED = 200, LONGEST = 32;
  const UNSPACED = "\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff\\u3040-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\u{20000}-\\u{3ffff}";
  const WORD = new RegExp(`[${UNSPACED}]+|(?:(?![${UNSPACED}])[\\p{L}\\p{N}])+`, "gu");
  const IS_UNSPACED = new RegExp(`^[${UNSPACED}]`, "u");
  let shards = 0, rooms = [], pages = [];
  const loaded = new Map();

  window.mmsPages = (n, r, p) => { shards = n; rooms = r; pages = p; };
  window.mmsWords = (n, words) => loaded.set(n, words);

  function load(name) {
    return new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = `search/${name}.js`;
      script.onload = done;
      script.onerror = failed;
      document.head.append(script);
    });
  }

  function wordsOf(text) {
    const plain = text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "").normalize("NFC").replaceAll("ς", "σ");
    const found = [];
    for (const [word] of plain.matchAll(WORD)) {
      const characters = [...word];
      if (!IS_UNSPACED.test(word)) found.push(characters.slice(0, LONGEST).join(""));
      else for (let at = 0; at < Math.max(characters.length - 1, 1); at++) found.push(characters.slice(at, at + 2).join(""));
    }
    return found;
  }

  async function pagesOf(word) {
    const [first, second] = [...word];
    const numbers = second
      ? [(first.codePointAt(0) * 31 + second.codePointAt(0)) % shards]
      : [...Array(shards).keys()]; // a word of one character may go on with any other
    const found = new Set();
    for (const number of numbers) {
      if (!loaded.has(number)) await load(`words-${number}`);
      const words = loaded.get(number);
      for (let at = 0; at < words.length; at += 2) {
        if (!words[at].startsWith(word)) continue;
        let page = 0;
        for (const step of words[at + 1].split(" ")) found.add(page += parseInt(step, 36));
      }
    }
    return found;
  }

  async function search(text) {
    if (!pages.length) await load("pages");
    let found = null;
    for (const word of wordsOf(text)) {
      const of_word = await pagesOf(word);
      found = found === null ? of_word : new Set([...found].filter((page) => of_word.has(page)));
    }
    return [...(found ?? [])].sort((one, other) => one - other);
  }

  function show(found, text) {
    const list = document.createElement("ul");
    let room = null, inner = null;
    for (const number of found.slice(0, LISTED)) {
      const [path, at, period] = pages[number];
      if (at !== room) {
        room = at;
        const item = document.createElement("li");
        const [name, category] = [document.createElement("bdi"), document.createElement("bdi")];
        [name.textContent, category.textContent] = rooms[at];
        category.className = "size";
        inner = document.createElement("ul");
        item.append(name, " ", category, inner);
        list.append(item);
      }
      const link = document.createElement("a");
      link.href = `${path}?q=${encodeURIComponent(text)}`;
      link.textContent = period;
      const item = document.createElement("li");
      item.append(link);
      inner.append(item);
    }
    results.append(list);
  }

  function say(text) {
    const line = document.createElement("p");
    line.textContent = text;
    results.append(line);
  }

  async function answer() {
    const text = input.value.trim();
    results.replaceChildren();
    if (!text) return;
    history.replaceState(null, "", `?q=${encodeURIComponent(text)}`);
    try {
      const found = await search(text);
      say(found.length === 0 ? says.none : found.length === 1 ? says.one : says.many.replace("{n}", found.length));
      if (found.length > LISTED) say(says.more.replace("{n}", LISTED));
      show(found, text);
    } catch {
      say(says.broken);
    }
  }

  const form = document.createElement("form");
  const box = document.createElement("div");
  const label = document.createElement("label");
  const input = document.createElement("input");
  const button = document.createElement("button");
  const help = document.createElement("p");
  const results = document.createElement("div");
  input.type = "search";
  input.id = "words";
  label.htmlFor = "words";
  label.textContent = says.label;
  button.textContent = says.button;
  help.textContent = says.help;
  results.setAttribute("role", "status");
  box.append(label, input);
  form.append(box, button, help);
  form.setAttribute("role", "search");
  form.addEventListener("submit", (event) => { event.preventDefault(); answer(); });
  place.replaceChildren(form, results);
  input.value = new URLSearchParams(location.search).get("q") ?? "";
  answer();
})();
