// What the panes behind Flow have in common: they ask when they are looked at, one question at a time, and say
// why there is no answer.

import { el, setText } from "./dom.js";

export function failed(error) {
  return el("p", { class: "error", role: "alert" }, error.message);
}

// Runs `ask` and puts what it answers into `node`; an answer that a later question has overtaken is dropped.
export function asker(node) {
  let turn = 0,
    stop = null;

  return async (ask, show) => {
    const mine = ++turn;

    stop?.abort();
    stop = new AbortController();
    node.setAttribute("aria-busy", "true");
    try {
      const answer = await ask({ signal: stop.signal });

      if (mine === turn) show(answer);
    } catch (error) {
      if (mine === turn && error.name !== "AbortError") node.replaceChildren(failed(error));
    } finally {
      if (mine === turn) node.removeAttribute("aria-busy");
    }
  };
}

// A timer that ticks while the pane is looked at.
export function ticker(seconds, tick) {
  let timer = 0;

  return {
    start() {
      clearInterval(timer);
      timer = setInterval(() => document.hidden || tick(), seconds * 1000);
    },
    stop() {
      clearInterval(timer);
    },
  };
}

export function field(label, control) {
  return el("label", { class: "field" }, el("span", null, label), control);
}

// A button that asks once more before it does what cannot be taken back.
export function sureButton(text, sure, act) {
  const button = el("button", { type: "button", class: "small" }, text);
  let asked = false,
    timer = 0;
  const reset = () => {
    asked = false;
    setText(button, text);
    button.classList.remove("sure");
  };

  button.addEventListener("click", () => {
    clearTimeout(timer);
    if (asked) {
      reset();
      act(button);
      return;
    }
    asked = true;
    setText(button, sure);
    button.classList.add("sure");
    timer = setTimeout(reset, 5000);
  });
  return button;
}
