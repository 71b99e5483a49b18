// The bill on the front page: how this very page was served, as the browser measured it.
// Resource sizes and times: Navigation Timing Level 2, Resource Timing.

(function () {
  "use strict";

  const bill = document.getElementById("bill");
  if (bill === null) {
    return;
  }

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
    add("table", location.host);
    if (page.nextHopProtocol !== "") {
      add("spoken", page.nextHopProtocol);
    }
    add("this page", page.decodedBodySize.toLocaleString("en") + " octets");
    add("served in", (page.responseEnd - page.requestStart).toFixed(1) + " ms");
    const parts = performance.getEntriesByType("resource");
    const octets = parts.reduce((sum, part) => sum + part.decodedBodySize, page.decodedBodySize);
    add("side dishes", String(parts.length));
    add("in all", Math.round(octets / 1024) + " KiB");
  }

  window.addEventListener("load", function () {
    // The load event has to end before its own entry is complete.
    setTimeout(write, 0);
  });
})();
