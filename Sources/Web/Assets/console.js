// Everything here only makes quicker what also works without it. No framework, no third party.

function startCopying() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const before = button.lastChild.nodeType === Node.TEXT_NODE ? button.lastChild.data : null;
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        say("Copied");
        if (before !== null) {
          button.lastChild.data = "Copied";
          setTimeout(() => { button.lastChild.data = before; }, 1500);
        }
      } catch {
        say("The browser refused to copy. Select the text and copy it yourself.");
      }
    });
  }
  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => print());
  }
}

// One live region, read out by screen readers and seen as a toast.
let region;
function say(text) {
  if (!region) {
    region = document.createElement("p");
    region.className = "toast toast--floating";
    region.setAttribute("role", "status");
    document.body.append(region);
  }
  region.textContent = text;
  region.hidden = false;
  clearTimeout(region.timer);
  region.timer = setTimeout(() => { region.hidden = true; }, 2500);
}

function startTheme() {
  const root = document.documentElement;
  for (const button of document.querySelectorAll("[data-theme-switch]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      const theme = dark ? "light" : "dark";
      root.dataset.theme = theme;
      document.cookie = `theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${location.protocol === "https:" ? "; Secure" : ""}`;
    });
  }
}

// Menus made of <details> close like menus.
function startMenus() {
  document.addEventListener("click", (event) => {
    for (const open of document.querySelectorAll("details:is(.menu, .off)[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const open of document.querySelectorAll("details:is(.menu, .off)[open]")) {
      open.open = false;
      open.querySelector("summary").focus();
    }
  });
}

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

// Leaving a form that was filled but not confirmed asks first: also beside a preview, whose fields are kept nowhere.
function guardForms() {
  for (const form of document.querySelectorAll("form[data-guard]")) {
    let touched = form.dataset.guard === "filled";
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

// "/" and ⌘K / Ctrl-K go to the search box; j, k and Enter move through the rows of a list.
const typing = (element) =>
  element instanceof HTMLElement && (element.isContentEditable || element.matches("input, textarea, select"));

function startKeys() {
  const search = document.getElementById("q");
  const tables = [...document.querySelectorAll("table[data-rows]")].filter((table) => table.querySelector("tbody th a"));
  let current = -1;

  const rows = () => tables.flatMap((table) => [...table.tBodies[0].rows]);
  const move = (step) => {
    const all = rows();
    if (all.length === 0) return;
    const focused = all.findIndex((row) => row.contains(document.activeElement));
    current = Math.min(all.length - 1, Math.max(0, (focused >= 0 ? focused : current) + step));
    const link = all[current].querySelector("th a");
    link?.focus();
    all[current].scrollIntoView({ block: "nearest" });
  };

  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.altKey) return;
    if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k" && search) {
      event.preventDefault();
      search.focus();
      search.select();
      return;
    }
    if (event.metaKey || event.ctrlKey || typing(event.target)) return;
    if (event.key === "/" && search) {
      event.preventDefault();
      search.focus();
      search.select();
    } else if (event.key === "j") {
      move(1);
    } else if (event.key === "k") {
      move(-1);
    }
  });
}

// Keeps "11 min ago" true while the page is open, and adds the local time to the title. The words are the server's.
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function relative(at, now) {
  const distance = Math.trunc((now - at) / 1000);
  const size = Math.abs(distance);
  if (size < 5) return "now";
  // What was is rounded down, what comes to the nearest.
  const whole = (unit) => (distance > 0 ? Math.floor(size / unit) : Math.round(size / unit));
  let text;
  if (size < 60) text = `${size} s`;
  else if (whole(60) < 60) text = `${whole(60)} min`;
  else if (whole(3600) < 24) text = `${whole(3600)} h`;
  else if (size < 7 * 86400) text = whole(86400) === 1 ? "1 day" : `${whole(86400)} days`;
  else {
    const day = `${at.getUTCDate()} ${months[at.getUTCMonth()]}`;
    return at.getUTCFullYear() === now.getUTCFullYear() ? day : `${day} ${at.getUTCFullYear()}`;
  }
  return distance > 0 ? `${text} ago` : `in ${text}`;
}

