// The justification counter: the same words as the server writes.
function startCounters() {
  for (const counter of document.querySelectorAll("[data-counter]")) {
    const field = document.getElementById(counter.dataset.counter);
    if (!field) continue;
    const minimum = Number(counter.dataset.minimum);
    const update = () => {
      const count = [...new Intl.Segmenter().segment(field.value)].length;
      counter.classList.toggle("counter--ok", count >= minimum);
      counter.textContent =
        count === 0 ? `at least ${minimum} characters`
        : count >= minimum ? `${count} characters, at least ${minimum}`
        : `${count} of at least ${minimum}`;
    };
    field.addEventListener("input", update);
    update();
  }
}

// Leaving a form that was filled but not sent asks first. A preview is a send: what was typed comes back.
function guardForms() {
  for (const form of document.querySelectorAll("form[data-guard]")) {
    let touched = false;
    form.addEventListener("input", () => { touched = true; });
    form.addEventListener("submit", () => { touched = false; });
    addEventListener("beforeunload", (event) => { if (touched) event.preventDefault(); });
  }
  // A form is sent once, even when the button is pressed twice.
  for (const form of document.querySelectorAll("form[method=post]")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) { event.preventDefault(); return; }
      form.dataset.sent = "1";
      event.submitter?.setAttribute("aria-busy", "true");
    });
  }
  // Coming back by the history finds the form usable again.
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
    for (const button of document.querySelectorAll("button[aria-busy]")) button.removeAttribute("aria-busy");
  });
}

function showPasswords() {
  for (const field of document.querySelectorAll("input[type=password]")) {
    const label = document.querySelector(`label[for="${field.id}"]`);
    if (!label) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "show";
    button.textContent = "Show";
    button.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-controls", field.id);
    button.addEventListener("click", () => {
      const shown = field.type === "text";
      field.type = shown ? "password" : "text";
      button.textContent = shown ? "Show" : "Hide";
      button.setAttribute("aria-pressed", String(!shown));
    });
    const top = document.createElement("span");
    top.className = "field__top";
    label.replaceWith(top);
    top.append(label, button);
  }
}

startCounters();
guardForms();
showPasswords();
