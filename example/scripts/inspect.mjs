// Asks the server for each file in the table again and writes down what came back.

const SITE = new URL("../", import.meta.url);
const isChinese = document.documentElement.lang.startsWith("zh");
const choose = (english, chinese) => (isChinese ? chinese : english);
const NONE = choose("none", "没有");

/** Where a line may break: behind the marks within a media type, never within its words. */
function splitWords(words) {
  return words.split(/(?<=[/+;])/).flatMap((part) => [part, document.createElement("wbr")]);
}

function report(cell, isRight, words) {
  cell.replaceChildren(`${isRight ? "\u2713" : "\u2717"} `, ...splitWords(words));
  cell.className = isRight ? "is-right" : "is-wrong";
}

async function inspectType(row) {
  const link = row.querySelector("a");
  const response = await fetch(link.href, { method: "HEAD", cache: "no-store" });
  await response.arrayBuffer();
  const type = response.headers.get("Content-Type") ?? NONE;
  const isRight = row.dataset.type.split(" ").includes(type.split(";")[0]);
  report(row.querySelector("output"), isRight, type);
}

async function inspectRange(cell) {
  const response = await fetch(new URL("media/evening.webm", SITE), {
    headers: { Range: "bytes=100-199" },
    cache: "no-store",
  });
  const { byteLength } = await response.arrayBuffer();
  const range = response.headers.get("Content-Range") ?? `${byteLength} ${choose("octets", "字节")}`;
  report(cell, response.status === 206 && byteLength === 100, `${response.status}${choose(", ", "，")}${range}`);
}

async function inspectPrecondition(cell) {
  const address = new URL("pictures/hero.svg", SITE);
  const first = await fetch(address, { method: "HEAD", cache: "no-store" });
  await first.arrayBuffer();
  const tag = first.headers.get("ETag");
  const date = first.headers.get("Last-Modified");
  const headers = tag === null ? { "If-Modified-Since": date ?? "" } : { "If-None-Match": tag };
  const second = await fetch(address, { headers, cache: "no-store" });
  const { byteLength } = await second.arrayBuffer();
  report(cell, second.status === 304, choose(`${second.status}, ${byteLength} octets sent`, `${second.status}，发送 ${byteLength} 字节`));
}

async function inspectSniffing(cell) {
  const response = await fetch(new URL("robots.txt", SITE), { method: "HEAD", cache: "no-store" });
  await response.arrayBuffer();
  const word = response.headers.get("X-Content-Type-Options");
  report(cell, word === "nosniff", word ?? NONE);
}

async function inspectFont(cell) {
  const faces = await document.fonts.load('1em "Raised Hand"');
  report(cell, faces.length === 1, faces.length === 1 ? choose("loaded and drawn", "已加载并显示") : choose("not loaded", "没有加载"));
}

async function inspectModule(cell) {
  const { GUESTS } = await import("./evening.mjs");
  report(cell, GUESTS === 50, choose(`ran and counted ${GUESTS} guests`, `运行了，数出 ${GUESTS} 位客人`));
}

async function inspectWasm(cell) {
  // Refused unless the answer says application/wasm: WebAssembly Web API, section 4.
  const { instance } = await WebAssembly.instantiateStreaming(fetch(new URL("modules/questions.wasm", SITE)));
  const vain = instance.exports.vain(50, 1);
  report(cell, true, choose(`50 guests, 1 hungry: ${vain} questions in vain`, `50 位客人，1 位饿了：白问 ${vain} 次`));
}

async function inspectName(cell) {
  const response = await fetch(new URL("menu/" + encodeURIComponent("五十位客人.txt"), SITE), { cache: "no-store" });
  const text = await response.text();
  report(cell, response.ok && text.startsWith("五十位客人"), text.split("\n")[0]);
}

const inspections = {
  range: inspectRange,
  precondition: inspectPrecondition,
  sniffing: inspectSniffing,
  font: inspectFont,
  module: inspectModule,
  wasm: inspectWasm,
  name: inspectName,
};

async function tryInspection(cell, inspection) {
  try {
    await inspection();
  } catch (error) {
    report(cell, false, error.message);
  }
}

for (const row of document.querySelectorAll("tr[data-type]")) {
  await tryInspection(row.querySelector("output"), () => inspectType(row));
}
for (const cell of document.querySelectorAll("output[data-inspect]")) {
  await tryInspection(cell, () => inspections[cell.dataset.inspect](cell));
}
document.documentElement.dataset.inspected = "true";