function startTimes() {
  const times = [...document.querySelectorAll("time[datetime]")].filter((time) => time.title);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const local = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
  if (zone !== "UTC") {
    for (const time of times) time.title += `, ${local.format(new Date(time.dateTime))} here`;
  }
  const moving = times.filter((time) => "relative" in time.dataset);
  const refresh = () => {
    const now = new Date();
    for (const time of moving) time.textContent = relative(new Date(time.dateTime), now);
  };
  // Not at once: the server's clock and this one may differ by seconds, and the text was right a moment ago.
  if (moving.length > 0) setInterval(refresh, 15000);
}

// What runs out is counted down from what the server said was left, whatever this machine's clock says.
function startCountdowns() {
  const clocks = [...document.querySelectorAll("time[data-left]")].map((time) => ({ time, left: Number(time.dataset.left) }));
  if (clocks.length === 0) return;
  const start = performance.now();
  const two = (value) => String(value).padStart(2, "0");
  const timer = setInterval(() => {
    const passed = Math.floor((performance.now() - start) / 1000);
    for (const { time, left } of clocks) {
      const rest = Math.max(0, left - passed);
      const minutes = Math.floor(rest / 60);
      time.textContent = minutes < 60 ? `${minutes}:${two(rest % 60)}`
        : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(rest % 60)}`;
    }
    if (clocks.every(({ left }) => left <= passed)) clearInterval(timer);
  }, 1000);
}

// A receipt is checked here, with nothing but the log's public key: signature, path to the signed root, sealed values.
const bytesOf = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
const base64Of = (bytes) => btoa(String.fromCharCode(...bytes));
const textBytes = (text) => new TextEncoder().encode(text);
const sameBytes = (a, b) => a.length === b.length && a.every((byte, index) => byte === b[index]);

async function sha256(...parts) {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let end = 0;
  for (const part of parts) { all.set(part, end); end += part.length; }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", all));
}

// RFC 8785: JSON.stringify writes numbers and strings as it demands; members are sorted by UTF-16 units.
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}

// C2SP signed-note and tlog-checkpoint, Ed25519.
async function openCheckpoint(note, key) {
  const [name, id, ...rest] = key.trim().split("+");
  // Base 64 has a plus too.
  const encoded = rest.join("+");
  const raw = bytesOf(encoded);
  if (raw[0] !== 1 || raw.length !== 33) throw new Error("the log’s key is of another kind");
  const end = note.indexOf("\n\n") + 1;
  const text = note.slice(0, end);
  const line = note.slice(end + 1).split("\n").find((signature) => signature.startsWith(`— ${name} `));
  if (end === 0 || !line) throw new Error("the checkpoint is not signed by this log");
  const signature = bytesOf(line.split(" ")[2]);
  const hex = [...signature.slice(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const imported = await crypto.subtle.importKey("raw", raw.slice(1), "Ed25519", false, ["verify"]);
  if (hex !== id || !await crypto.subtle.verify("Ed25519", imported, signature.slice(4), textBytes(text))) {
    throw new Error("the checkpoint’s signature is not the log’s");
  }
  const [origin, size, root] = text.split("\n");
  if (origin !== name) throw new Error("the checkpoint is of another log");
  return { size: Number(size), root: bytesOf(root) };
}

// RFC 9162, 2.1.3.2.
async function rootOf(hash, index, size, proof) {
  let [node, last, root] = [index, size - 1, hash];
  for (const step of proof) {
    if (last === 0) throw new Error("the path is too long");
    if (node % 2 === 1 || node === last) {
      root = await sha256([1], step, root);
      while (node % 2 === 0 && node !== 0) { node = Math.floor(node / 2); last = Math.floor(last / 2); }
    } else {
      root = await sha256([1], root, step);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  if (last !== 0) throw new Error("the path is too short");
  return root;
}

async function checkReceipt(receipt, key) {
  const leaf = bytesOf(receipt.leaf);
  const signed = await openCheckpoint(receipt.checkpoint, key);
  if (signed.size !== receipt.size) throw new Error("receipt and checkpoint are of different sizes");
  const root = await rootOf(await sha256([0], leaf), receipt.index, receipt.size, receipt.proof.map(bytesOf));
  if (!sameBytes(root, signed.root)) throw new Error("the path does not lead from the event to the signed root");
  const event = JSON.parse(new TextDecoder().decode(leaf));
  const commitments = { ...event.sealed };
  (event.changes ?? []).forEach((change, index) => {
    for (const side of ["before", "after"]) if (change[side]) commitments[`changes.${index}.${side}`] = change[side];
  });
  for (const [name, member] of Object.entries(receipt.sealed ?? {})) {
    const commitment = base64Of(await sha256(bytesOf(member.salt), textBytes(canonical(member.value))));
    if (commitment !== commitments[name]) throw new Error(`the sealed ${name} is not what the event commits to`);
  }
  return Object.keys(receipt.sealed ?? {}).length;
}

// The key comes from the server that is being checked: what this browser saw first is remembered, and another is said.
function rememberedKey(key) {
  const [name, id] = key.trim().split("+");
  const known = JSON.parse(localStorage.getItem(`log ${name}`) ?? "null");
  if (known && known.key !== key.trim()) return { changed: true, id };
  if (!known) localStorage.setItem(`log ${name}`, JSON.stringify({ key: key.trim(), since: new Date().toISOString() }));
  return { id, since: known?.since.slice(0, 10) };
}

function startProofs() {
  for (const place of document.querySelectorAll("[data-receipt]")) {
    if (!globalThis.crypto?.subtle) continue;
    place.hidden = false;
    const [button, verdict] = [place.querySelector("button"), place.querySelector("[data-verdict]")];
    const show = (name, word, text) => {
      const badge = document.createElement("span");
      badge.className = name;
      badge.textContent = word;
      verdict.replaceChildren(badge, text ? ` ${text}` : "");
    };
    button.addEventListener("click", async () => {
      button.disabled = true;
      show("muted", "Checking");
      try {
        const [receipt, key] = await Promise.all(["", "/log/key"].map(async (path) => {
          const answer = await fetch(path || place.dataset.receipt);
          if (!answer.ok) throw new TypeError((await answer.json().catch(() => null))?.detail ?? `the server answered ${answer.status}`);
          return path ? answer.text() : answer.json();
        }));
        const start = performance.now();
        const values = await checkReceipt(receipt, key);
        const took = Math.max(1, Math.round(performance.now() - start));
        const known = rememberedKey(key);
        if (known.changed) {
          show("proof proof--bad", "Another key",
            `The proof holds with the log’s key ${known.id}, which is not the one this browser knew. Ask why.`);
        } else {
          show("proof", "Proof holds", `event #${receipt.index}, in the log up to #${receipt.size - 1}, ${values} sealed values, `
            + `checked here in ${took} ms; key ${known.id}${known.since ? `, known since ${known.since}` : ", seen for the first time"}`);
        }
      } catch (error) {
        // An answer that did not come says nothing about the proof.
        if (error instanceof TypeError || error.name === "NotSupportedError") {
          show("muted", "This could not be checked here:", error.message);
        } else {
          show("proof proof--bad", "Proof fails", error.message);
        }
      }
      button.disabled = false;
    });
  }
}

