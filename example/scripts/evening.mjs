// One evening in a restaurant, without a screen: two chefs with the same guests and the same pace.
// Times are in seconds of the evening.

export const GUESTS = 50;
export const QUESTION_SECONDS = 0.16;
export const MEAL_SECONDS = 0.9;

/** What both chefs have in common: guests who wait, and what is counted. */
class Chef {
  constructor() {
    this.hungrySince = new Map();
    this.fed = new Set();
    this.clock = 0;
    this.questions = 0;
    this.meals = 0;
    this.waitedSeconds = 0;
    this.restedSeconds = 0;
    this.serving = null;
    this.busyUntil = 0;
  }

  raiseHand(guest) {
    if (!this.hungrySince.has(guest)) {
      this.hungrySince.set(guest, this.clock);
      this.fed.delete(guest);
    }
  }

  get vainQuestions() {
    return this.questions - this.meals - (this.serving === null ? 0 : 1);
  }

  get meanWaitSeconds() {
    return this.meals === 0 ? 0 : this.waitedSeconds / this.meals;
  }

  get restShare() {
    return this.clock === 0 ? 0 : this.restedSeconds / this.clock;
  }

  serve(guest) {
    this.serving = guest;
    this.busyUntil += MEAL_SECONDS;
  }

  finish() {
    this.meals += 1;
    this.waitedSeconds += this.busyUntil - this.hungrySince.get(this.serving);
    this.hungrySince.delete(this.serving);
    this.fed.add(this.serving);
    this.serving = null;
  }

  /** Let `seconds` pass, deed by deed. */
  advance(seconds) {
    const until = this.clock + seconds;
    while (this.busyUntil <= until) {
      if (this.serving !== null) {
        this.finish();
      }
      if (!this.begin()) {
        this.restedSeconds += until - Math.max(this.clock, this.busyUntil);
        this.busyUntil = until;
        break;
      }
    }
    this.clock = until;
  }
}

/** The polling server: asks each guest in turn, for ever. */
export class AskingChef extends Chef {
  constructor() {
    super();
    this.at = GUESTS - 1;
  }

  begin() {
    this.at = (this.at + 1) % GUESTS;
    this.questions += 1;
    this.busyUntil += QUESTION_SECONDS;
    if (this.hungrySince.has(this.at)) {
      this.serve(this.at);
    }
    return true;
  }
}

/** The event-notification server: rests until a hand is up, then goes straight there. */
export class WaitingChef extends Chef {
  constructor() {
    super();
    this.at = null;
  }

  get vainQuestions() {
    return 0;
  }

  begin() {
    const [guest] = this.hungrySince.keys();
    this.at = guest ?? null;
    if (guest === undefined) {
      return false;
    }
    this.serve(guest);
    return true;
  }
}

/** When the next guest gets hungry: at random, `perMinute` on average. */
export function drawHungerSeconds(perMinute, random = Math.random) {
  return perMinute === 0 ? Infinity : (-Math.log(1 - random()) * 60) / perMinute;
}
