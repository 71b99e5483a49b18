// Draws two kitchens side by side and lets the same guests get hungry in both.

import { AskingChef, GUESTS, WaitingChef, drawHungerSeconds } from "./evening.mjs";

const SVG = "http://www.w3.org/2000/svg";
const INNER_GUESTS = 20;
const CENTRE = 240;
const REST = { x: CENTRE, y: CENTRE - 8 };
const WALK_PER_SECOND = 9;
const STEP_SECONDS = 1;

const isChinese = document.documentElement.lang.startsWith("zh");
const WORDS = isChinese
  ? { guest: "客人", hungry: "，饿了", served: "，已上菜", second: "秒", pause: "暂停", goOn: "继续", asking: "挨个询问", waiting: "等待举手" }
  : { guest: "Guest", hungry: ", hungry", served: ", served", second: "s", pause: "Pause", goOn: "Go on", asking: "Asking in turn", waiting: "Waiting for a hand" };

const prefersStillness = matchMedia("(prefers-reduced-motion: reduce)");

function draw(name, attributes, parent) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    element.setAttribute(key, String(value));
  }
  parent?.append(element);
  return element;
}

/** Where a guest sits: twenty on an inner ring, thirty on an outer one, all facing the pass. */
function locateGuest(guest) {
  const isInner = guest < INNER_GUESTS;
  const seats = isInner ? INNER_GUESTS : GUESTS - INNER_GUESTS;
  const seat = isInner ? guest : guest - INNER_GUESTS;
  const angle = (2 * Math.PI * (seat + (isInner ? 0.5 : 0))) / seats - Math.PI / 2;
  return { angle, radius: isInner ? 128 : 205 };
}

function toPoint({ angle, radius }) {
  return { x: CENTRE + radius * Math.cos(angle), y: CENTRE + radius * Math.sin(angle) };
}

