// Marks the words that were searched for on a page of an archive of chat, and goes to the first message that has one.
"use strict";
(() => {
  const text = new URLSearchParams(location.search).get("q");
  if (!text || !document.querySelector("article")) return;
  const plain = (each) => each.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "").normalize("NFC").replaceAll("ς", "σ");
  const words = plain(text).match(/[\p{L}\p{N}]+/gu) ?? [];
  let first = null;
  for (const article of document.querySelectorAll("article")) {
    const all = plain(article.textContent);
    if (!words.some((word) => all.includes(word))) continue;
    if (words.every((word) => all.includes(word))) first ??= article;
    const texts = [];
    const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) texts.push(walker.currentNode);
    for (const node of texts) mark(node, words);
  }
  first ??= document.querySelector("mark")?.closest("article");
  if (first && !location.hash) first.scrollIntoView();

  function mark(node, wanted) {
    const parts = node.data.split(/([\p{L}\p{M}\p{N}]+)/u);
    if (!parts.some((part, at) => at % 2 && hit(part, wanted))) return;
    node.replaceWith(...parts.map((part, at) => {
      if (!(at % 2) || !hit(part, wanted)) return part;
      const marked = document.createElement("mark");
      marked.textContent = part;
      return marked;
    }));
  }

  function hit(part, wanted) {
    const word = plain(part);
    return wanted.some((each) => word.startsWith(each) || /[^\x00-\u0dff]/u.test(each) && word.includes(each));
  }
})();
