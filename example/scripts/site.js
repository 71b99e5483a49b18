// The bill on the front page: how this very page was served, as the browser measured it.
// Resource sizes and times: Navigation Timing Level 2, Resource Timing.

(function () {
  "use strict";

  const bill = document.getElementById("bill");
  if (bill === null) {
    return;
  }

  const isChinese = document.documentElement.lang.startsWith("zh");
  const choose = (english, chinese) => (isChinese ? chinese : english);

  function add(name, value) {
    const term = document.createElement("dt");
    const definition = document.createElement("dd");
    term.textContent = name;
    definition.textContent = value;
    bill.append(term, definition);
  }

  function write() {
    const [page] = performance.getEntriesByType("navigation");
    if (page === undefined) {
      return;
    }
    bill.replaceChildren();
    add(choose("table", "地址"), location.host);
    if (page.nextHopProtocol !== "") {
      add(choose("spoken", "协议"), page.nextHopProtocol);
    }
    add(choose("this page", "本页"), page.decodedBodySize.toLocaleString("en") + choose(" bytes", " 字节"));
    add(choose("served in", "用时"), (page.responseEnd - page.requestStart).toFixed(1) + choose(" ms", " 毫秒"));
    const parts = performance.getEntriesByType("resource");
    const octets = parts.reduce((sum, part) => sum + part.decodedBodySize, page.decodedBodySize);
    add(choose("side dishes", "附带"), String(parts.length));
    add(choose("in all", "合计"), Math.round(octets / 1024) + " KiB");
  }

  window.addEventListener("load", function () {
    // The load event has to end before its own entry is complete.
    setTimeout(write, 0);
  });
})();