// Passkeys. The server says what to ask and checks the answer; here it only passes through. A button that asks for one sends
// its form with the answer, so that everything typed goes along and nothing is lost when the device says no.
const urlBytes = (text) => bytesOf(text.replaceAll("-", "+").replaceAll("_", "/"));
const urlText = (buffer) => base64Of(new Uint8Array(buffer)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const credentialOf = (listed) => ({ ...listed, id: urlBytes(listed.id) });

const passkeyTroubles = {
  NotAllowedError: "The passkey was not used: it was cancelled, took too long, or this device has none for this console. Try again, or use another factor.",
  InvalidStateError: "This device already holds a passkey of yours. Use that one, or add another device.",
  NotSupportedError: "This device can’t make the kind of passkey needed here. Use another one.",
  ConstraintError: "This device can’t check that it is you: it has no PIN, fingerprint or face set up.",
  SecurityError: "The browser refuses passkeys at this address. Open the console at its own name.",
  NetworkError: "The server could not be reached. Try again in a moment.",
};

function passkeyTrouble(error) {
  if (error.said) return error.message;
  return passkeyTroubles[error.name] ?? "The device could not do it. Try again, or use another factor.";
}

// What to ask, from the server: a button without an address of its own asks where its form goes.
async function passkeyOptions(form, button) {
  const fields = new URLSearchParams(new FormData(form));
  if (!button.dataset.options) fields.set("action", "passkey");
  const place = button.dataset.options ?? form.getAttribute("action");
  let answer;
  try {
    answer = await fetch(place, { method: "POST", body: fields });
  } catch {
    throw Object.assign(new Error(passkeyTroubles.NetworkError), { said: true });
  }
  const json = await answer.json().catch(() => null);
  if (answer.ok && json?.publicKey) return json;
  const text = json?.detail ?? "The session has ended or the page is too old. Load the page again.";
  throw Object.assign(new Error(text), { said: true });
}

async function makePasskey(asked, signal) {
  const made = await navigator.credentials.create({
    signal,
    publicKey: {
      ...asked,
      challenge: urlBytes(asked.challenge),
      user: { ...asked.user, id: urlBytes(asked.user.id) },
      excludeCredentials: asked.excludeCredentials.map(credentialOf),
    },
  });
  return {
    id: urlText(made.rawId),
    client_data: urlText(made.response.clientDataJSON),
    attestation: urlText(made.response.attestationObject),
    transports: made.response.getTransports?.() ?? [],
  };
}

async function usePasskey(asked, signal, mediation) {
  const used = await navigator.credentials.get({
    signal,
    mediation,
    publicKey: {
      ...asked,
      challenge: urlBytes(asked.challenge),
      allowCredentials: (asked.allowCredentials ?? []).map(credentialOf),
    },
  });
  return {
    id: urlText(used.rawId),
    client_data: urlText(used.response.clientDataJSON),
    authenticator_data: urlText(used.response.authenticatorData),
    signature: urlText(used.response.signature),
    user_handle: used.response.userHandle?.byteLength ? urlText(used.response.userHandle) : undefined,
  };
}

function sendPasskey(form, button, answer, more = {}) {
  for (const [name, value] of Object.entries({ ...more, passkey: JSON.stringify(answer) })) {
    let field = form.querySelector(`input[type=hidden][name=${name}]`);
    if (!field) {
      field = Object.assign(document.createElement("input"), { type: "hidden", name });
      form.append(field);
    }
    field.value = value;
  }
  form.requestSubmit(button);
}

// One question at a time: the browser takes no second one while the first is open.
let passkeyQuestion;
function newQuestion() {
  passkeyQuestion?.abort();
  passkeyQuestion = new AbortController();
  return passkeyQuestion.signal;
}

async function askPasskey(button) {
  const form = button.form;
  const says = form.querySelector("[data-passkey-says]");
  says.hidden = true;
  button.setAttribute("aria-busy", "true");
  const signal = newQuestion();
  try {
    const { publicKey, ...more } = await passkeyOptions(form, button);
    const answer = button.dataset.passkey === "create"
      ? await makePasskey(publicKey, signal) : await usePasskey(publicKey, signal);
    sendPasskey(form, button, answer, more);
  } catch (error) {
    button.removeAttribute("aria-busy");
    if (signal.aborted) return;
    says.textContent = passkeyTrouble(error);
    says.hidden = false;
    if ("waits" in button.dataset) offerPasskeys(button);
  }
}

// Offers passkeys in the list the browser opens under the e-mail. The question is asked anew before it is too old.
async function offerPasskeys(button) {
  if (!await PublicKeyCredential.isConditionalMediationAvailable?.()) return;
  const signal = newQuestion();
  const again = setTimeout(() => { if (!signal.aborted) offerPasskeys(button); }, 4 * 60 * 1000);
  signal.addEventListener("abort", () => clearTimeout(again));
  try {
    const { publicKey } = await passkeyOptions(button.form, button);
    sendPasskey(button.form, button, await usePasskey(publicKey, signal, "conditional"));
  } catch {
    // Nobody asked for it by pressing anything: the button is there, and says what is wrong.
  }
}

function startPasskeys() {
  if (!globalThis.PublicKeyCredential || !navigator.credentials) return;
  for (const missing of document.querySelectorAll("[data-passkey-missing]")) missing.hidden = true;
  for (const part of document.querySelectorAll("[data-passkey-part]")) part.hidden = false;
  for (const other of document.querySelectorAll("[data-passkey-other]")) other.open = "stays" in other.dataset;
  for (const button of document.querySelectorAll("[data-passkey]")) {
    button.hidden = false;
    button.addEventListener("click", (event) => {
      event.preventDefault();
      askPasskey(button);
    });
    if ("waits" in button.dataset) offerPasskeys(button);
  }
}

// What one has not read, kept true while the page is open. All tabs share one stream; a browser without shared workers asks now
// and then.
function startInbox() {
  const bell = document.querySelector("[data-inbox]");
  if (!bell) return;
  const mine = bell.dataset.inbox;
  const badge = bell.querySelector("[data-unread]");
  const number = bell.querySelector("[data-number]");
  const link = document.querySelector(".rail a[href='/inbox']");
  let known = badge.hidden ? 0 : parseInt(number.textContent, 10);

  const show = (count) => {
    const text = count >= 100 ? "99+" : String(count);
    number.textContent = text;
    badge.hidden = count === 0;
    let due = link?.querySelector(".count");
    if (link && !due && count > 0) {
      due = document.createElement("span");
      due.className = "count count--due";
      link.append(due);
    }
    if (due) {
      due.hidden = count === 0;
      const words = document.createElement("span");
      words.className = "vh";
      words.textContent = " waiting for you";
      due.replaceChildren(text, words);
    }
    if (count > known) {
      say("Something new is in your inbox");
      for (const banner of document.querySelectorAll("[data-inbox-new]")) banner.hidden = false;
    }
    known = count;
  };
  const take = (data) => {
    if (data.ended === mine) say("Your session has ended. Sign in again to go on.");
    else if (data.session === mine) show(data.unread);
  };

  // Opening what a notice tells of is reading it.
  for (const opened of document.querySelectorAll("a[data-read]")) {
    opened.addEventListener("click", () => {
      navigator.sendBeacon(opened.dataset.read, new URLSearchParams({ csrf: bell.dataset.csrf }));
    });
  }

  if (globalThis.SharedWorker) {
    const worker = new SharedWorker(bell.dataset.worker, "inbox");
    worker.port.onmessage = ({ data }) => take(data);
    const hello = () => worker.port.postMessage({ hello: mine });
    hello();
    addEventListener("pagehide", () => worker.port.postMessage({ bye: true }));
    addEventListener("pageshow", (event) => { if (event.persisted) hello(); });
    return;
  }
  const timer = setInterval(async () => {
    if (document.visibilityState !== "visible") return;
    const answer = await fetch("/events/now").catch(() => null);
    if (answer?.status === 401) { clearInterval(timer); take({ ended: mine }); }
    if (answer?.ok) take(await answer.json());
  }, 30000);
}

startCopying();
startInbox();
startProofs();
startTheme();
startMenus();
startTimes();
startCountdowns();
startCounters();
guardForms();
showPasswords();
startKeys();
startPasskeys();
