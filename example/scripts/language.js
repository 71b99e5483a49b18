// The language of the site: the browser's at first, then the one that was chosen, which is remembered.
// Without scripts the link in the masthead leads to the other language all the same.

(function () {
  "use strict";

  const KEY = "language";
  const isChinese = document.documentElement.lang.startsWith("zh");

  function read() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage may be forbidden
    }
  }

  function write(language) {
    try {
      localStorage.setItem(KEY, language);
    } catch {
      // The choice holds for this page, then.
    }
  }

  const wanted = read() ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
  const chinese = document.querySelector('link[rel="alternate"][hreflang="zh"]');
  if (wanted === "zh" && !isChinese && chinese !== null) {
    // An address of a Chinese page is followed as it is. That of an English page is the address of the site.
    location.replace(chinese.href + location.hash);
  }

  addEventListener("DOMContentLoaded", function () {
    const other = document.querySelector("a.language");
    other?.addEventListener("click", function () {
      write(other.hreflang);
      other.hash = location.hash;
    });
  });
})();