function drawGuest(guest, parent) {
  const seat = locateGuest(guest);
  const { x, y } = toPoint(seat);
  const group = draw(
    "g",
    { class: "guest", transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`, role: "button", tabindex: -1 },
    parent,
  );
  const towards = { x: -Math.cos(seat.angle) * 27, y: -Math.sin(seat.angle) * 27 };
  draw("ellipse", { class: "plate", cx: towards.x.toFixed(1), cy: towards.y.toFixed(1), rx: 7, ry: 7 }, group);
  draw("circle", { class: "ring", cx: 0, cy: 0, r: 21 }, group);
  draw("path", { class: "arm", d: "M9 6 L16 -17" }, group);
  draw("circle", { class: "hand", cx: 17, cy: -20, r: 5 }, group);
  draw("path", { class: "body", d: "M-15 16 C-15 2 -8 0 0 0 S15 2 15 16 A30 30 0 0 1 -15 16 Z" }, group);
  draw("circle", { class: "head", cx: 0, cy: -5, r: 9 }, group);
  return group;
}

function drawChef(parent) {
  const group = draw("g", { class: "chef", "aria-hidden": "true" }, parent);
  draw("path", { class: "coat", d: "M-18 30 C-18 8 -10 4 0 4 S18 8 18 30 A40 40 0 0 1 -18 30 Z" }, group);
  draw("circle", { class: "face", cx: 0, cy: -6, r: 12 }, group);
  draw("path", { class: "hat", d: "M-12 -14 L-12 -20 A9 9 0 0 1 -9 -36 A11 11 0 0 1 9 -36 A9 9 0 0 1 12 -20 L12 -14 Z" }, group);
  draw("rect", { class: "band", x: -12, y: -18, width: 24, height: 5 }, group);
  const word = draw("text", { class: "word", x: 20, y: -22 }, group);
  return { group, word };
}

/** One room with its chef; `place` is its <svg>. */
class Kitchen {
  constructor(section, chef, onHungry) {
    this.section = section;
    this.chef = chef;
    this.place = section.querySelector("svg");
    this.place.replaceChildren();
    draw("circle", { class: "floor", cx: CENTRE, cy: CENTRE, r: 238 }, this.place);
    draw("circle", { class: "pass", cx: CENTRE, cy: CENTRE, r: 62 }, this.place);
    const bell = draw("text", { class: "bell", x: CENTRE, y: CENTRE + 52, "aria-hidden": "true" }, this.place);
    bell.textContent = "\ue002";
    const room = draw("g", {}, this.place);
    this.guests = Array.from({ length: GUESTS }, (_, guest) => drawGuest(guest, room));
    this.cook = drawChef(this.place);
    this.position = { ...REST };
    this.counts = new Map(
      Array.from(section.querySelectorAll("[data-count]"), (cell) => [cell.dataset.count, cell]),
    );
    this.listen(room, onHungry);
  }

  listen(room, onHungry) {
    this.guests[0].setAttribute("tabindex", "0");
    room.addEventListener("click", (event) => {
      const guest = this.guests.indexOf(event.target.closest(".guest"));
      if (guest >= 0) {
        onHungry(guest);
      }
    });
    room.addEventListener("keydown", (event) => {
      const guest = this.guests.indexOf(document.activeElement);
      const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        onHungry(guest);
      } else if (move !== undefined) {
        event.preventDefault();
        const next = (guest + move + GUESTS) % GUESTS;
        this.guests[guest].setAttribute("tabindex", "-1");
        this.guests[next].setAttribute("tabindex", "0");
        this.guests[next].focus();
      }
    });
  }

  /** Where the chef should stand: at the pass, or between the rings beside a guest. */
  get goal() {
    const guest = this.chef.at;
    if (guest === null) {
      return REST;
    }
    const { angle } = locateGuest(guest);
    return toPoint({ angle, radius: guest < INNER_GUESTS ? 84 : 166 });
  }

  show(seconds) {
    const { chef, goal, position } = this;
    const share = prefersStillness.matches ? 1 : 1 - Math.exp(-seconds * WALK_PER_SECOND);
    position.x += (goal.x - position.x) * share;
    position.y += (goal.y - position.y) * share;
    this.cook.group.setAttribute("transform", `translate(${position.x.toFixed(1)} ${position.y.toFixed(1)})`);
    const isAsleep = chef.at === null;
    const isServing = chef.serving !== null;
    this.cook.word.textContent = isAsleep ? "zzz" : isServing ? "!" : "?";
    this.cook.word.classList.toggle("snore", isAsleep);

    this.guests.forEach((element, guest) => {
      const isHungry = chef.hungrySince.has(guest);
      const isFed = chef.fed.has(guest);
      const label = `${WORDS.guest} ${guest + 1}${isHungry ? WORDS.hungry : isFed ? WORDS.served : ""}`;
      if (element.getAttribute("aria-label") !== label) {
        element.setAttribute("aria-label", label);
        element.classList.toggle("is-hungry", isHungry);
        element.classList.toggle("is-fed", isFed);
      }
      element.classList.toggle("is-asked", guest === chef.at);
    });

    this.write("questions", chef.questions);
    this.write("vain", chef.vainQuestions);
    this.write("meals", chef.meals);
    this.write("wait", `${chef.meanWaitSeconds.toFixed(1)} ${WORDS.second}`);
    this.write("rest", `${Math.round(100 * chef.restShare)} %`);
  }

  write(name, value) {
    const cell = this.counts.get(name);
    if (cell !== undefined && cell.textContent !== String(value)) {
      cell.textContent = value;
    }
  }
}

/** The evening on the page: buttons, the clock, both kitchens. */
class Restaurant {
  constructor(page) {
    this.page = page;
    this.pace = page.querySelector("#pace");
    this.toggle = page.querySelector("#toggle");
    this.news = page.querySelector("#news");
    this.isOpen = false;
    this.stop = () => {};
    this.clearTables();
    this.listen();
  }

  clearTables() {
    const onHungry = (guest) => this.raiseHand(guest);
    const [asking, waiting] = this.page.querySelectorAll(".kitchen");
    this.kitchens = [
      new Kitchen(asking, new AskingChef(), onHungry),
      new Kitchen(waiting, new WaitingChef(), onHungry),
    ];
    this.untilHunger = 0.8;
    this.show(0);
  }

  listen() {
    const deeds = {
      toggle: () => this.open(!this.isOpen),
      step: () => {
        this.open(false);
        this.advance(STEP_SECONDS);
        this.show(1);
        this.tell();
      },
      one: () => this.raiseSomeHands(1),
      ten: () => this.raiseSomeHands(10),
      clear: () => this.clearTables(),
    };
    for (const [name, deed] of Object.entries(deeds)) {
      this.page.querySelector(`#${name}`).addEventListener("click", deed);
    }
    const keys = { p: "toggle", s: "step", h: "one", t: "ten", c: "clear" };
    // Single keys act only while the focus is in the restaurant: WCAG 2.1.4.
    this.page.addEventListener("keydown", (event) => {
      const name = keys[event.key.toLowerCase()];
      if (name !== undefined && !event.ctrlKey && !event.metaKey && !event.altKey) {
        deeds[name]();
      }
    });
    this.pace.addEventListener("input", () => {
      this.page.querySelector("#pace-value").textContent = this.pace.value;
      this.untilHunger = drawHungerSeconds(Number(this.pace.value));
    });
  }

  raiseHand(guest) {
    for (const kitchen of this.kitchens) {
      kitchen.chef.raiseHand(guest);
      kitchen.show(0);
    }
  }

  raiseSomeHands(count) {
    for (let left = count; left > 0; left -= 1) {
      const calm = this.kitchens[0].guests
        .map((_, guest) => guest)
        .filter((guest) => this.kitchens.every(({ chef }) => !chef.hungrySince.has(guest)));
      if (calm.length === 0) {
        return;
      }
      this.raiseHand(calm[Math.floor(Math.random() * calm.length)]);
    }
  }

  advance(seconds) {
    this.untilHunger -= seconds;
    if (this.untilHunger <= 0) {
      this.raiseSomeHands(1);
      this.untilHunger = drawHungerSeconds(Number(this.pace.value));
    }
    for (const kitchen of this.kitchens) {
      kitchen.chef.advance(seconds);
    }
  }

  show(seconds) {
    for (const kitchen of this.kitchens) {
      kitchen.show(seconds);
    }
  }

  tell() {
    const [asking, waiting] = this.kitchens.map(({ chef }) => chef);
    const tell = (name, chef) =>
      isChinese
        ? `${name}：询问 ${chef.questions} 次，送出 ${chef.meals} 道菜。`
        : `${name}: ${chef.questions} questions, ${chef.meals} meals. `;
    this.news.textContent = tell(WORDS.asking, asking) + tell(WORDS.waiting, waiting);
  }

  open(isOpen) {
    this.isOpen = isOpen;
    this.toggle.textContent = isOpen ? WORDS.pause : WORDS.goOn;
    this.stop();
    if (!isOpen) {
      this.stop = () => {};
      this.tell();
    } else if (prefersStillness.matches) {
      this.runBySteps();
    } else {
      this.runByFrames();
    }
  }

  runBySteps() {
    const timer = setInterval(() => {
      this.advance(STEP_SECONDS);
      this.show(STEP_SECONDS);
    }, 1000 * STEP_SECONDS);
    this.stop = () => clearInterval(timer);
  }

  runByFrames() {
    let frame = 0;
    let last = performance.now();
    const turn = (now) => {
      // A tab that was hidden gets one long frame: the evening stood still meanwhile.
      const seconds = Math.min(0.1, Math.max(0, (now - last) / 1000));
      last = now;
      this.advance(seconds);
      this.show(seconds);
      frame = requestAnimationFrame(turn);
    };
    frame = requestAnimationFrame(turn);
    this.stop = () => cancelAnimationFrame(frame);
  }
}

const page = document.querySelector("#restaurant");
document.querySelector("#still").hidden = true;
page.hidden = false;
const restaurant = new Restaurant(page);
if (!prefersStillness.matches) {
  restaurant.open(true);
}
